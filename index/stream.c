#include "index/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int stream_writer_open(struct stream_writer *s, struct store_writer *store, enum section section, uint32_t room)
{
    *s = (struct stream_writer){.store = store, .section = section, .room = room, .open = malloc(room)};
    return s->open ? 0 : -ENOMEM;
}

void stream_writer_close(struct stream_writer *s)
{
    free(s->open);
    *s = (struct stream_writer){0};
}

static void flush(struct stream_writer *s)
{
    if (s->used == 0)
        return;
    store_put(s->store, s->section, s->part, s->open, s->used);
    s->part++;
    s->used = 0;
}

uint32_t stream_writer_extent(struct stream_writer *s, const void *data, size_t size, uint32_t parts)
{
    flush(s);
    uint32_t part = s->part;
    store_put(s->store, s->section, s->part++, data, size);
    while (s->part < part + parts)
        store_put(s->store, s->section, s->part++, "", 0);
    return part;
}

uint64_t stream_writer_place(struct stream_writer *s, const void *data, size_t size)
{
    if (size > (size_t)(s->room - s->used))
        flush(s);
    if (size > s->room) {
        store_put(s->store, s->section, s->part, data, size);
        return place_of(s->part++, 0);
    }
    uint64_t place = place_of(s->part, s->used);
    if (size)
        memcpy(s->open + s->used, data, size);
    s->used += (uint32_t)size;
    return place;
}

uint32_t stream_writer_finish(struct stream_writer *s)
{
    flush(s);
    return s->part;
}
