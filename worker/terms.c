#include "worker/terms.h"

#include <stdlib.h>

#include "worker/terms_sort.h"

enum { FIRST_TABLE = 512 /* four pages: a small job touches no more */, NEAR = 1 << 14 };

void terms_init(struct terms *t, struct analyzer *analyzer)
{
    *t = (struct terms){.analyzer = analyzer, .mask = FIRST_TABLE - 1};
    t->table = calloc(FIRST_TABLE, sizeof *t->table);
}

/* ----------------------------------------------------------------------------------------------------------- the table
 */

static size_t limit(const struct terms *t)
{
    return t->mask / 8 * 5;
}

static void grow_table(struct terms *t)
{
    struct term_slot *old = t->table;
    size_t old_size = t->mask + 1;
    t->mask = old_size * 2 - 1;
    t->table = calloc(t->mask + 1, sizeof *t->table);
    for (size_t i = 0; i < old_size; i++) {
        if (!old[i].record)
            continue;
        size_t at = old[i].hash & t->mask;
        while (t->table[at].record)
            at = (at + 1) & t->mask;
        t->table[at] = old[i];
    }
    free(old);
}

size_t terms_growth(const struct terms *t)
{
    return t->count + NEAR > limit(t) ? 2 * (t->mask + 1) * sizeof *t->table : 0;
}

/* As memcmp, which would be called for a few bytes each time. */
static bool is_same(const char *a, const char *b, size_t size)
{
    for (; size > 8; a += 8, b += 8, size -= 8)
        if (load_u64(a) != load_u64(b))
            return false;
    return term_tail(a, size) == term_tail(b, size);
}

static bool is_word(const struct term_slot *slot, struct str word, uint64_t hash)
{
    return slot->hash == hash && slot->record->length == word.len && is_same(slot->record->text, word.ptr, word.len);
}

static struct term_record *find_or_add(struct terms *t, struct str word, uint64_t hash)
{
    size_t at = hash & t->mask;
    for (; t->table[at].record; at = (at + 1) & t->mask)
        if (is_word(&t->table[at], word, hash))
            return t->table[at].record;
    struct term_record *r = slices_alloc(&t->slices, offsetof(struct term_record, text) + word.len + TERM_SLACK);
    memset(r, 0, offsetof(struct term_record, text) + TERM_SLACK);
    r->length = (uint16_t)word.len;
    memcpy(r->text, word.ptr, word.len);
    t->table[at] = (struct term_slot){.hash = hash, .record = r};
    if (++t->count > limit(t))
        grow_table(t);
    return r;
}

/* Snowball once per distinct word. A stem may be longer than its word, never than a key. */
static struct term_record *stem_of(struct terms *t, struct term_record *r)
{
    struct str word = {.ptr = r->text, .len = r->length}, stem = analyzer_stem(t->analyzer, word);
    if (stem.len == 0 || stem.len > ANALYZER_MAX_WORD || str_equal(stem, word))
        return r;
    char padded[ANALYZER_MAX_WORD + TERM_SLACK]; /* Snowball's buffer ends where it ends */
    memcpy(padded, stem.ptr, stem.len);
    memset(padded + stem.len, 0, TERM_SLACK);
    stem.ptr = padded;
    return find_or_add(t, stem, terms_hash(stem));
}

struct term_record *terms_word(struct terms *t, struct str word, uint64_t hash)
{
    struct term_record *r = find_or_add(t, word, hash);
    if (r->flags & TERM_SEEN)
        return r;
    bool is_stop = analyzer_is_stop_word(t->analyzer, word);
    r->stem = stem_of(t, r);
    r->flags = (uint8_t)(r->flags | TERM_SEEN | (is_stop ? TERM_STOP : 0));
    return r;
}

/* ------------------------------------------------------------------------------------------------------------ postings
 *
 * An occurrence:   varint  step << 2 | other field << 1 | other document
 *                  [varint document + 1, less that of the one before]  [varint field]
 *
 * where step is the position, less that of the one before in the same document. */

void terms_add_occurrence(struct terms *t, struct term_record *r, uint32_t document, uint32_t at, uint32_t field)
{
    bool other_document = r->document != document + 1, other_field = r->field != field;
    uint32_t step = other_document ? at : at - r->at;
    list_put(&t->slices, &r->occurrences, (uint64_t)step << 2 | (uint64_t)other_field << 1 | other_document);
    if (other_document)
        list_put(&t->slices, &r->occurrences, document + 1 - r->document);
    if (other_field)
        list_put(&t->slices, &r->occurrences, field);
    r->document = document + 1;
    r->at = at;
    r->field = (uint16_t)field;
}

bool terms_next_occurrence(struct list_reader *r, struct occurrence *o)
{
    if (!list_has_more(r))
        return false;
    uint64_t head = list_get(r);
    o->first = head & 1;
    if (o->first) {
        o->document += (uint32_t)list_get(r);
        o->at = 0;
    }
    o->at += (uint32_t)(head >> 2);
    if (head & 2)
        o->field = (uint32_t)list_get(r);
    return true;
}

void terms_add_document(struct terms *t, struct term_record *r, uint32_t document)
{
    if (r->listed == document + 1)
        return;
    list_put(&t->slices, &r->documents, document + 1 - r->listed);
    r->listed = document + 1;
}

bool terms_next_document(struct list_reader *r, uint32_t *document)
{
    if (!list_has_more(r))
        return false;
    *document += (uint32_t)list_get(r);
    return true;
}

struct term_record **terms_sorted(struct terms *t)
{
    struct term_key *keys = calloc(t->count + 1, sizeof *keys);
    size_t count = 0;
    for (size_t i = 0; i <= t->mask; i++)
        if (t->table[i].record)
            keys[count++].record = t->table[i].record;
    terms_sort(keys, count);
    struct term_record **records = (struct term_record **)(void *)keys; /* half the size: in place, from the front */
    for (size_t i = 0; i < count; i++)
        records[i] = keys[i].record;
    return records;
}
