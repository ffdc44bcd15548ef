/* stream.h - a section written as a stream of extents: what is placed in it lies in one piece.  Runs in: worker. */
#ifndef INDEX_STREAM_H
#define INDEX_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "index/store_writer.h"

struct stream_writer {
    struct store_writer *store;
    enum section section;
    uint32_t part; /* of the open extent */
    uint32_t used;
    uint32_t room; /* payload of an extent */
    uint8_t *open; /* `room` bytes */
};

int stream_writer_open(struct stream_writer *s, struct store_writer *store, enum section section, uint32_t room);
void stream_writer_close(struct stream_writer *s); /* accepts a zeroed one; loses what is not finished */

/* Copies; the place it has from now on. What is larger than an extent gets one of its own. */
uint64_t stream_writer_place(struct stream_writer *s, const void *data, size_t size);

/* An extent of its own for these bytes, the next part after the one before; its number. With empty ones behind it so
 * that it counts as `parts`. */
uint32_t stream_writer_extent(struct stream_writer *s, const void *data, size_t size, uint32_t parts);

/* Writes the open extent; the number of extents. */
uint32_t stream_writer_finish(struct stream_writer *s);

#endif
