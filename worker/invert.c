#include "worker/invert.h"

#include <stdlib.h>
#include <string.h>

void inverter_init(struct inverter *v, struct analyzer *analyzer, const struct fields *fields)
{
    memset(v, 0, sizeof *v);
    terms_init(&v->terms, analyzer);
    v->fields = fields;
}

enum { CACHE_LINE = 64 };

/* A document that a word is to be listed with. */
struct listing {
    struct term_record *word;
    uint32_t gap;
};

/* ------------------------------------------------------------------------------------------------------------- batches
 *
 * Memory far away costs 25 times more when each access waits for the one before. So a batch goes through its words in
 * passes, and each pass asks for what the next one will touch: slot, record, stem, end of the stem's list. */

static void fetch_records(struct inverter *v)
{
    for (size_t i = 0; i < v->count; i++) {
        struct term_record *record = terms_guess(&v->terms, v->tokens[i].hash);
        v->tokens[i].record = record;
        if (!record)
            continue;
        __builtin_prefetch(&record->occurrences);
        __builtin_prefetch((const char *)&record->occurrences + CACHE_LINE); /* where its text ends */
    }
}

/* Also where the word is its own stem: to ask for what is near costs less than to tell. */
static void fetch_stem(const struct term_record *r)
{
    const struct term_record *stem = r->stem ? r->stem : r;
    __builtin_prefetch(&r->documents);
    __builtin_prefetch(&stem->occurrences, 1);
    __builtin_prefetch(&stem->field, 1);
}

static void find_records(struct inverter *v)
{
    for (size_t i = 0; i < v->count; i++) {
        struct token *k = &v->tokens[i];
        struct str word = {.ptr = v->text + k->offset, .len = k->length};
        if (!k->record || !(k->record->flags & TERM_SEEN) || !term_is(k->record, word))
            k->record = terms_word(&v->terms, word, k->hash);
        fetch_stem(k->record);
    }
    terms_settle(&v->terms);
}

static void fetch_lists(struct inverter *v)
{
    for (size_t i = 0; i < v->count; i++)
        __builtin_prefetch(v->tokens[i].record->stem->occurrences.to, 1);
}

/* Words that differ from their stems, each once: `listed` is written for the others too, as that needs no branch. */
static size_t add_occurrences(struct inverter *v, struct listing *listings)
{
    size_t count = 0;
    for (size_t i = 0; i < v->count; i++) {
        const struct token *k = &v->tokens[i];
        struct term_record *word = k->record, *stem = word->stem;
        uint32_t gap = v->document + 1 - word->listed;
        terms_add_occurrence(&v->terms, stem, v->document, k->at, k->field);
        v->length += word->flags & TERM_STOP ? 0 : v->fields->items[k->field].weight;
        word->listed = v->document + 1;
        listings[count] = (struct listing){word, gap};
        count += (stem != word) & (gap != 0);
        __builtin_prefetch(word->documents.to, 1);
    }
    return count;
}

static void add_postings(struct inverter *v)
{
    struct listing listings[INVERT_BATCH];
    size_t count = add_occurrences(v, listings);
    for (size_t i = 0; i < count; i++)
        terms_add_document(&v->terms, listings[i].word, listings[i].gap);
}

static void finish_batch(struct inverter *v)
{
    fetch_records(v);
    find_records(v);
    fetch_lists(v);
    add_postings(v);
    v->count = v->used = 0;
}

/* ----------------------------------------------------------------------------------------------------------- documents
 */

/* A short word is copied with what is behind it, by one instruction: the analyzer's buffer is long enough. */
static struct str keep(struct inverter *v, struct str word)
{
    char *to = v->text + v->used;
    if (word.len <= INVERT_SHORT)
        memcpy(to, word.ptr, INVERT_SHORT);
    else
        memcpy(to, word.ptr, word.len);
    return (struct str){.ptr = to, .len = word.len};
}

static bool on_word(void *context, struct str word, uint32_t position)
{
    struct inverter *v = context;
    if (v->count == INVERT_BATCH || v->used + word.len > INVERT_TEXT)
        finish_batch(v);
    struct str kept = keep(v, word);
    uint64_t hash = terms_hash(kept);
    __builtin_prefetch(terms_slot(&v->terms, hash));
    v->tokens[v->count++] = (struct token){.hash = hash,
                                           .at = v->base + position,
                                           .field = v->field,
                                           .offset = (uint16_t)v->used,
                                           .length = (uint16_t)word.len};
    v->used += word.len;
    v->next = v->base + position + 1;
    return true;
}

/* Values of one field that follow each other are one range. */
static void add_range(struct inverter *v, uint32_t field, uint32_t from)
{
    if (v->range_count && v->ranges[v->range_count - 1].field == field)
        return;
    if (v->range_count == v->range_room) {
        v->range_room = v->range_room ? 2 * v->range_room : 64;
        v->ranges = reallocarray(v->ranges, v->range_room, sizeof *v->ranges);
    }
    v->ranges[v->range_count++] = (struct field_range){field, from};
}

uint64_t invert_document(struct inverter *v, uint32_t document, const struct value *values, size_t count)
{
    v->document = document;
    v->next = 0;
    v->length = 0;
    v->range_count = 0;
    for (size_t i = 0; i < count; i++) {
        v->base = i ? v->next + INVERT_GAP : 0;
        v->next = v->base;
        v->field = values[i].field;
        add_range(v, v->field, v->base);
        analyzer_words(v->terms.analyzer, (struct str){.ptr = values[i].text, .len = values[i].length}, on_word, v);
    }
    finish_batch(v);
    return v->length;
}
