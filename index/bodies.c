#include "index/bodies.h"

#include <errno.h>
#include <lz4.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "index/segment_parts.h"

static int all_bodies(const struct segment *s, uint64_t *out)
{
    *out = 0;
    int err = s->toc.documents ? segment_element_u64(s, &s->body_ends, s->toc.documents - 1, out) : 0;
    if (err)
        return err;
    return *out <= (uint64_t)s->toc.body_blocks * STORE_BLOCK ? 0 : ERR_CORRUPT;
}

static int read_entry(const struct segment *s, uint32_t block, uint64_t *out_begin, uint32_t *out_size)
{
    const uint8_t *entry;
    int err = segment_element(s, &s->body_blocks, block, &entry);
    if (err)
        return err;
    uint64_t word = load_u64(entry + 8);
    *out_begin = word >> BODY_SIZE_BITS;
    *out_size = (uint32_t)(word & ((1u << BODY_SIZE_BITS) - 1));
    return 0;
}

int segment_body_block(const struct segment *s, uint32_t block, struct body_block *out)
{
    const uint8_t *entry;
    uint32_t ignored;
    int err = segment_element(s, &s->body_blocks, block, &entry);
    if (!err)
        err = read_entry(s, block, &out->begin, &out->size);
    if (!err)
        err = block + 1 < s->toc.body_blocks ? read_entry(s, block + 1, &out->end, &ignored) : all_bodies(s, &out->end);
    if (err)
        return err;
    out->place = load_u64(entry);
    return out->begin < out->end && out->end - out->begin <= STORE_BLOCK ? 0 : ERR_CORRUPT;
}

int segment_body_block_guess(const struct segment *s, uint64_t at, uint32_t *out_block)
{
    uint64_t all;
    int err = all_bodies(s, &all);
    if (err)
        return err;
    if (at >= all)
        return ERR_CORRUPT;
    uint64_t each = all / s->toc.body_blocks, block = at / (each ? each : 1);
    *out_block = block < s->toc.body_blocks ? (uint32_t)block : s->toc.body_blocks - 1;
    return 0;
}

static int begins_behind(const struct segment *s, uint32_t block, uint64_t at, bool *out)
{
    uint64_t begin = 0;
    uint32_t size;
    int err = read_entry(s, block, &begin, &size);
    *out = begin > at;
    return err;
}

/* Blocks are nearly of one size: from where it should be in steps that double, until it is between two. */
static int surround(const struct segment *s, uint64_t at, uint32_t *low, uint32_t *high)
{
    uint32_t guess = 0, count = s->toc.body_blocks;
    bool behind = false;
    int err = segment_body_block_guess(s, at, &guess);
    if (!err)
        err = begins_behind(s, guess, at, &behind);
    *low = behind ? 0 : guess;
    *high = behind ? guess : count;
    for (uint32_t step = 1; !err && *high - *low > step; step *= 2) {
        bool is_far;
        uint32_t next = behind ? *high - step : *low + step;
        err = begins_behind(s, next, at, &is_far);
        if (is_far != behind) { /* passed it */
            *(behind ? low : high) = next;
            break;
        }
        *(behind ? high : low) = next;
    }
    return err;
}

int segment_body_block_of(const struct segment *s, uint64_t at, uint32_t *out_block)
{
    uint32_t low = 0, high = 0;
    int err = surround(s, at, &low, &high);
    while (!err && high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        bool behind;
        err = begins_behind(s, middle, at, &behind);
        *(behind ? &high : &low) = middle;
    }
    *out_block = low;
    return err;
}

/* The bytes in front of `until` (among all bodies) into `plain`, STORE_BLOCK bytes. */
static int unpack_block(const struct segment *s, const struct body_block *block, uint64_t until, char *plain)
{
    const uint8_t *packed;
    int err = segment_view(s, &s->bodies, block->place, block->size, &packed);
    if (err)
        return err;
    bool is_whole = until >= block->end;
    int wanted = (int)((is_whole ? block->end : until) - block->begin);
    int got = is_whole ? LZ4_decompress_safe((const char *)packed, plain, (int)block->size, STORE_BLOCK)
                       : LZ4_decompress_safe_partial((const char *)packed, plain, (int)block->size, wanted, wanted);
    return got > 0 && got == wanted ? 0 : ERR_CORRUPT;
}

/* Where the bodies of documents [first, end) begin and end among all bodies. */
static int body_range(const struct segment *s, uint32_t first, uint32_t end, uint64_t *out_from, uint64_t *out_end)
{
    uint64_t all;
    *out_from = 0;
    if (first >= end || end > s->toc.documents)
        return ERR_CORRUPT;
    int err = all_bodies(s, &all);
    if (!err && first)
        err = segment_element_u64(s, &s->body_ends, first - 1, out_from);
    if (!err)
        err = segment_element_u64(s, &s->body_ends, end - 1, out_end);
    if (err)
        return err;
    return *out_from <= *out_end && *out_end <= all ? 0 : ERR_CORRUPT;
}

