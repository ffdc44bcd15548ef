/* state.h - what a shard process has: made in main.c, passed to every handler. */
#ifndef SHARD_STATE_H
#define SHARD_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "index/will_need.h"
#include "proto/last_words.h"
#include "proto/thresholds.h"
#include "proto/weight.h"

struct holds;
struct outbox;
struct places;
struct rules_cache;

struct shard {
    uint32_t number, reader;
    struct arena arena;   /* of the request in hand: reset after each reply */
    struct arena scratch; /* of the one document that is being cut to its wanted fields */
    struct places *places;
    struct rules_cache *rules;
    struct holds *holds;
    struct outbox *outbox;    /* answers that wait for the end of the turn */
    struct last_words *words; /* shared with the coordinator */
    struct page_waits waits;
    struct kept_norms norms;
    uint64_t told;            /* hash of the holdings that the coordinator knows */
    tagged_max *thresholds;   /* shared with all (proto/thresholds.h); NULL: none were given */
};

enum { ARENA_KEEP = 256 << 10 }; /* of the query arena between requests; the rest goes back to the kernel at once */

#endif
