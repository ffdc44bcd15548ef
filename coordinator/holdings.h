/* holdings.h - what a shard process has said that it holds for each index, kept until it says something else or ends.
 * Written by shards.c, read by stats.c. */
#ifndef COORDINATOR_HOLDINGS_H
#define COORDINATOR_HOLDINGS_H

#include <stddef.h>
#include <stdint.h>

#include "proto/message.h"

struct holding {
    uint32_t index, edition;
    uint64_t mapped, heap;
};

struct holdings { /* zeroed: none */
    struct holding *list;
    size_t count;
};

void holdings_take(struct holdings *h, const Mayfly__Internal__Holdings *told); /* NULL: none */

/* NULL if it has not said that it has it open. */
const struct holding *holdings_find(const struct holdings *h, uint32_t index, uint32_t edition);

#endif
