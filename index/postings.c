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

static uint32_t skip_value(const struct postings *p, uint32_t block, size_t at)
{
    return load_u32(p->skips + (size_t)block * SKIP_ENTRY + at);
}

/* Where the positions of a block are in the list; they are looked at when they are asked for. */
static void enter_positions(struct postings *p, uint32_t block)
{
    p->positions_from = block ? skip_value(p, block - 1, 8) : 0;
    p->positions_to = block < skip_count(p) ? skip_value(p, block, 8) : p->positions.length;
    p->positions_at = p->positions_end = NULL;
    p->unread = 0;
    p->count = 0;
}

void postings_open(struct postings *p, const struct segment *s, const struct term *t)
{
    *p = (struct postings){
        .documents = t->documents,
        .limit = s->toc.documents,
        .previous = UINT32_MAX,
        .with_positions = t->key.len > 0 && t->key.ptr[0] == TERM_STEM,
        .segment = s,
        .positions = t->positions,
    };
    if (t->documents == 0 || t->documents > s->toc.documents) {
        stop(p, ERR_CORRUPT);
        return;
    }
    int err = segment_view(s, &s->postings, t->postings.place, t->postings.length, &p->skips);
    uint64_t skips = (uint64_t)skip_count(p) * SKIP_ENTRY;
    if (err || skips > t->postings.length) {
        stop(p, err ? err : ERR_CORRUPT);
        return;
    }
    p->blocks = p->at = p->skips + skips;
    p->end = p->skips + t->postings.length;
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
    if (!p->at || count > p->positions.length)
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
    if (p->with_positions && p->read % POSTING_BLOCK == 0)
        enter_positions(p, p->read / POSTING_BLOCK);
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
    uint32_t at = skip_value(p, block - 1, 4);
    if (at > p->end - p->blocks)
        return false;
    p->previous = skip_value(p, block - 1, 0);
    p->at = p->blocks + at;
    p->read = block * POSTING_BLOCK;
    return true;
}

/* The block that `document` is in if it is in the list: the first whose last document is not below it. */
static uint32_t block_of(const struct postings *p, uint32_t document)
{
    uint32_t low = (p->read - 1) / POSTING_BLOCK, high = skip_count(p);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (skip_value(p, middle, 0) < document)
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

/* The bytes of this block's positions: of a list in one place, or of a run of extents (postings.h). */
static int view_positions(struct postings *p)
{
    const struct parts *parts = &p->segment->positions;
    uint32_t part = (uint32_t)(p->positions.place >> 32), offset = (uint32_t)p->positions.place;
    if (p->positions_from > p->positions_to || p->positions_to > p->positions.length || part >= parts->count)
        return ERR_CORRUPT;
    uint32_t from = p->positions_from, size = p->positions_to - from;
    if (offset <= parts->extents[part].size && p->positions.length <= parts->extents[part].size - offset) {
        from += offset;
    } else {
        uint32_t further = from / EXTENT_PAYLOAD;
        from %= EXTENT_PAYLOAD;
        if (offset || further >= parts->count - part)
            return ERR_CORRUPT;
        part += further;
        if (from > parts->extents[part].size)
            return ERR_CORRUPT;
        /* The end is that of the extent where the next block begins another one. */
        if (size > parts->extents[part].size - from)
            size = parts->extents[part].size - from;
    }
    int err = segment_view(p->segment, parts, place_of(part, from), size, &p->positions_at);
    if (!err)
        p->positions_end = p->positions_at + size;
    return err;
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

static bool read_positions(struct postings *p, struct position *out)
{
    struct position position = {0};
    const uint8_t *at = p->positions_at;
    for (uint32_t i = 0; at && i < p->count; i++) {
        at = read_position(at, p->positions_end, &position, i == 0);
        out[i] = position;
    }
    return at != NULL;
}

bool postings_positions(struct postings *p, struct position *out)
{
    if (p->count == 0 || p->err)
        return !p->err;
    int err = p->positions_at ? 0 : view_positions(p);
    if (!err && (!pass_over(p) || !read_positions(p, out)))
        err = ERR_CORRUPT;
    if (err)
        stop(p, err);
    return !err;
}
