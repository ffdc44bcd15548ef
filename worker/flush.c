#include "worker/flush.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { TOGETHER = 64, POSTINGS = 256, GAPS = 16 << 10 };

/* Postings gathered for the writer, positions as gaps. */
struct flush {
    struct segment_writer *out;
    const struct fields *fields;
    size_t count, gap_count, gap_room;
    uint64_t t_sum; /* of the posting in hand, as are the positions from `first_gap` on */
    size_t first_gap;
    uint32_t documents[POSTINGS], t[POSTINGS], n[POSTINGS];
    uint32_t *gaps;
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

static void hand_over(struct flush *f)
{
    struct posting_run run = {.documents = f->documents, .t = f->t, .n = f->n, .gaps = f->gaps, .count = f->count};
    segment_writer_postings(f->out, &run);
    f->count = f->gap_count = f->first_gap = 0;
}

/* Kernels take T for a signed number of 32 bits: more than that, of one word with a large weight, adds no more. */
static void end_posting(struct flush *f)
{
    f->t[f->count] = f->t_sum < INT32_MAX ? (uint32_t)f->t_sum : INT32_MAX;
    f->n[f->count] = (uint32_t)(f->gap_count - f->first_gap);
    f->first_gap = f->gap_count;
    f->t_sum = 0;
    if (++f->count == POSTINGS || f->gap_count >= GAPS)
        hand_over(f);
}

static void reserve_gap(struct flush *f)
{
    if (f->gap_count < f->gap_room)
        return;
    f->gap_room = f->gap_room ? f->gap_room * 2 : 1024;
    f->gaps = reallocarray(f->gaps, f->gap_room, sizeof *f->gaps);
}

static void put_stem(struct flush *f, const struct term_record *r)
{
    struct list_reader reader;
    struct occurrence o = {.document = UINT32_MAX};
    uint32_t before = UINT32_MAX;
    put_key(f, TERM_STEM, r);
    list_read(&reader, &r->occurrences);
    while (terms_next_occurrence(&reader, &o)) {
        if (o.first) {
            if (f->gap_count > f->first_gap)
                end_posting(f);
            f->documents[f->count] = o.document;
            before = UINT32_MAX;
        }
        reserve_gap(f);
        f->gaps[f->gap_count++] = o.at - before - 1;
        f->t_sum += f->fields->items[o.field].weight;
        before = o.at;
    }
    end_posting(f);
    hand_over(f);
}

static void hand_over_documents(struct flush *f)
{
    segment_writer_postings(f->out, &(struct posting_run){.documents = f->documents, .count = f->count});
    f->count = 0;
}

static void put_word(struct flush *f, const struct term_record *r)
{
    struct list_reader reader;
    uint32_t document = UINT32_MAX;
    put_key(f, TERM_WORD, r);
    list_read(&reader, &r->documents);
    while (terms_next_document(&reader, &document)) {
        f->documents[f->count] = document;
        if (++f->count == POSTINGS)
            hand_over_documents(f);
    }
    hand_over_documents(f);
}

/* ---------------------------------------------------------------------------------------------------------------- terms
 *
 * By text, records and lists lie anywhere in memory. So some go together, as in invert.c: what all of them need next is
 * asked for before the first is used; records, then the ends of their lists, then the beginnings, which the ends say. */

struct part {
    size_t offset; /* of the list in a record */
    void (*put)(struct flush *f, const struct term_record *r);
};

static const struct list *list_of(const struct term_record *r, const struct part *part)
{
    return (const struct list *)(const void *)((const char *)r + part->offset);
}

static void fetch_records(struct term_record **sorted, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        __builtin_prefetch(sorted[i]);
        __builtin_prefetch(sorted[i]->text);
    }
}

static void put_some(struct flush *f, struct term_record **sorted, size_t count, const struct part *part)
{
    const struct term_record *chosen[TOGETHER];
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (!list_of(sorted[i], part)->to)
            continue;
        chosen[found++] = sorted[i];
        __builtin_prefetch(list_of(sorted[i], part)->end);
    }
    for (size_t i = 0; i < found; i++)
        __builtin_prefetch(list_first(list_of(chosen[i], part)));
    for (size_t i = 0; i < found; i++)
        part->put(f, chosen[i]);
}

static size_t some_of(size_t left)
{
    return left < TOGETHER ? left : TOGETHER;
}

static void put_part(struct flush *f, struct term_record **sorted, size_t count, const struct part *part)
{
    fetch_records(sorted, some_of(count));
    for (size_t i = 0; i < count; i += TOGETHER) {
        size_t some = some_of(count - i);
        fetch_records(sorted + i + some, some_of(count - i - some));
        put_some(f, sorted + i, some, part);
    }
}

/* Keys of stems sort before those of words. */
void flush_terms(struct terms *terms, const struct fields *fields, struct segment_writer *out)
{
    static const struct part stems = {offsetof(struct term_record, occurrences), put_stem};
    static const struct part words = {offsetof(struct term_record, documents), put_word};
    struct flush *f = calloc(1, sizeof *f);
    f->out = out;
    f->fields = fields;
    struct term_record **sorted = terms_sorted(terms);
    put_part(f, sorted, terms->count, &stems);
    put_part(f, sorted, terms->count, &words);
    free(sorted);
    free(f->gaps);
    free(f);
}
