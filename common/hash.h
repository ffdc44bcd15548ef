/* hash.h - XXH64 with seed 0. The hash of an id is part of the format: it routes a document to its slot and shard. */
#ifndef COMMON_HASH_H
#define COMMON_HASH_H

#include <stdint.h>

#include "common/str.h"

enum { SLOTS = 1024 };

uint64_t hash64(struct str bytes);

static inline unsigned hash_slot(uint64_t hash)
{
    return (unsigned)(hash >> 54);
}

#endif
