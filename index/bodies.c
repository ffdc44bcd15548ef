#include "index/bodies.h"

#include <errno.h>
#include <lz4.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "index/segment_parts.h"

/* Unpacks the block into `plain` (STORE_BLOCK bytes); its length, or an error. */
static int unpack_block(const struct segment *s, uint64_t block, char *plain)
{
    const uint8_t *packed, *entry;
    int err = block < s->toc.body_blocks ? segment_element(s, &s->body_blocks, (uint32_t)block, &entry) : ERR_CORRUPT;
    if (err)
        return err;
    uint32_t size = load_u32(entry + 8), length = load_u32(entry + 12);
    err = segment_view(s, &s->bodies, load_u64(entry), size, &packed);
    if (err)
        return err;
    int got = LZ4_decompress_safe((const char *)packed, plain, (int)size, STORE_BLOCK);
    return got > 0 && (uint32_t)got == length ? got : ERR_CORRUPT;
}

/* Where a document's body begins and ends among all bodies. */
static int body_range(const struct segment *s, uint32_t document, uint64_t *out_from, uint64_t *out_end)
{
    uint64_t from = 0, end;
    if (document >= s->toc.documents)
        return ERR_CORRUPT;
    int err = document ? segment_element_u64(s, &s->body_ends, document - 1, &from) : 0;
    if (!err)
        err = segment_element_u64(s, &s->body_ends, document, &end);
    if (err)
        return err;
    if (from > end || end > (uint64_t)s->toc.body_blocks * STORE_BLOCK)
        return ERR_CORRUPT;
    *out_from = from;
    *out_end = end;
    return 0;
}

static int load_block(struct bodies *b, uint64_t block)
{
    if (b->length && b->block == block)
        return 0;
    b->length = 0;
    int length = unpack_block(b->segment, block, b->plain);
    if (length < 0)
        return length;
    b->block = block;
    b->length = (uint32_t)length;
    return 0;
}

static int copy_body(struct bodies *b, uint64_t from, uint64_t end, char *to)
{
    while (from < end) {
        uint32_t offset = (uint32_t)(from % STORE_BLOCK);
        int err = load_block(b, from / STORE_BLOCK);
        if (err)
            return err;
        if (offset >= b->length)
            return ERR_CORRUPT;
        uint64_t part = b->length - offset < end - from ? b->length - offset : end - from;
        memcpy(to, b->plain + offset, part);
        to += part;
        from += part;
    }
    return 0;
}

int segment_document_body(const struct segment *s, uint32_t document, struct arena *arena, struct str *out)
{
    uint64_t from, end;
    int err = body_range(s, document, &from, &end);
    if (err)
        return err;
    char *body = arena_alloc(arena, end - from + 1);
    size_t mark = arena_mark(arena);
    struct bodies b = {.segment = s, .plain = body ? arena_alloc(arena, STORE_BLOCK) : NULL};
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
    int err = body_range(s, document, &from, &end);
    if (!err)
        *out = end - from;
    return err;
}

int bodies_open(struct bodies *b, const struct segment *s)
{
    *b = (struct bodies){.segment = s, .plain = malloc(STORE_BLOCK)};
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

int bodies_get(struct bodies *b, uint32_t document, struct str *out)
{
    uint64_t from, end;
    int err = body_range(b->segment, document, &from, &end);
    if (err)
        return err;
    if (from == end) {
        *out = STR("");
        return 0;
    }
    uint64_t block = from / STORE_BLOCK;
    if (block == (end - 1) / STORE_BLOCK) {
        err = load_block(b, block);
        if (!err && end - block * STORE_BLOCK > b->length)
            err = ERR_CORRUPT;
        if (!err)
            *out = (struct str){.ptr = b->plain + from % STORE_BLOCK, .len = end - from};
        return err;
    }
    err = make_room(b, end - from);
    if (!err)
        err = copy_body(b, from, end, b->joined);
    if (!err)
        *out = (struct str){.ptr = b->joined, .len = end - from};
    return err;
}
