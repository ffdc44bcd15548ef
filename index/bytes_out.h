/* bytes_out.h - a byte buffer that is filled, placed and used again: lists and blocks on their way into a stream.
 * Runs in: worker. */
#ifndef INDEX_BYTES_OUT_H
#define INDEX_BYTES_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"

struct bytes_out {
    uint8_t *data;
    size_t len, room;
    bool failed; /* out of memory: sticky */
};

/* Room for `more` bytes behind what is there, or false. */
static inline bool bytes_out_reserve(struct bytes_out *b, size_t more)
{
    if (more <= b->room - b->len)
        return true;
    size_t room = b->room ? b->room * 2 : 4096;
    while (room - b->len < more)
        room *= 2;
    uint8_t *data = realloc(b->data, room);
    if (!data) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->room = room;
    return true;
}

static inline void bytes_out_varint(struct bytes_out *b, uint64_t value)
{
    if (bytes_out_reserve(b, VARINT_MAX))
        b->len = (size_t)(varint_put(b->data + b->len, value) - b->data);
}

static inline void bytes_out_append(struct bytes_out *b, const void *from, size_t size)
{
    if (size && bytes_out_reserve(b, size)) {
        memcpy(b->data + b->len, from, size);
        b->len += size;
    }
}

static inline void bytes_out_free(struct bytes_out *b)
{
    free(b->data);
    *b = (struct bytes_out){0};
}

#endif
