#include "coordinator/weights_cache.h"

#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/check.h"
#include "common/hash.h"

enum {
    LARGEST_SHARE = 64, /* of the bytes that one entry may take: 1 / so much */
    SWEPT_BUCKETS = 4096, /* at a time: a millisecond or two where all are full */
};

struct key {
    uint32_t index, edition;
    uint64_t settings;
    uint32_t options;
    uint32_t shards;
};

/* One block: this, the key's text, the generations, then words, terms and their bytes. */
struct entry {
    struct weighed weighed; /* first: callers have a pointer to it */
    struct entry *next;     /* of its bucket */
    struct entry *older, *younger;
    uint64_t hash;
    struct key key;
    struct str query;
    size_t bytes;
    uint32_t references; /* of searches, and one of the cache */
};

struct weights_cache {
    struct weights_limits limits;
    struct weights_counts counts;
    struct entry **buckets;
    size_t bucket_count; /* a power of two */
    size_t swept;        /* buckets, ever */
    struct entry *oldest, *youngest;
};

struct weights_cache *weights_cache_open(struct weights_limits limits)
{
    struct weights_cache *c = calloc(1, sizeof *c);
    require(c);
    c->limits = limits;
    c->bucket_count = 1;
    while (c->bucket_count < limits.entries) /* one for each: a step along a bucket waits for memory */
        c->bucket_count *= 2;
    c->buckets = calloc(c->bucket_count, sizeof *c->buckets);
    require(c->buckets);
    return c;
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

static struct entry **bucket_of(const struct weights_cache *c, uint64_t hash)
{
    return &c->buckets[hash & (c->bucket_count - 1)];
}

static struct entry *find(const struct weights_cache *c, uint64_t hash, const struct key *k, struct str query)
{
    struct entry *e = *bucket_of(c, hash);
    while (e && !(e->hash == hash && memcmp(&e->key, k, sizeof *k) == 0 && str_equal(e->query, query)))
        e = e->next;
    return e;
}

/* -------------------------------------------------------------------------------------------------------------
 * by age */

static void unlink_age(struct weights_cache *c, struct entry *e)
{
    *(e->older ? &e->older->younger : &c->oldest) = e->younger;
    *(e->younger ? &e->younger->older : &c->youngest) = e->older;
    e->older = e->younger = NULL;
}

static void link_youngest(struct weights_cache *c, struct entry *e)
{
    e->older = c->youngest;
    *(c->youngest ? &c->youngest->younger : &c->oldest) = e;
    c->youngest = e;
}

static void release(struct entry *e)
{
    if (--e->references == 0)
        free(e);
}

static void take_out(struct weights_cache *c, struct entry *e)
{
    struct entry **at = bucket_of(c, e->hash);
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    unlink_age(c, e);
    c->counts.entries--;
    c->counts.bytes -= e->bytes;
    release(e);
}

void weights_cache_close(struct weights_cache *c)
{
    while (c->oldest)
        take_out(c, c->oldest);
    free(c->buckets);
    free(c);
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
        c->counts.misses++;
        return NULL;
    }
    c->counts.hits++;
    unlink_age(c, e);
    link_youngest(c, e);
    e->references++;
    return &e->weighed;
}

static struct entry *entry_of(const struct weighed *w)
{
    union { /* it is the cache's own, lent read-only */
        const struct weighed *lent;
        struct entry *entry;
    } u = {.lent = w};
    return u.entry;
}

void weights_release(const struct weighed *w)
{
    release(entry_of(w));
}

void weights_keep(struct weights_cache *c, const struct index *i, const Mayfly__Search *request,
                  const struct weighed *w)
{
    const struct key key = key_of(i, request);
    const struct str query = str_of(request->query);
    uint64_t hash = hash_of(&key, query);
    struct entry *before = find(c, hash, &key, query);
    size_t bytes = size_of(w, i->shards, query);
    if (before)
        take_out(c, before);
    struct entry *e = bytes <= c->limits.bytes / LARGEST_SHARE ? malloc(bytes) : NULL;
    if (!e)
        return;
    struct block block = {(char *)(e + 1), (char *)e + bytes};
    *e = (struct entry){.hash = hash, .key = key, .bytes = bytes, .references = 1};
    copy_weighed(&block, w, i->shards, &e->weighed);
    e->query = take_bytes(&block, query);
    struct entry **bucket = bucket_of(c, hash);
    e->next = *bucket;
    *bucket = e;
    link_youngest(c, e);
    c->counts.entries++;
    c->counts.bytes += bytes;
    while (c->counts.entries > c->limits.entries || c->counts.bytes > c->limits.bytes)
        take_out(c, c->oldest);
}

void weights_forget(struct weights_cache *c, const struct weighed *w)
{
    struct entry *e = entry_of(w), *at = *bucket_of(c, e->hash);
    while (at && at != e)
        at = at->next;
    if (at)
        take_out(c, at);
}

static const struct index *index_of(const struct indexes *all, const struct key *k)
{
    const struct index *i = all->first;
    while (i && (i->number != k->index || i->edition != k->edition))
        i = i->next;
    return i && i->shards == k->shards ? i : NULL;
}

void weights_sweep(struct weights_cache *c, const struct indexes *all)
{
    for (size_t n = 0; n < SWEPT_BUCKETS && n < c->bucket_count; n++) {
        struct entry *next, *e = c->buckets[c->swept++ & (c->bucket_count - 1)];
        for (; e; e = next) {
            const struct index *i = index_of(all, &e->key);
            next = e->next;
            if (!i || !is_good(&e->weighed, i))
                take_out(c, e);
        }
    }
}

struct weights_counts weights_counts(const struct weights_cache *c)
{
    return c->counts;
}
