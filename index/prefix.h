/* prefix.h - the terms of a dictionary that begin alike, by the lengths of their keys.  Runs in: shard, bench.
 *
 * The shortest are wanted first, and there may be a hundred thousand: how many have which length is counted from the heads
 * of blocks, and only keys of the lengths that are wanted are read. */
#ifndef INDEX_PREFIX_H
#define INDEX_PREFIX_H

#include <stdint.h>

#include "common/str.h"
#include "index/segment.h"

/* Of one kind. */
struct prefix_range {
    const struct segment *segment;
    struct str key;     /* kind and text; the caller's */
    uint32_t from, end; /* blocks that may have such terms */
};

void prefix_range_find(struct prefix_range *r, const struct segment *s, struct str key);

/* How many keys have how many bytes. */
struct prefix_lengths {
    uint32_t counts[MAX_KEY + 1];
    uint32_t longest; /* 0: there is none */
};

/* Adds to it, or ERR_CORRUPT. */
int prefix_count(const struct prefix_range *r, struct prefix_lengths *out);

/* Those whose keys have from `least` to `most` bytes, in the order of the dictionary. The term is valid during the call. A
 * result that is not 0 ends it and is its own; ERR_CORRUPT. */
typedef int prefix_sink(void *context, const struct term *term);
int prefix_terms(const struct prefix_range *r, uint32_t least, uint32_t most, prefix_sink *sink, void *context);

#endif
