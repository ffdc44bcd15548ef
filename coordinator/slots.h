/* slots.h - which slots of ids (common/hash.h) are whose: each shard has a run of them, all runs are equally long, give or
 * take one. Pure. */
#ifndef COORDINATOR_SLOTS_H
#define COORDINATOR_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/hash.h"

enum { SHARDS_MOST = 64 };

static inline uint32_t slot_shard(unsigned slot, uint32_t shards)
{
    return slot * shards / SLOTS;
}

/* The shard has those from here on, below the first of its successor. */
static inline unsigned slots_first(uint32_t shard, uint32_t shards)
{
    return (shard * SLOTS + shards - 1) / shards;
}

/* Whether a shard of so many has slots that are another one's where there are so many others. */
static inline bool slots_overlap(uint32_t shard, uint32_t shards, uint32_t other, uint32_t others)
{
    return slots_first(shard, shards) < slots_first(other + 1, others) &&
           slots_first(other, others) < slots_first(shard + 1, shards);
}

#endif
