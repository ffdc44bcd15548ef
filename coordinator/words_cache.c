#include "coordinator/words_cache.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/hash.h"
#include "coordinator/remembered.h"

/* Out of the list it is gone, and stays only for the entries that are still to be taken out. */
struct kept {
    struct collection view; /* first: callers have a pointer to it */
    struct kept *next;      /* used before it */
    uint32_t index, edition, shards;
    uint64_t settings;
    uint64_t number; /* never given twice */
    size_t entries;
    bool gone;
    uint64_t generations[];
};

/* One block: this, words, terms, then bytes. */
struct entry {
    struct remembered_entry at;
    struct known_token known;
    struct kept *of;
    struct str text;
    uint32_t options;
};

struct words_cache {
    struct remembered entries;
    struct kept *first;
    size_t collections, collections_most;
    size_t stale; /* entries of collections that are gone */
    uint64_t numbers, hits;
};

static void copy_entry(void *context, const struct remembered_entry *at);
static void leave_collection(void *context, const struct remembered_entry *at);

struct words_cache *words_cache_open(struct words_limits limits)
{
    struct words_cache *c = calloc(1, sizeof *c);
    require(c);
    remembered_init(&c->entries, (struct remembered_limits){limits.entries, limits.bytes});
    c->entries.context = c;
    c->entries.copy = copy_entry;
    c->entries.leave = leave_collection;
    c->collections_most = limits.collections;
    return c;
}

/* --------------------------------------------------------------------------------------------------- collections */

static struct kept *kept_of(const struct collection *view)
{
    union { /* it is the cache's own, lent read-only */
        const struct collection *lent;
        struct kept *kept;
    } u = {.lent = view};
    return u.kept;
}

static void let_go(struct words_cache *c, struct kept **at)
{
    struct kept *k = *at;
    *at = k->next;
    c->collections--;
    c->stale += k->entries;
    k->gone = true;
    if (k->entries == 0)
        free(k);
}

/* Puts it before the others. NULL: there is none. */
static struct kept *find_kept(struct words_cache *c, const struct index *i)
{
    struct kept **at = &c->first;
    while (*at && ((*at)->index != i->number || (*at)->edition != i->edition))
        at = &(*at)->next;
    struct kept *k = *at;
    if (k) {
        *at = k->next;
        k->next = c->first;
        c->first = k;
    }
    return k;
}

static bool is_of(const struct kept *k, const struct index *i)
{
    return k->settings == i->settings_id && k->shards == i->shards;
}

static bool is_newest(const struct kept *k, const struct index *i)
{
    for (uint32_t n = 0; n < k->shards; n++)
        if (k->generations[n] != i->streams[n].generation)
            return false;
    return true;
}

const struct collection *words_collection(struct words_cache *c, const struct index *i)
{
    const struct kept *k = find_kept(c, i);
    return k && is_of(k, i) && is_newest(k, i) ? &k->view : NULL;
}

static struct kept *new_kept(struct words_cache *c, const struct index *i, const struct collection *counted)
{
    struct kept *k = calloc(1, sizeof *k + i->shards * sizeof k->generations[0]);
    if (!k)
        return NULL;
    memcpy(k->generations, counted->generations, i->shards * sizeof k->generations[0]);
    k->view = (struct collection){counted->documents, counted->total_length, k->generations};
    k->index = i->number;
    k->edition = i->edition;
    k->shards = i->shards;
    k->settings = i->settings_id;
    k->number = ++c->numbers;
    k->next = c->first;
    c->first = k;
    c->collections++;
    return k;
}

static bool is_at(const struct kept *k, const uint64_t *generations)
{
    return memcmp(k->generations, generations, k->shards * sizeof *generations) == 0;
}

static bool is_older(const uint64_t *generations, const struct kept *k)
{
    for (uint32_t n = 0; n < k->shards; n++)
        if (generations[n] < k->generations[n])
            return true;
    return false;
}

static void let_go_of_last(struct words_cache *c)
{
    struct kept **last = &c->first;
    while ((*last)->next)
        last = &(*last)->next;
    let_go(c, last);
}

const struct collection *words_counted(struct words_cache *c, const struct index *i, const struct collection *counted)
{
    struct kept *k = find_kept(c, i);
    if (k && is_of(k, i) && is_at(k, counted->generations))
        return &k->view;
    if (k && is_of(k, i) && is_older(counted->generations, k))
        return NULL;
    if (k)
        let_go(c, &c->first);
    k = new_kept(c, i, counted);
    if (c->collections > c->collections_most)
        let_go_of_last(c);
    return k ? &k->view : NULL;
}

void words_forget(struct words_cache *c, const struct index *i, const uint64_t *generations)
{
    const struct kept *k = find_kept(c, i);
    if (k && is_of(k, i) && is_at(k, generations))
        let_go(c, &c->first);
}

/* ------------------------------------------------------------------------------------------------------- entries */

static uint32_t options_of(struct word_token t)
{
    return (uint32_t)t.prefix << 2 | (uint32_t)t.no_typos << 1 | (uint32_t)t.plain;
}

static uint64_t hash_of(const struct kept *k, struct word_token t)
{
    const uint64_t spread = 0x9e3779b97f4a7c15;
    return hash64(t.text) ^ ((k->number << 3 | options_of(t)) * spread);
}

