/* query_top.h - the best hits so far, in a heap whose root is the worst of them.  Runs in: shard, bench. */
#ifndef INDEX_QUERY_TOP_H
#define INDEX_QUERY_TOP_H

#include <stdbool.h>
#include <stddef.h>

#include "common/arena.h"
#include "index/query.h"

/* A hit by what it is ordered by: lower comes first. `rank` has the words dropped in front and what the score lacks to
 * TOP_MOST_SCORE behind. Stamps are unique, so this is a total order. */
struct top_entry {
    uint64_t rank;
    uint64_t stamp;
    uint32_t segment, document;
};

enum { TOP_SCORE_BITS = 48 };
#define TOP_MOST_SCORE ((UINT64_C(1) << TOP_SCORE_BITS) - 1)

struct top {
    struct top_entry *heap;
    size_t count, room;
};

/* ERR_FULL past the arena's cap. A room of 0 keeps nothing. */
int top_init(struct arena *a, size_t room, struct top *out);

static inline uint64_t top_rank(uint32_t dropped, uint64_t score)
{
    return (uint64_t)dropped << TOP_SCORE_BITS | (TOP_MOST_SCORE - score);
}

static inline bool top_is_full(const struct top *t)
{
    return t->count == t->room;
}

/* Of a full one that is not empty: the hit that the next better one replaces. */
static inline uint32_t top_worst_dropped(const struct top *t)
{
    return (uint32_t)(t->heap[0].rank >> TOP_SCORE_BITS);
}

static inline uint64_t top_worst_score(const struct top *t)
{
    return TOP_MOST_SCORE - (t->heap[0].rank & TOP_MOST_SCORE);
}

/* Whether a hit with so many words dropped and that score may still get in. */
static inline bool top_may_take(const struct top *t, uint32_t dropped, uint64_t score)
{
    return t->count < t->room || (t->room > 0 && top_rank(dropped, score) <= t->heap[0].rank);
}

void top_add(struct top *t, const struct top_entry *entry);

/* Best first, in memory from the arena; the heap is one no more. ERR_FULL. */
int top_hits(struct top *t, struct arena *a, struct query_hit **out);

#endif
