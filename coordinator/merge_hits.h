/* merge_hits.h - the hits of several shards in one order. Pure. */
#ifndef COORDINATOR_MERGE_HITS_H
#define COORDINATOR_MERGE_HITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/str.h"

struct merged_hit {
    struct str id; /* a view into the shard's answer, with a zero behind it */
    uint64_t score, stamp, segment;
    uint32_t dropped, document, shard;
};

/* Words dropped, then the higher score, then the lower stamp: the order that the whole index would have. */
bool merge_hits_before(const struct merged_hit *a, const struct merged_hit *b);

/* `lists` are each in that order; the hits from rank `offset` on, at most `limit`. ERR_FULL past the arena's cap. */
int merge_hits(struct arena *a, const struct merged_hit *const *lists, const size_t *counts, size_t list_count,
               size_t offset, size_t limit, struct merged_hit **out, size_t *out_count);

#endif
