#include "worker/slices.h"

#include <stdlib.h>

enum {
    CHUNK = 256 << 10,
    FIRST = 16 - sizeof(uint8_t *), /* data bytes of the first slice */
    LARGEST = 2048 - sizeof(uint8_t *),
};

void *slices_alloc(struct slices *s, size_t size)
{
    size = (size + 7) & ~(size_t)7;
    if ((size_t)(s->end - s->at) < size) {
        size_t chunk = size > CHUNK ? size : CHUNK;
        s->at = malloc(chunk);
        s->end = s->at + chunk;
    }
    uint8_t *block = s->at;
    s->at += size;
    return block;
}

static size_t after(size_t slice)
{
    size_t next = (slice + sizeof(uint8_t *)) * 2 - sizeof(uint8_t *);
    return next < LARGEST ? next : LARGEST;
}

/* The size of the last slice is found by walking: a chain of n bytes has about n / 2048 slices, and each is walked to
 * once for every slice that follows. So the walk ends where sizes stop growing. */
static size_t last_slice(const struct list *l, const uint8_t *first)
{
    size_t size = FIRST;
    for (const uint8_t *slice = first; size < LARGEST && slice + size != l->end; size = after(size))
        slice = slice_next(slice + size);
    return size;
}

void list_next_slice(struct slices *s, struct list *l)
{
    uint8_t *first = l->end ? slice_next(l->end) : NULL;
    size_t size = first ? after(last_slice(l, first)) : FIRST;
    uint8_t *slice = slices_alloc(s, size + sizeof slice);
    if (first)
        memcpy(l->end, &slice, sizeof slice);
    else
        first = slice;
    l->to = slice;
    l->end = slice + size;
    memcpy(l->end, &first, sizeof first);
}

static void bound(struct list_reader *r, const uint8_t *slice)
{
    r->at = slice;
    r->end = slice + r->slice;
    if (r->end == r->list->end)
        r->end = r->list->to;
}

void list_read(struct list_reader *r, const struct list *l)
{
    *r = (struct list_reader){.list = l, .slice = FIRST};
    if (l->to)
        bound(r, slice_next(l->end));
}

void list_read_slice(struct list_reader *r)
{
    const uint8_t *next = slice_next(r->end);
    r->slice = after(r->slice);
    bound(r, next);
}
