#include "worker/flush.h"

#include <stdlib.h>

#include "common/err.h"

enum { FETCH = 24 };

struct flush {
    struct segment_writer *out;
    const struct fields *fields;
    uint32_t *positions;
    size_t count, room; /* of positions, those of one posting */
    uint64_t t;
};

static void put_key(struct flush *f, enum term_kind kind, const struct term_record *r)
{
    char key[1 + ANALYZER_MAX_WORD];
    key[0] = (char)kind;
    memcpy(key + 1, r->text, r->length);
    segment_writer_term(f->out, (struct str){.ptr = key, .len = 1 + (size_t)r->length});
}

/* ------------------------------------------------------------------------------------------------------------ postings
 */

/* Kernels take T for a signed number of 32 bits: more than that, of one word with a large weight, adds no more. */
static void end_posting(struct flush *f, uint32_t document)
{
    uint32_t t = f->t < INT32_MAX ? (uint32_t)f->t : INT32_MAX;
    if (f->count)
        segment_writer_posting(f->out, document, t, f->positions, f->count);
    f->count = 0;
    f->t = 0;
}

static void add_position(struct flush *f, const struct occurrence *o)
{
    if (f->count == f->room) {
        f->room = f->room ? f->room * 2 : 256;
        f->positions = reallocarray(f->positions, f->room, sizeof *f->positions);
    }
    f->positions[f->count++] = o->at;
    f->t += f->fields->items[o->field].weight;
}

static void put_stem(struct flush *f, const struct term_record *r)
{
    struct list_reader reader;
    struct occurrence o = {.document = UINT32_MAX}; /* stored numbers are one higher */
    uint32_t document = 0;
    put_key(f, TERM_STEM, r);
    list_read(&reader, &r->occurrences);
    while (terms_next_occurrence(&reader, &o)) {
        if (o.first)
            end_posting(f, document);
        document = o.document;
        add_position(f, &o);
    }
    end_posting(f, document);
}

static void put_word(struct flush *f, const struct term_record *r)
{
    struct list_reader reader;
    uint32_t document = UINT32_MAX;
    put_key(f, TERM_WORD, r);
    list_read(&reader, &r->documents);
    while (terms_next_document(&reader, &document))
        segment_writer_posting(f->out, document, 1, NULL, 0);
}

static const struct list *list_at(const struct term_record *r, size_t offset)
{
    return (const struct list *)(const void *)((const char *)r + offset);
}

/* By text, records and lists lie anywhere in memory: asked for before their turn comes, first the record, then the end
 * of its list, then the beginning, which the end says. */
static void fetch(struct term_record **sorted, size_t count, size_t i, size_t offset_of_list)
{
    if (i + FETCH >= count)
        return;
    const struct list *middle = list_at(sorted[i + FETCH * 2 / 3], offset_of_list);
    const struct list *near = list_at(sorted[i + FETCH / 3], offset_of_list);
    __builtin_prefetch(sorted[i + FETCH]);
    if (middle->end)
        __builtin_prefetch(middle->end);
    if (near->end)
        __builtin_prefetch(list_first(near));
}

/* Keys of stems sort before those of words. */
static void put_terms(struct flush *f, struct terms *terms)
{
    struct term_record **sorted = terms_sorted(terms);
    for (size_t i = 0; i < terms->count; i++) {
        fetch(sorted, terms->count, i, offsetof(struct term_record, occurrences));
        if (sorted[i]->occurrences.to)
            put_stem(f, sorted[i]);
    }
    for (size_t i = 0; i < terms->count; i++) {
        fetch(sorted, terms->count, i, offsetof(struct term_record, documents));
        if (sorted[i]->documents.to)
            put_word(f, sorted[i]);
    }
    free(sorted);
}

void flush_terms(struct terms *terms, const struct fields *fields, struct segment_writer *out)
{
    struct flush f = {.out = out, .fields = fields};
    put_terms(&f, terms);
    free(f.positions);
}
