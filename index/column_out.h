/* column_out.h - values of one width, one per document, kept in memory until the segment is finished: in chunks, so that
 * nothing is copied while it grows.  Runs in: worker. */
#ifndef INDEX_COLUMN_OUT_H
#define INDEX_COLUMN_OUT_H

#include <stddef.h>
#include <stdint.h>

#include "index/store_writer.h"

enum { COLUMN_CHUNK = 1 << 16 /* values */ };

struct column_out {
    uint8_t **chunks;
    size_t chunk_count, chunk_room;
    size_t width; /* bytes of a value */
    uint64_t count;
};

int column_out_append(struct column_out *c, const void *value); /* 0 or -ENOMEM */

/* All values as one extent. */
void column_out_put(const struct column_out *c, struct store_writer *store, enum section section);

/* Of a column of bytes. */
static inline uint8_t column_out_byte(const struct column_out *c, uint32_t i)
{
    return c->chunks[i / COLUMN_CHUNK][i % COLUMN_CHUNK];
}

size_t column_out_chunk(const struct column_out *c, size_t chunk); /* values in it */
void column_out_free(struct column_out *c); /* accepts a zeroed one */

#endif