static struct entry *entry_at(struct remembered_entry *at)
{
    return (struct entry *)at;
}

static struct entry *find(const struct words_cache *c, const struct kept *k, struct word_token t)
{
    struct remembered_entry *at = remembered_first(&c->entries, hash_of(k, t));
    for (; at; at = remembered_next(at)) {
        const struct entry *e = entry_at(at);
        if (e->of == k && e->options == options_of(t) && str_equal(e->text, t.text))
            break;
    }
    return entry_at(at);
}

const struct known_token *words_find(struct words_cache *c, const struct collection *of, struct word_token token)
{
    struct entry *e = find(c, kept_of(of), token);
    if (!e)
        return NULL;
    e->at.used = true;
    return &e->known;
}

static void leave_collection(void *context, const struct remembered_entry *at)
{
    struct words_cache *c = context;
    struct kept *k = ((const struct entry *)at)->of;
    k->entries--;
    if (!k->gone)
        return;
    c->stale--;
    if (k->entries == 0)
        free(k);
}

void words_cache_close(struct words_cache *c)
{
    while (c->first)
        let_go(c, &c->first);
    remembered_finish(&c->entries);
    free(c);
}

/* The term that is the word itself has the key's bytes. */
static size_t bytes_of(const struct known_word *w)
{
    size_t bytes = w->key.len + w->terms.count * sizeof *w->terms.terms;
    for (size_t i = 0; i < w->terms.count; i++)
        if (!str_equal(w->terms.terms[i].term, w->key))
            bytes += w->terms.terms[i].term.len;
    return bytes;
}

static size_t size_of(struct str text, struct known_token known)
{
    size_t size = sizeof(struct entry) + text.len + known.count * sizeof *known.words;
    for (size_t i = 0; i < known.count; i++)
        size += bytes_of(&known.words[i]);
    return size;
}

/* Of an entry, which is known to be large enough: arrays from its front, bytes from its end. */
struct room {
    char *at, *end;
};

static struct str put_bytes(struct room *r, struct str bytes)
{
    r->end -= bytes.len;
    if (bytes.len)
        memcpy(r->end, bytes.ptr, bytes.len);
    return (struct str){r->end, bytes.len};
}

static void *take_room(struct room *r, size_t size)
{
    char *at = r->at;
    r->at += size;
    return at;
}

static void put_word(struct room *r, const struct known_word *from, struct known_word *to)
{
    struct weighted_term *terms = take_room(r, from->terms.count * sizeof *terms);
    *to = (struct known_word){put_bytes(r, from->key), from->terms};
    to->terms.terms = terms;
    for (size_t i = 0; i < from->terms.count; i++) {
        terms[i] = from->terms.terms[i];
        terms[i].term = str_equal(terms[i].term, to->key) ? to->key : put_bytes(r, terms[i].term);
    }
}

static void keep(struct words_cache *c, struct kept *k, const struct entry *from, uint64_t hash)
{
    size_t size = size_of(from->text, from->known);
    struct entry *e = remembered_new(&c->entries, size);
    if (!e)
        return;
    struct room room = {(char *)(e + 1), (char *)e + size};
    struct known_word *words = take_room(&room, from->known.count * sizeof *words);
    for (size_t i = 0; i < from->known.count; i++)
        put_word(&room, &from->known.words[i], &words[i]);
    e->known = (struct known_token){words, from->known.count};
    e->of = k;
    e->text = put_bytes(&room, from->text);
    e->options = from->options;
    k->entries++;
    remembered_put(&c->entries, &e->at, hash);
}

static void copy_entry(void *context, const struct remembered_entry *at)
{
    const struct entry *e = (const struct entry *)at;
    if (!e->of->gone)
        keep(context, e->of, e, at->hash);
}

void words_keep(struct words_cache *c, const struct collection *of, struct word_token token, struct known_token known)
{
    struct kept *k = kept_of(of);
    const struct entry e = {.known = known, .text = token.text, .options = options_of(token)};
    if (!find(c, k, token))
        keep(c, k, &e, hash_of(k, token));
}

/* -------------------------------------------------------------------------------------------------------- upkeep */

static bool has_use(const struct kept *k, const struct indexes *all)
{
    const struct index *i = all->first;
    while (i && (i->number != k->index || i->edition != k->edition))
        i = i->next;
    return i && is_of(k, i) && is_newest(k, i);
}

static bool is_of_a_collection(void *context, const struct remembered_entry *at)
{
    (void)context;
    return !((const struct entry *)at)->of->gone;
}

/* All at once: what is gone leaves no pieces behind. */
void words_sweep(struct words_cache *c, const struct indexes *all)
{
    for (struct kept **at = &c->first; *at;) {
        if (has_use(*at, all))
            at = &(*at)->next;
        else
            let_go(c, at);
    }
    if (c->stale || !c->entries.entries)
        remembered_sweep(&c->entries, c->entries.bucket_count, is_of_a_collection, NULL);
}

void words_count_hit(struct words_cache *c)
{
    c->hits++;
}

struct words_counts words_counts(const struct words_cache *c)
{
    return (struct words_counts){c->entries.entries, remembered_bytes(&c->entries), c->hits};
}
