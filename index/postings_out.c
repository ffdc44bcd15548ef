#include "index/postings.h"

void postings_out_begin(struct postings_out *p, bool with_positions)
{
    p->skips.len = p->blocks.len = p->positions.len = 0;
    p->documents = 0;
    p->previous = UINT32_MAX; /* so that document 0 is 1 above it */
    p->with_positions = with_positions;
}

static void add_skip(struct postings_out *p)
{
    uint8_t entry[SKIP_ENTRY];
    store_u32(entry, p->previous);
    store_u32(entry + 4, (uint32_t)p->blocks.len);
    store_u32(entry + 8, (uint32_t)p->positions.len);
    bytes_out_append(&p->skips, entry, sizeof entry);
}

static void add_positions(struct postings_out *p, const struct position *positions, size_t count)
{
    uint32_t at = 0;
    for (size_t i = 0; i < count; i++) {
        bool other_field = i == 0 || positions[i].field != positions[i - 1].field;
        bytes_out_varint(&p->positions, (uint64_t)(positions[i].at - at) << 1 | other_field);
        if (other_field)
            bytes_out_varint(&p->positions, positions[i].field);
        at = positions[i].at;
    }
}

void postings_out_add(struct postings_out *p, uint32_t document, uint32_t t, const struct position *positions,
                      size_t count)
{
    if (p->documents && p->documents % POSTING_BLOCK == 0)
        add_skip(p);
    bytes_out_varint(&p->blocks, document - p->previous - 1);
    if (p->with_positions) {
        bytes_out_varint(&p->blocks, (uint64_t)t << 1 | (count != t));
        if (count != t)
            bytes_out_varint(&p->blocks, count);
        add_positions(p, positions, count);
    }
    p->previous = document;
    p->documents++;
}

bool postings_out_end(struct postings_out *p)
{
    size_t skips = p->skips.len, blocks = p->blocks.len;
    if (blocks + skips > UINT32_MAX / 2 || p->positions.len > UINT32_MAX / 2)
        return false;
    if (skips && bytes_out_reserve(&p->blocks, skips)) {
        memmove(p->blocks.data + skips, p->blocks.data, blocks);
        memcpy(p->blocks.data, p->skips.data, skips);
        p->blocks.len += skips;
    }
    return !p->blocks.failed && !p->skips.failed && !p->positions.failed;
}

void postings_out_free(struct postings_out *p)
{
    bytes_out_free(&p->skips);
    bytes_out_free(&p->blocks);
    bytes_out_free(&p->positions);
}
