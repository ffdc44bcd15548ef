#include "proto/select.h"

#include <stdlib.h>

#include "common/err.h"
#include "proto/weight.h"

static int compare_distances(const struct candidate *a, const struct candidate *b)
{
    if (a->edits != b->edits)
        return a->edits < b->edits ? -1 : 1;
    return (a->distance > b->distance) - (a->distance < b->distance);
}

/* (edits, distance, length, term): an order that needs no frequencies, so that every shard cuts off at the same place.
 */
static int by_nearness(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    int order = compare_distances(a, b);
    if (order)
        return order;
    if (a->term.len != b->term.len)
        return a->term.len < b->term.len ? -1 : 1;
    return str_compare(a->term, b->term);
}

static int by_worth(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    int order = compare_distances(a, b);
    if (order)
        return order;
    if (a->frequency != b->frequency)
        return a->frequency > b->frequency ? -1 : 1;
    return str_compare(a->term, b->term);
}

/* Adds up the frequencies of equal terms, which stand together. */
static size_t unite(struct candidate *c, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept && compare_distances(&c[kept - 1], &c[i]) == 0 && str_equal(c[kept - 1].term, c[i].term))
            c[kept - 1].frequency += c[i].frequency;
        else
            c[kept++] = c[i];
    }
    return kept;
}

static bool is_sorted(const struct candidate *c, size_t count)
{
    size_t i = 1;
    while (i < count && by_nearness(&c[i - 1], &c[i]) <= 0)
        i++;
    return i >= count;
}

/* The best by worth, in order: so few of so many are inserted one by one. */
static size_t choose_members(const struct candidate *c, size_t count, struct candidate best[SELECT_MEMBERS])
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept == SELECT_MEMBERS && by_worth(&c[i], &best[kept - 1]) > 0)
            continue;
        size_t at = kept < SELECT_MEMBERS ? kept++ : kept - 1;
        for (; at > 0 && by_worth(&c[i], &best[at - 1]) < 0; at--)
            best[at] = best[at - 1];
        best[at] = c[i];
    }
    return kept;
}

uint32_t select_weight(const struct weighted_term *t, uint32_t qtf, uint64_t documents)
{
    /* Shards answer from moments that differ by a commit: a frequency may exceed the count of documents. */
    uint64_t df = t->frequency < documents ? t->frequency : documents;
    return weight_of_term(qtf, df, documents) / (1 + t->edits);
}

int select_terms(struct arena *a, struct candidate *candidates, size_t count, uint32_t qtf, uint64_t documents,
                 struct weighted_word *out)
{
    struct candidate best[SELECT_MEMBERS];
    if (!is_sorted(candidates, count)) /* those of one shard are */
        qsort(candidates, count, sizeof *candidates, by_nearness);
    size_t kept = unite(candidates, count);
    kept = choose_members(candidates, kept < SELECT_CANDIDATES ? kept : SELECT_CANDIDATES, best);
    struct weighted_word word = {.terms = arena_new_array(a, kept, struct weighted_term), .count = kept};
    if (!word.terms)
        return ERR_FULL;
    for (size_t i = 0; i < kept; i++) {
        word.terms[i] = (struct weighted_term){.term = best[i].term, .edits = best[i].edits, .frequency = best[i].frequency};
        word.terms[i].weight = select_weight(&word.terms[i], qtf, documents);
        if (best[i].frequency > word.frequency)
            word.frequency = best[i].frequency;
    }
    *out = word;
    return 0;
}
