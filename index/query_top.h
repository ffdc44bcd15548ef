/* query_top.h - the best hits so far, in a heap whose root is the worst of them.  Runs in: shard, bench. */
#ifndef INDEX_QUERY_TOP_H
#define INDEX_QUERY_TOP_H

#include <stdbool.h>
#include <stddef.h>

#include "common/arena.h"
#include "index/query.h"

struct top {
    struct query_hit *heap;
    size_t count, room;
};

/* ERR_FULL past the arena's cap. A room of 0 keeps nothing. */
int top_init(struct arena *a, size_t room, struct top *out);

/* Whether `a` comes before `b`: by (dropped, score descending, stamp). Stamps are unique, so this is a total order. */
static inline bool hit_is_before(const struct query_hit *a, const struct query_hit *b)
{
    if (a->dropped != b->dropped)
        return a->dropped < b->dropped;
    if (a->score != b->score)
        return a->score > b->score;
    return a->stamp < b->stamp;
}

static inline bool top_is_full(const struct top *t)
{
    return t->count == t->room;
}

/* Whether a hit with so many words dropped and that score may still get in. */
static inline bool top_may_take(const struct top *t, uint32_t dropped, uint64_t score)
{
    if (t->count < t->room)
        return true;
    if (t->room == 0 || dropped > t->heap[0].dropped)
        return false;
    return dropped < t->heap[0].dropped || score >= t->heap[0].score;
}

void top_add(struct top *t, const struct query_hit *hit);

/* Best first; the heap is one no more. */
void top_sort(struct top *t);

#endif
