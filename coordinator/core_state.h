/* core_state.h - what a worker reports of a core.mdb, put together from its parts, and into the coordinator's picture.
 */
#ifndef COORDINATOR_CORE_STATE_H
#define COORDINATOR_CORE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coordinator/bundle.h"
#include "coordinator/index.h"
#include "proto/message.h"

struct core_state { /* zeroed: nothing came yet */
    uint64_t generation, watermark, documents;
    struct stream_segment *segments;
    struct range *ranges;
    size_t segment_count, range_count;
};

/* Adds a part. True when it is whole. */
bool core_state_add(struct core_state *c, const Mayfly__Internal__CoreState *part);
void core_state_finish(struct core_state *c); /* empty again */
bool core_state_names(const struct core_state *c, uint64_t segment);

/* Into the stream, unless it knows a newer generation; `dropped` is called for each file that is not live any more.
 */
void core_state_take(const struct core_state *c, struct stream *s,
                     void (*dropped)(void *context, struct stream *s, uint64_t segment), void *context);

void stream_damaged(struct stream *s, const char *why);
struct refusal refusal_of(const Mayfly__Internal__Refused *r);

#endif
