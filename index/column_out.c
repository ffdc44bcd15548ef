#include "index/column_out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int add_chunk(struct column_out *c)
{
    if (c->chunk_count == c->chunk_room) {
        size_t room = c->chunk_room ? c->chunk_room * 2 : 16;
        uint8_t **chunks = realloc(c->chunks, room * sizeof *chunks);
        if (!chunks)
            return -ENOMEM;
        c->chunks = chunks;
        c->chunk_room = room;
    }
    uint8_t *chunk = malloc(COLUMN_CHUNK * c->width);
    if (!chunk)
        return -ENOMEM;
    c->chunks[c->chunk_count++] = chunk;
    return 0;
}

int column_out_append(struct column_out *c, const void *value)
{
    size_t at = c->count % COLUMN_CHUNK;
    if (at == 0 && c->count / COLUMN_CHUNK == c->chunk_count) {
        int err = add_chunk(c);
        if (err)
            return err;
    }
    memcpy(c->chunks[c->chunk_count - 1] + at * c->width, value, c->width);
    c->count++;
    return 0;
}

size_t column_out_chunk(const struct column_out *c, size_t chunk)
{
    uint64_t left = c->count - (uint64_t)chunk * COLUMN_CHUNK;
    return left < COLUMN_CHUNK ? (size_t)left : (size_t)COLUMN_CHUNK;
}

void column_out_put(const struct column_out *c, struct store_writer *store, enum section section)
{
    uint8_t *to = store_begin(store, section, 0, c->count * c->width);
    for (size_t i = 0; to && i < c->chunk_count; i++) {
        size_t size = column_out_chunk(c, i) * c->width;
        memcpy(to, c->chunks[i], size);
        to += size;
    }
    store_end(store);
}

void column_out_free(struct column_out *c)
{
    for (size_t i = 0; i < c->chunk_count; i++)
        free(c->chunks[i]);
    free(c->chunks);
    *c = (struct column_out){0};
}
