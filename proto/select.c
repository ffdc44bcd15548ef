#include "proto/select.h"

#include <stdlib.h>

#include "common/err.h"
#include "proto/weight.h"

/* (distance, length, term): an order that needs no frequencies, so that every shard cuts off at the same place. */
static int by_nearness(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (a->distance != b->distance)
        return a->distance < b->distance ? -1 : 1;
    if (a->term.len != b->term.len)
        return a->term.len < b->term.len ? -1 : 1;
    return str_compare(a->term, b->term);
}

static int by_worth(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (a->distance != b->distance)
        return a->distance < b->distance ? -1 : 1;
    if (a->frequency != b->frequency)
        return a->frequency > b->frequency ? -1 : 1;
    return str_compare(a->term, b->term);
}

/* Adds up the frequencies of equal terms, which stand together. */
static size_t unite(struct candidate *c, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept && c[kept - 1].distance == c[i].distance && str_equal(c[kept - 1].term, c[i].term))
            c[kept - 1].frequency += c[i].frequency;
        else
            c[kept++] = c[i];
    }
    return kept;
}

int select_terms(struct arena *a, struct candidate *candidates, size_t count, uint32_t qtf, uint64_t documents,
                 struct weighted_word *out)
{
    if (count)
        qsort(candidates, count, sizeof *candidates, by_nearness);
    size_t kept = unite(candidates, count);
    if (kept > SELECT_CANDIDATES)
        kept = SELECT_CANDIDATES;
    if (kept)
        qsort(candidates, kept, sizeof *candidates, by_worth);
    if (kept > SELECT_MEMBERS)
        kept = SELECT_MEMBERS;

    struct weighted_word word = {.terms = arena_new_array(a, kept, struct weighted_term), .count = kept};
    if (!word.terms)
        return ERR_FULL;
    for (size_t i = 0; i < kept; i++) {
        /* Shards answer from moments that differ by a commit: a frequency may exceed the count of documents. */
        uint64_t df = candidates[i].frequency < documents ? candidates[i].frequency : documents;
        word.terms[i] = (struct weighted_term){candidates[i].term, weight_of_term(qtf, df, documents)};
        if (candidates[i].frequency > word.frequency)
            word.frequency = candidates[i].frequency;
    }
    *out = word;
    return 0;
}
