/* request.h - one request of the coordinator while it is handled, and the table of who handles what. */
#ifndef SHARD_REQUEST_H
#define SHARD_REQUEST_H

#include <stdint.h>

#include "shard/reply.h"
#include "shard/state.h"

struct request {
    uint64_t id;
    uint64_t arrived_us; /* on clock_us: deadlines count from here */
    const Mayfly__Internal__ShardEnvelope
        *envelope; /* in the query arena, like the reply: gone once reply_fail was called */
};

typedef void request_handler(struct shard *s, const struct request *r, struct reply *out);

#endif
