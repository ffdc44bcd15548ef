/* peek.h - which request a ShardEnvelope is, without unpacking it: that takes memory, which a shard's query may not
 * have, and which in the coordinator is that of whoever waits for the answer. */
#ifndef PROTO_PEEK_H
#define PROTO_PEEK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/str.h"

/* `out_message` is the number of the field that is set (the last one wins, as in protobuf), 0 if none is. False if the
 * bytes are no protobuf message at their outermost level. */
bool peek_envelope(struct str bytes, uint64_t *out_request, uint32_t *out_message);

#endif
