#include "decoders.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "proto/message.h"

enum { ARENA = 1 << 20 };

/* What was unpacked can be packed again. */
static void repack(const ProtobufCMessage *message)
{
    struct buf out = {0};
    message_frame(&out, message, (struct str){0});
    require(out.err == 0 && out.len >= 8);
    buf_finish(&out);
}

int message_fuzz(const uint8_t *data, size_t size)
{
    struct arena arena;
    char *copy = malloc(size ? size : 1);
    require(copy && arena_init(&arena, ARENA, 0) == 0);
    if (size)
        memcpy(copy, data, size);
    struct str bytes = {.ptr = copy, .len = size};
    Mayfly__Envelope *envelope = message_unpack(&arena, bytes);
    if (envelope)
        repack(&envelope->base);
    arena_rewind(&arena, 0);
    Mayfly__Internal__ShardEnvelope *inner = message_unpack_shard(&arena, bytes);
    if (inner)
        repack(&inner->base);
    arena_finish(&arena);
    free(copy);
    return 0;
}
