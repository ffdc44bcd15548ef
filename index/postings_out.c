#include "index/postings.h"

void postings_out_begin(struct postings_out *p, struct stream_writer *positions)
{
    p->skips.len = p->blocks.len = p->positions.len = 0;
    p->documents = 0;
    p->previous = UINT32_MAX; /* so that document 0 is 1 above it */
    p->with_positions = positions != NULL;
    p->stream = positions;
    p->block = 0;
    p->run = 0;
}

/* Writes the first `size` bytes of the positions as an extent of the run. */
static void write_extent(struct postings_out *p, size_t size)
{
    uint32_t parts = (uint32_t)((size + EXTENT_PAYLOAD - 1) / EXTENT_PAYLOAD);
    uint32_t part = stream_writer_extent(p->stream, p->positions.data, size, parts);
    if (p->run == 0)
        p->first_part = part;
    p->run += (uint64_t)parts * EXTENT_PAYLOAD;
    memmove(p->positions.data, p->positions.data + size, p->positions.len - size);
    p->positions.len -= size;
}

/* A block that does not fit behind the ones before begins the next extent; where it begins was said already. */
static void end_block(struct postings_out *p)
{
    if (p->skips.failed || p->positions.failed)
        return;
    if (p->positions.len > EXTENT_PAYLOAD && p->block) {
        write_extent(p, p->block);
        store_u32(p->skips.data + p->skips.len - 4, (uint32_t)p->run);
    }
    if (p->positions.len > EXTENT_PAYLOAD)
        write_extent(p, p->positions.len);
    p->block = p->positions.len;
}

static void add_skip(struct postings_out *p)
{
    uint8_t entry[SKIP_ENTRY];
    end_block(p);
    store_u32(entry, p->previous);
    store_u32(entry + 4, (uint32_t)p->blocks.len);
    store_u32(entry + 8, (uint32_t)(p->run + p->positions.len));
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

static struct list_place place_positions(struct postings_out *p)
{
    if (p->run == 0)
        return (struct list_place){stream_writer_place(p->stream, p->positions.data, p->positions.len),
                                   (uint32_t)p->positions.len};
    size_t last = p->positions.len;
    if (last)
        write_extent(p, last);
    return (struct list_place){place_of(p->first_part, 0),
                               (uint32_t)(p->run - (last ? (uint32_t)EXTENT_PAYLOAD - last : 0))};
}

bool postings_out_end(struct postings_out *p, struct list_place *out_positions)
{
    size_t skips = p->skips.len, blocks = p->blocks.len;
    if (p->with_positions)
        end_block(p);
    if (blocks + skips > UINT32_MAX / 2 || p->run + p->positions.len > UINT32_MAX / 2)
        return false;
    if (skips && bytes_out_reserve(&p->blocks, skips)) {
        memmove(p->blocks.data + skips, p->blocks.data, blocks);
        memcpy(p->blocks.data, p->skips.data, skips);
        p->blocks.len += skips;
    }
    if (p->blocks.failed || p->skips.failed || p->positions.failed)
        return false;
    if (p->with_positions)
        *out_positions = place_positions(p);
    return true;
}

void postings_out_free(struct postings_out *p)
{
    bytes_out_free(&p->skips);
    bytes_out_free(&p->blocks);
    bytes_out_free(&p->positions);
}
