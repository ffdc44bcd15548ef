#include "worker/slices.h"

#include <stdlib.h>

enum {
    CHUNK = 256 << 10,
    FIRST = 16 - sizeof(uint8_t *), /* data bytes of the first slice; each is twice the one before */
    LAST_PLACE = 7,                 /* from where on slices are as large as this */
    LARGEST = (16 << LAST_PLACE) - sizeof(uint8_t *),
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

static void put_next(uint8_t *end, const uint8_t *next, uint64_t place)
{
    uint64_t word = (uint64_t)(uintptr_t)next | place << 48;
    memcpy(end, &word, sizeof word);
}

void list_next_slice(struct slices *s, struct list *l)
{
    uint64_t place = l->end ? (load_u64(l->end) >> 48) + 1 : 0;
    place = place < LAST_PLACE ? place : LAST_PLACE;
    size_t size = ((size_t)16 << place) - sizeof(uint8_t *);
    uint8_t *slice = slices_alloc(s, size + sizeof slice), *first = l->end ? slice_next(l->end) : slice;
    if (l->end)
        put_next(l->end, slice, 0);
    l->to = slice;
    l->end = slice + size;
    put_next(l->end, first, place);
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
