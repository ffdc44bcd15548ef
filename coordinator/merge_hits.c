#include "coordinator/merge_hits.h"

#include "common/err.h"

bool merge_hits_before(const struct merged_hit *a, const struct merged_hit *b)
{
    if (a->dropped != b->dropped)
        return a->dropped < b->dropped;
    if (a->score != b->score)
        return a->score > b->score;
    return a->stamp < b->stamp;
}

int merge_hits(struct arena *a, const struct merged_hit *const *lists, const size_t *counts, size_t list_count,
               size_t offset, size_t limit, struct merged_hit **out, size_t *out_count)
{
    size_t *next = arena_new_array(a, list_count, size_t);
    struct merged_hit *merged = arena_new_array(a, limit, struct merged_hit);
    size_t count = 0;
    if (!next || !merged)
        return ERR_FULL;
    for (size_t rank = 0; rank < offset + limit; rank++) {
        size_t best = list_count;
        for (size_t i = 0; i < list_count; i++)
            if (next[i] < counts[i] &&
                (best == list_count || merge_hits_before(&lists[i][next[i]], &lists[best][next[best]])))
                best = i;
        if (best == list_count)
            break;
        if (rank >= offset)
            merged[count++] = lists[best][next[best]];
        next[best]++;
    }
    *out = merged;
    *out_count = count;
    return 0;
}
