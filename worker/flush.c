#include "worker/flush.h"

#include <stdlib.h>

#include "common/err.h"

enum { FETCH = 16 };

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

/* By text, records and lists lie anywhere in memory: asked for before their turn comes. */
static void fetch(struct term_record **sorted, size_t count, size_t i)
{
    if (i + FETCH < count)
        __builtin_prefetch(sorted[i + FETCH]);
    if (i + FETCH / 2 < count) {
        __builtin_prefetch(sorted[i + FETCH / 2]->occurrences.end);
        __builtin_prefetch(sorted[i + FETCH / 2]->documents.end);
    }
}

/* Keys of stems sort before those of words. */
static void put_terms(struct flush *f, struct terms *terms)
{
    struct term_record **sorted = terms_sorted(terms);
    for (size_t i = 0; i < terms->count; i++) {
        fetch(sorted, terms->count, i);
        if (sorted[i]->occurrences.to)
            put_stem(f, sorted[i]);
    }
    for (size_t i = 0; i < terms->count; i++) {
        fetch(sorted, terms->count, i);
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
