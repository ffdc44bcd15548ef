/* hash.h - XXH64 with seed 0. The hash of an id is part of the format: it routes a document to its slot and shard. */
#ifndef COMMON_HASH_H
#define COMMON_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "common/str.h"

enum { SLOTS = 1024 };

uint64_t hash64(struct str bytes);

static inline unsigned hash_slot(uint64_t hash)
{
    return (unsigned)(hash >> 54);
}

/* The first place in a list that rises whose hash is not below that one; `count` if all are. */
static inline size_t hash_place(const uint64_t *rising, size_t count, uint64_t hash)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rising[middle] < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

#endif
