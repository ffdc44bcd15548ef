#include "coordinator/weights_cache.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/hash.h"
#include "coordinator/remembered.h"

enum { SWEPT_BUCKETS = 4096 }; /* at a time: a millisecond or two where all are full */

struct key {
    uint32_t index, edition;
    uint64_t settings;
    uint32_t options;
    uint32_t shards;
};

/* One block: this, the key's text, the generations, then words, terms and their bytes. */
struct entry {
    struct remembered_entry at;
    struct weighed weighed; /* callers have a pointer to it */
    struct key key;
    struct str query;
};

struct weights_cache {
    struct remembered entries;
    uint64_t hits, misses;
};

static void copy_entry(void *context, const struct remembered_entry *at);

struct weights_cache *weights_cache_open(struct weights_limits limits)
{
    struct weights_cache *c = calloc(1, sizeof *c);
    require(c);
    remembered_init(&c->entries, (struct remembered_limits){limits.entries, limits.bytes});
    c->entries.context = c;
    c->entries.copy = copy_entry;
    return c;
}

void weights_cache_close(struct weights_cache *c)
{
    remembered_finish(&c->entries);
    free(c);
}

/* -------------------------------------------------------------------------------------------------------------
 * keys */

/* All of a request that query_parse is told of. */
static uint32_t options_of(const Mayfly__Search *r)
{
    return (uint32_t)r->match << 3 | (uint32_t)r->no_prefix << 2 | (uint32_t)r->no_typos << 1 |
           (uint32_t)r->plain_words;
}

static struct key key_of(const struct index *i, const Mayfly__Search *r)
{
    return (struct key){i->number, i->edition, i->settings_id, options_of(r), i->shards};
}

static uint64_t hash_of(const struct key *k, struct str query)
{
    const struct str bytes = {(const char *)k, sizeof *k};
    return hash64(bytes) ^ hash64(query);
}

static struct entry *find(const struct weights_cache *c, uint64_t hash, const struct key *k, struct str query)
{
    struct remembered_entry *at = remembered_first(&c->entries, hash);
    for (; at; at = remembered_next(at)) {
        const struct entry *e = (const struct entry *)at;
        if (memcmp(&e->key, k, sizeof *k) == 0 && str_equal(e->query, query))
            break;
    }
    return (struct entry *)at;
}

/* ------------------------------------------------------------------------------------------------------------- entries
 */

static size_t size_of(const struct weighed *w, uint32_t shards, struct str query)
{
    size_t size = sizeof(struct entry) + query.len + shards * sizeof(uint64_t);
    for (size_t i = 0; i < w->word_count; i++) {
        const struct weighted_word *word = &w->words[i];
        size += sizeof *word + word->count * sizeof *word->terms;
        for (size_t k = 0; k < word->count; k++)
            size += word->terms[k].term.len;
    }
    return size;
}

/* From a block that is known to be large enough; bytes that need no alignment come from its end. */
struct block {
    char *at, *end;
};

static void *take(struct block *b, size_t size)
{
    char *taken = b->at;
    b->at += size;
    return taken;
}

static struct str take_bytes(struct block *b, struct str bytes)
{
    b->end -= bytes.len;
    if (bytes.len)
        memcpy(b->end, bytes.ptr, bytes.len);
    return (struct str){b->end, bytes.len};
}

static void copy_word(struct block *b, const struct weighted_word *from, struct weighted_word *to)
{
    *to = *from;
    to->terms = take(b, from->count * sizeof *to->terms);
    for (size_t i = 0; i < from->count; i++) {
        to->terms[i] = from->terms[i];
        to->terms[i].term = take_bytes(b, from->terms[i].term);
    }
}

static void copy_weighed(struct block *b, const struct weighed *from, uint32_t shards, struct weighed *to)
{
    uint64_t *generations = take(b, shards * sizeof *generations);
    memcpy(generations, from->generations, shards * sizeof *generations);
    struct weighted_word *words = take(b, from->word_count * sizeof *words);
    for (size_t i = 0; i < from->word_count; i++)
        copy_word(b, &from->words[i], &words[i]);
    *to = *from;
    to->generations = generations;
    to->words = words;
}

static bool is_good(const struct weighed *w, const struct index *i)
{
    for (uint32_t n = 0; n < i->shards; n++)
        if (w->generations[n] != i->streams[n].generation)
            return false;
    return true;
}

/* ------------------------------------------------------------------------------------------------------------- use */

const struct weighed *weights_find(struct weights_cache *c, const struct index *i, const Mayfly__Search *request)
{
    const struct key key = key_of(i, request);
    const struct str query = str_of(request->query);
    struct entry *e = find(c, hash_of(&key, query), &key, query);
    if (!e || !is_good(&e->weighed, i)) {
        c->misses++;
        return NULL;
    }
    c->hits++;
    e->at.used = true;
    remembered_hold(&e->at);
    return &e->weighed;
}

static struct remembered_entry *entry_of(const struct weighed *w)
{
    union { /* it is the cache's own, lent read-only */
        const char *lent;
        char *entry;
    } u = {.lent = (const char *)w - offsetof(struct entry, weighed)};
    return (struct remembered_entry *)(void *)u.entry;
}

void weights_release(struct weights_cache *c, const struct weighed *w)
{
    remembered_release(&c->entries, entry_of(w));
}

static void keep(struct weights_cache *c, const struct key *key, struct str query, const struct weighed *w, uint64_t hash)
{
    size_t size = size_of(w, key->shards, query);
    struct entry *e = remembered_new(&c->entries, size);
    if (!e)
        return;
    struct block block = {(char *)(e + 1), (char *)e + size};
    e->key = *key;
    copy_weighed(&block, w, key->shards, &e->weighed);
    e->query = take_bytes(&block, query);
    remembered_put(&c->entries, &e->at, hash);
}

static void copy_entry(void *context, const struct remembered_entry *at)
{
    const struct entry *e = (const struct entry *)at;
    keep(context, &e->key, e->query, &e->weighed, at->hash);
}

void weights_keep(struct weights_cache *c, const struct index *i, const Mayfly__Search *request,
                  const struct weighed *w)
{
    const struct key key = key_of(i, request);
    const struct str query = str_of(request->query);
    uint64_t hash = hash_of(&key, query);
    struct entry *before = find(c, hash, &key, query);
    if (before)
        remembered_take_out(&c->entries, &before->at);
    keep(c, &key, query, w, hash);
}

void weights_forget(struct weights_cache *c, const struct weighed *w)
{
    struct remembered_entry *at = entry_of(w);
    if (at->is_in)
        remembered_take_out(&c->entries, at);
}

static const struct index *index_of(const struct indexes *all, const struct key *k)
{
    const struct index *i = all->first;
    while (i && (i->number != k->index || i->edition != k->edition))
        i = i->next;
    return i && i->shards == k->shards ? i : NULL;
}

static bool has_use(void *context, const struct remembered_entry *at)
{
    const struct entry *e = (const struct entry *)at;
    const struct index *i = index_of(context, &e->key);
    return i && is_good(&e->weighed, i);
}

void weights_sweep(struct weights_cache *c, struct indexes *all)
{
    remembered_sweep(&c->entries, SWEPT_BUCKETS, has_use, all);
}

struct weights_counts weights_counts(const struct weights_cache *c)
{
    return (struct weights_counts){c->entries.entries, remembered_bytes(&c->entries), c->hits, c->misses};
}
