/* slices.h - the arena of a job: bytes that grow at the end, each list in chained slices of doubling size.
 *
 *   | data ... | next | -> | data ......... | next | -> back to the first
 *
 * A list knows its end only: the first slice is what the last one's `next` says, which has in its upper 16 bits how
 * large this last one is, by its place in the chain up to where sizes stop growing. Nothing is freed. */
#ifndef WORKER_SLICES_H
#define WORKER_SLICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/bytes.h"

struct slices {
    uint8_t *at, *end; /* of the chunk in use */
};

/* Memory for what lives as long as the job; aligned to 8. */
void *slices_alloc(struct slices *s, size_t size);

struct list {
    uint8_t *to;  /* the next byte; NULL: empty */
    uint8_t *end; /* of the last slice's data: there stands its `next` */
};

/* The pointer behind a slice's data: addresses have 48 bits. */
static inline uint8_t *slice_next(const uint8_t *end)
{
    return (uint8_t *)(uintptr_t)(load_u64(end) << 16 >> 16);
}

/* Of a list that is not empty. */
static inline const uint8_t *list_first(const struct list *l)
{
    return slice_next(l->end);
}

void list_next_slice(struct slices *s, struct list *l);

static inline void list_put_byte(struct slices *s, struct list *l, uint8_t byte)
{
    if (l->to == l->end)
        list_next_slice(s, l);
    *l->to++ = byte;
}

/* One byte or two, as nearly always: which of them is no branch, since nobody could foresee it. */
static inline void list_put(struct slices *s, struct list *l, uint64_t v)
{
    if (v < 1 << 14 && l->end - l->to >= 2) {
        unsigned two = v >= 0x80;
        l->to[0] = (uint8_t)(v | two << 7);
        l->to[1] = (uint8_t)(v >> 7);
        l->to += 1 + two;
        return;
    }
    for (; v >= 0x80; v >>= 7)
        list_put_byte(s, l, (uint8_t)(v | 0x80));
    list_put_byte(s, l, (uint8_t)v);
}

/* The first, and the second if it is wanted, where both are short and there is room for them, without a branch for
 * either; false, and nothing is put, where not. */
static inline bool list_put_both(struct list *l, uint64_t first, uint32_t second, bool wanted)
{
    if ((first | second) >= 1 << 14 || l->end - l->to < 4)
        return false;
    uint32_t two = first >= 0x80, two_more = second >= 0x80;
    uint32_t bytes = ((uint32_t)first & 0xff) | two << 7 | (uint32_t)first >> 7 << 8;
    uint32_t more = (second & 0xff) | two_more << 7 | second >> 7 << 8;
    store_u32(l->to, bytes | more << (8 + 8 * two));
    l->to += 1 + two + (wanted ? 1 + two_more : 0);
    return true;
}

struct list_reader {
    const uint8_t *at, *end;
    const struct list *list;
    size_t slice; /* data bytes of the current one */
};

void list_read(struct list_reader *r, const struct list *l);
void list_read_slice(struct list_reader *r);

static inline int list_has_more(const struct list_reader *r)
{
    return r->at != r->list->to;
}

/* Only while there is more: what was put is whole. */
static inline uint64_t list_get(struct list_reader *r)
{
    uint64_t v = 0;
    if (r->end - r->at >= 2 && !(r->at[0] & r->at[1] & 0x80)) { /* nearly always */
        uint64_t first = r->at[0], two = first >> 7;
        v = (first & 0x7f) | ((uint64_t)r->at[1] << 7 & (0 - two));
        r->at += 1 + two;
        return v;
    }
    for (unsigned shift = 0;; shift += 7) {
        if (r->at == r->end)
            list_read_slice(r);
        uint8_t byte = *r->at++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return v;
    }
}

#endif