/* The block with that byte. */
static int load_block(struct bodies *b, uint64_t at)
{
    uint32_t number;
    struct body_block block;
    if (b->block.begin <= at && at < b->block.end)
        return 0;
    int err = segment_body_block_of(b->segment, at, &number);
    if (!err)
        err = segment_body_block(b->segment, number, &block);
    if (!err && (at < block.begin || at >= block.end))
        err = ERR_CORRUPT;
    b->block = (struct body_block){0};
    if (!err)
        err = unpack_block(b->segment, &block, b->until, b->plain);
    if (!err)
        b->block = block;
    return err;
}

static int copy_body(struct bodies *b, uint64_t from, uint64_t end, char *to)
{
    while (from < end) {
        int err = load_block(b, from);
        if (err)
            return err;
        uint64_t part = (b->block.end < end ? b->block.end : end) - from;
        memcpy(to, b->plain + (from - b->block.begin), part);
        to += part;
        from += part;
    }
    return 0;
}

int segment_document_body(const struct segment *s, uint32_t document, struct arena *arena, struct str *out)
{
    uint64_t from, end;
    int err = body_range(s, document, document + 1, &from, &end);
    if (err)
        return err;
    char *body = arena_alloc(arena, end - from + 1);
    size_t mark = arena_mark(arena);
    struct bodies b = {.segment = s, .plain = body ? arena_alloc(arena, STORE_BLOCK) : NULL, .until = end};
    if (!b.plain)
        return ERR_FULL;
    err = copy_body(&b, from, end, body);
    arena_rewind(arena, mark);
    if (!err)
        *out = (struct str){.ptr = body, .len = end - from};
    return err;
}

int segment_body_size(const struct segment *s, uint32_t document, uint64_t *out)
{
    uint64_t from, end;
    int err = body_range(s, document, document + 1, &from, &end);
    if (!err)
        *out = end - from;
    return err;
}

int bodies_open(struct bodies *b, const struct segment *s)
{
    *b = (struct bodies){.segment = s, .plain = malloc(STORE_BLOCK), .until = UINT64_MAX};
    return b->plain ? 0 : -ENOMEM;
}

void bodies_close(struct bodies *b)
{
    free(b->plain);
    free(b->joined);
    *b = (struct bodies){0};
}

static int make_room(struct bodies *b, size_t size)
{
    if (size <= b->joined_room)
        return 0;
    free(b->joined);
    b->joined = malloc(size);
    b->joined_room = b->joined ? size : 0;
    return b->joined ? 0 : -ENOMEM;
}

/* The first that begins at `at` or behind it. */
static int block_from(const struct segment *s, uint64_t at, uint32_t *out)
{
    struct body_block b;
    int err = segment_body_block_of(s, at, out);
    if (!err)
        err = segment_body_block(s, *out, &b);
    if (!err && b.begin < at)
        ++*out;
    return err;
}

static int begin_of(const struct segment *s, uint32_t block, uint64_t *out)
{
    uint32_t size;
    return block < s->toc.body_blocks ? read_entry(s, block, out, &size) : all_bodies(s, out);
}

int bodies_blocks(const struct bodies *b, uint32_t first, uint32_t end, struct body_blocks *out)
{
    const struct segment *s = b->segment;
    *out = (struct body_blocks){0};
    int err = body_range(s, first, end, &out->from, &out->to);
    if (err || out->from == out->to)
        return err;
    out->whole_from = out->whole_end = out->to;
    err = block_from(s, out->from, &out->first);
    if (!err)
        err = segment_body_block_of(s, out->to - 1, &out->end);
    uint64_t last_end;
    if (!err)
        err = begin_of(s, out->end + 1, &last_end);
    if (err)
        return err;
    out->end += last_end == out->to;
    if (out->first >= out->end) {
        out->end = out->first;
        return 0;
    }
    err = begin_of(s, out->first, &out->whole_from);
    return err ? err : begin_of(s, out->end, &out->whole_end);
}

int bodies_packed(const struct bodies *b, uint32_t block, struct str *out, uint32_t *out_length)
{
    struct body_block at;
    const uint8_t *packed;
    int err = segment_body_block(b->segment, block, &at);
    if (!err)
        err = segment_view(b->segment, &b->segment->bodies, at.place, at.size, &packed);
    if (err)
        return err;
    *out = (struct str){(const char *)packed, at.size};
    *out_length = (uint32_t)(at.end - at.begin);
    return 0;
}

int bodies_bytes(struct bodies *b, uint64_t from, uint64_t end, struct str *out)
{
    int err = load_block(b, from);
    if (err)
        return err;
    *out = (struct str){.ptr = b->plain + (from - b->block.begin), .len = end - from};
    return end <= b->block.end ? 0 : ERR_CORRUPT;
}

int bodies_get(struct bodies *b, uint32_t document, struct str *out)
{
    uint64_t from, end;
    int err = body_range(b->segment, document, document + 1, &from, &end);
    if (err)
        return err;
    if (from == end) {
        *out = STR("");
        return 0;
    }
    err = load_block(b, from);
    if (err)
        return err;
    if (end <= b->block.end) {
        *out = (struct str){.ptr = b->plain + (from - b->block.begin), .len = end - from};
        return 0;
    }
    err = make_room(b, end - from);
    if (!err)
        err = copy_body(b, from, end, b->joined);
    if (!err)
        *out = (struct str){.ptr = b->joined, .len = end - from};
    return err;
}
