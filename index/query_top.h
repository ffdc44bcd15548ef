/* query_top.h - the best hits so far.  Runs in: shard, bench.
 *
 * Few are kept in a heap. Where many are wanted, hits are collected until there are half as many again, and what is too
 * much is left out at once: that costs a fraction of a heap's work, and what a hit must be to get in is known nearly as
 * soon. */
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
    struct top_entry *entries; /* a heap, the worst at its root; or in no order */
    size_t count;              /* may be above `room` until the worst are left out */
    size_t room;               /* hits wanted */
    size_t capacity;           /* `room` itself: a heap */
    struct top_entry worst;    /* with as many hits as are wanted: a better one is needed to get in */
    bool is_full;              /* there are so many */
    struct top_entry *spare;   /* as large as entries; not for a heap */
};

/* ERR_FULL past the arena's cap. A room of 0 keeps nothing. */
int top_init(struct arena *a, size_t room, struct top *out);

static inline uint64_t top_rank(uint32_t dropped, uint64_t score)
{
    return (uint64_t)dropped << TOP_SCORE_BITS | (TOP_MOST_SCORE - score);
}

/* With no hits wanted it is full from the beginning. */
static inline bool top_is_full(const struct top *t)
{
    return t->is_full;
}

/* Of a full one that is not empty: what the next better one replaces. */
static inline uint32_t top_worst_dropped(const struct top *t)
{
    return (uint32_t)(t->worst.rank >> TOP_SCORE_BITS);
}

static inline uint64_t top_worst_score(const struct top *t)
{
    return TOP_MOST_SCORE - (t->worst.rank & TOP_MOST_SCORE);
}

/* Whether a hit with so many words dropped and that score may still get in. */
static inline bool top_may_take(const struct top *t, uint32_t dropped, uint64_t score)
{
    return !t->is_full || (t->room > 0 && top_rank(dropped, score) <= t->worst.rank);
}

void top_add(struct top *t, const struct top_entry *entry);

/* Best first, in memory from the arena: t->count of them, at most as many as were wanted. ERR_FULL. */
int top_hits(struct top *t, struct arena *a, struct query_hit **out);

#endif
