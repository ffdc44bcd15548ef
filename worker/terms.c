#include "worker/terms.h"

#include <stdlib.h>

#include "worker/terms_sort.h"

enum { FIRST_TABLE = 1024 /* two pages: a small job touches no more */, NEAR = 1 << 14, FETCH = 8 };

void terms_init(struct terms *t, struct analyzer *analyzer)
{
    t->analyzer = analyzer;
    t->mask = FIRST_TABLE - 1;
    t->table = calloc(FIRST_TABLE, sizeof *t->table);
}

/* ----------------------------------------------------------------------------------------------------------- the table
 */

static size_t limit(const struct terms *t)
{
    return t->mask / 8 * 5;
}

static uint64_t slot_of(const struct term_record *r, uint64_t hash)
{
    return (uint64_t)(uintptr_t)r | hash >> TERM_TAG_SHIFT << TERM_TAG_SHIFT;
}

static void place_slot(struct terms *t, uint64_t slot, uint64_t hash)
{
    size_t at = hash & t->mask;
    while (t->table[at])
        at = (at + 1) & t->mask;
    t->table[at] = slot;
}

static uint64_t hash_of(const struct term_record *r)
{
    return terms_hash((struct str){.ptr = r->text, .len = r->length});
}

/* Hashes are not kept: 2 % of a load's words are new, and each is hashed again about once. */
static void grow_table(struct terms *t)
{
    uint64_t *old = t->table;
    size_t old_size = t->mask + 1;
    t->mask = old_size * 2 - 1;
    t->table = calloc(t->mask + 1, sizeof *t->table);
    for (size_t i = 0; i < old_size; i++) {
        if (i + FETCH < old_size && old[i + FETCH])
            __builtin_prefetch(terms_record(old[i + FETCH])->text);
        if (old[i])
            place_slot(t, old[i], hash_of(terms_record(old[i])));
    }
    free(old);
}

size_t terms_growth(const struct terms *t)
{
    return t->count + NEAR > limit(t) ? 2 * (t->mask + 1) * sizeof *t->table : 0;
}

static bool is_word(uint64_t slot, struct str word, uint64_t hash)
{
    return (slot ^ hash) >> TERM_TAG_SHIFT == 0 && term_is(terms_record(slot), word);
}

static struct term_record *add_record(struct terms *t, struct str word, uint64_t hash)
{
    struct term_record *r = slices_alloc(&t->slices, offsetof(struct term_record, text) + word.len + TERM_SLACK);
    memset(r, 0, offsetof(struct term_record, text));
    r->length = (uint16_t)word.len;
    memcpy(r->text, word.ptr, word.len);
    memset(r->text + word.len, 0, TERM_SLACK);
    place_slot(t, slot_of(r, hash), hash);
    if (++t->count > limit(t))
        grow_table(t);
    return r;
}

static inline struct term_record *find_or_add(struct terms *t, struct str word, uint64_t hash)
{
    for (size_t at = hash & t->mask; t->table[at]; at = (at + 1) & t->mask)
        if (is_word(t->table[at], word, hash))
            return terms_record(t->table[at]);
    return add_record(t, word, hash);
}

/* ------------------------------------------------------------------------------------------------------------ new words
 */

static struct term_record *note_new(struct terms *t, struct term_record *r)
{
    struct str word = {.ptr = r->text, .len = r->length};
    bool is_stop = analyzer_is_stop_word(t->analyzer, word);
    r->flags = (uint8_t)(r->flags | TERM_SEEN | (is_stop ? TERM_STOP : 0));
    if (t->new_count == TERMS_NEW)
        terms_settle(t);
    t->new_words[t->new_count++].record = r;
    return r;
}

struct term_record *terms_word(struct terms *t, struct str word, uint64_t hash)
{
    struct term_record *r = find_or_add(t, word, hash);
    return r->flags & TERM_SEEN ? r : note_new(t, r);
}

/* Snowball once per distinct word. A stem may be longer than its word, never than a key. */
static size_t stem_word(struct terms *t, struct new_word *n, size_t used)
{
    struct str word = {.ptr = n->record->text, .len = n->record->length}, stem = analyzer_stem(t->analyzer, word);
    n->length = 0;
    if (stem.len == 0 || stem.len > ANALYZER_MAX_WORD || str_equal(stem, word))
        return used;
    char *to = t->stems + used;
    memcpy(to, stem.ptr, stem.len); /* Snowball's buffer ends where it ends */
    memset(to + stem.len, 0, TERM_SLACK);
    n->hash = terms_hash((struct str){.ptr = to, .len = stem.len});
    n->offset = (uint16_t)used;
    n->length = (uint16_t)stem.len;
    __builtin_prefetch(terms_slot(t, n->hash));
    return used + stem.len;
}

static void find_stem(struct terms *t, const struct new_word *n)
{
    struct str stem = {.ptr = t->stems + n->offset, .len = n->length};
    n->record->stem = n->length ? find_or_add(t, stem, n->hash) : n->record;
}

static size_t settle_some(struct terms *t, size_t from)
{
    size_t end = from, used = 0;
    while (end < t->new_count && used <= TERMS_STEMS)
        used = stem_word(t, &t->new_words[end++], used);
    for (size_t i = from; i < end; i++)
        if (t->new_words[i].length)
            __builtin_prefetch(terms_guess(t, t->new_words[i].hash));
    for (size_t i = from; i < end; i++)
        find_stem(t, &t->new_words[i]);
    return end;
}

void terms_settle(struct terms *t)
{
    for (size_t from = 0; from < t->new_count;)
        from = settle_some(t, from);
    t->new_count = 0;
}

struct term_record **terms_sorted(struct terms *t)
{
    struct term_key *keys = calloc(t->count + 1, sizeof *keys);
    size_t count = 0;
    for (size_t i = 0; i <= t->mask; i++)
        if (t->table[i])
            keys[count++].record = terms_record(t->table[i]);
    terms_sort(keys, count);
    struct term_record **records = (struct term_record **)(void *)keys; /* half the size: in place, from the front */
    for (size_t i = 0; i < count; i++)
        records[i] = keys[i].record;
    return records;
}
