/* Reading posting lists. */
#include "index/postings.h"

#include "common/bytes.h"
#include "common/err.h"
#include "index/segment.h"
#include "index/segment_parts.h"

static void stop(struct postings *p, int err)
{
    p->document = POSTINGS_END;
    if (!p->err)
        p->err = err;
}

static uint32_t skip_count(const struct postings *p)
{
    return (p->documents - 1) / POSTING_BLOCK;
}

void postings_open(struct postings *p, const struct segment *s, const struct term *t)
{
    *p = (struct postings){.documents = t->documents, .limit = s->toc.documents, .previous = UINT32_MAX};
    p->with_positions = t->key.len > 0 && t->key.ptr[0] == TERM_STEM;
    if (t->documents == 0 || t->documents > s->toc.documents) {
        stop(p, ERR_CORRUPT);
        return;
    }
    int err = segment_view(s, &s->postings, t->postings.place, t->postings.length, &p->skips);
    if (!err && p->with_positions && t->positions.length)
        err = segment_view(s, &s->positions, t->positions.place, t->positions.length, &p->positions);
    uint64_t skips = (uint64_t)skip_count(p) * SKIP_ENTRY;
    if (err || skips > t->postings.length) {
        stop(p, err ? err : ERR_CORRUPT);
        return;
    }
    p->blocks = p->at = p->skips + skips;
    p->end = p->skips + t->postings.length;
    p->positions_at = p->positions;
    p->positions_end = p->positions ? p->positions + t->positions.length : NULL;
    postings_next(p);
}

static bool read_counts(struct postings *p)
{
    uint64_t t, count;
    p->at = varint_get(p->at, p->end, &t);
    if (!p->at || t >> 1 > UINT32_MAX || t >> 1 == 0)
        return false;
    count = t >> 1;
    if (t & 1)
        p->at = varint_get(p->at, p->end, &count);
    if (!p->at || count > (uint64_t)(p->positions_end - p->positions))
        return false;
    p->t = (uint32_t)(t >> 1);
    p->count = (uint32_t)count;
    return true;
}

void postings_next(struct postings *p)
{
    uint64_t delta;
    if (p->read == p->documents || p->err) {
        stop(p, 0);
        return;
    }
    p->unread += p->count;
    p->at = varint_get(p->at, p->end, &delta);
    if (!p->at || delta >= p->limit || (uint32_t)(p->previous + 1) + delta >= p->limit) {
        stop(p, ERR_CORRUPT);
        return;
    }
    p->document = p->previous + 1 + (uint32_t)delta;
    p->previous = p->document;
    p->read++;
    p->t = 1;
    p->count = 0;
    if (p->with_positions && !read_counts(p))
        stop(p, ERR_CORRUPT);
}

static bool enter_block(struct postings *p, uint32_t block)
{
    const uint8_t *entry = p->skips + (size_t)(block - 1) * SKIP_ENTRY;
    uint32_t at = load_u32(entry + 4), positions = load_u32(entry + 8);
    if (at > p->end - p->blocks || (p->with_positions && positions > p->positions_end - p->positions))
        return false;
    p->previous = load_u32(entry);
    p->at = p->blocks + at;
    if (p->with_positions)
        p->positions_at = p->positions + positions;
    p->read = block * POSTING_BLOCK;
    p->unread = 0;
    p->count = 0;
    return true;
}

/* The block that `document` is in if it is in the list: the first whose last document is not below it. */
static uint32_t block_of(const struct postings *p, uint32_t document)
{
    uint32_t low = (p->read - 1) / POSTING_BLOCK, high = skip_count(p);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (load_u32(p->skips + (size_t)middle * SKIP_ENTRY) < document)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void postings_seek(struct postings *p, uint32_t document)
{
    if (p->document >= document)
        return;
    uint32_t current = (p->read - 1) / POSTING_BLOCK, block = block_of(p, document);
    if (block > current) {
        if (!enter_block(p, block)) {
            stop(p, ERR_CORRUPT);
            return;
        }
        postings_next(p);
    }
    while (p->document < document)
        postings_next(p);
}

/* One position: `field` is the one before's and is changed where the bytes say so. */
static const uint8_t *read_position(const uint8_t *at, const uint8_t *end, struct position *position, bool first)
{
    uint64_t delta, field = position->field;
    at = varint_get(at, end, &delta);
    if (at && delta & 1)
        at = varint_get(at, end, &field);
    if (!at || (first && !(delta & 1)) || delta >> 1 > UINT32_MAX - position->at || field > UINT16_MAX)
        return NULL;
    position->at += (uint32_t)(delta >> 1);
    position->field = (uint32_t)field;
    return at;
}

/* Positions of postings that were passed over have no boundaries of their own: the field marks are skipped with them.
 */
static bool pass_over(struct postings *p)
{
    for (uint64_t delta; p->unread; p->unread--) {
        p->positions_at = varint_get(p->positions_at, p->positions_end, &delta);
        if (p->positions_at && delta & 1)
            p->positions_at = varint_get(p->positions_at, p->positions_end, &delta);
        if (!p->positions_at)
            return false;
    }
    return true;
}

bool postings_positions(struct postings *p, struct position *out)
{
    struct position position = {0};
    const uint8_t *at = NULL;
    if (p->count == 0)
        return !p->err;
    if (p->with_positions && !p->err && pass_over(p))
        at = p->positions_at;
    for (uint32_t i = 0; at && i < p->count; i++) {
        at = read_position(at, p->positions_end, &position, i == 0);
        out[i] = position;
    }
    if (!at) {
        stop(p, ERR_CORRUPT);
        p->positions_at = p->positions;
        return false;
    }
    return true;
}
