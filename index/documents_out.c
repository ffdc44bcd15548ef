#include "index/documents_out.h"

#include <errno.h>
#include <lz4.h>

#include "common/err.h"
#include "index/score.h"
#include "index/sort.h"

int documents_out_open(struct documents_out *d, struct store_writer *store)
{
    *d = (struct documents_out){.store = store, .packed_room = LZ4_COMPRESSBOUND(STORE_BLOCK)};
    d->plain = malloc(STORE_BLOCK);
    d->packed = malloc(d->packed_room);
    int err = d->plain && d->packed ? stream_writer_open(&d->ids, store, SECTION_IDS) : -ENOMEM;
    return err ? err : stream_writer_open(&d->bodies, store, SECTION_BODIES);
}

void documents_out_close(struct documents_out *d)
{
    stream_writer_close(&d->ids);
    stream_writer_close(&d->bodies);
    struct bytes_out *arrays[] = {&d->lengths, &d->stamps, &d->id_places, &d->hashes, &d->body_blocks, &d->body_ends};
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++)
        bytes_out_free(arrays[i]);
    free(d->plain);
    free(d->packed);
    *d = (struct documents_out){0};
}

static void pack_block(struct documents_out *d)
{
    if (d->plain_used == 0)
        return;
    int size = LZ4_compress_default((const char *)d->plain, (char *)d->packed, (int)d->plain_used, (int)d->packed_room);
    uint64_t place = stream_writer_place(&d->bodies, d->packed, (size_t)size);
    uint32_t lengths[2] = {(uint32_t)size, (uint32_t)d->plain_used};
    bytes_out_append(&d->body_blocks, &place, sizeof place);
    bytes_out_append(&d->body_blocks, lengths, sizeof lengths);
    d->plain_used = 0;
}

/* Bodies are one run of bytes, cut into equal blocks: a large one spans several and needs no larger buffer. */
static void add_body(struct documents_out *d, struct str body)
{
    d->body_bytes += body.len;
    while (body.len) {
        size_t part = STORE_BLOCK - d->plain_used < body.len ? STORE_BLOCK - d->plain_used : body.len;
        memcpy(d->plain + d->plain_used, body.ptr, part);
        d->plain_used += part;
        body.ptr += part;
        body.len -= part;
        if (d->plain_used == STORE_BLOCK)
            pack_block(d);
    }
    bytes_out_append(&d->body_ends, &d->body_bytes, sizeof d->body_bytes);
}

static void add_id(struct documents_out *d, struct str id)
{
    uint8_t text[2 + UINT16_MAX];
    store_u16(text, (uint16_t)id.len);
    memcpy(text + 2, id.ptr, id.len);
    uint64_t place = stream_writer_place(&d->ids, text, 2 + id.len);
    bytes_out_append(&d->id_places, &place, sizeof place);
}

int documents_out_add(struct documents_out *d, const struct segment_document *document)
{
    if (document->id.len == 0 || document->id.len > UINT16_MAX || d->count == UINT32_MAX - 1 ||
        (d->count && document->stamp <= d->last_stamp))
        return ERR_INVALID;
    if (d->count == 0)
        d->first_stamp = document->stamp;
    d->last_stamp = document->stamp;
    bytes_out_append(&d->stamps, &document->stamp, sizeof document->stamp);
    bytes_out_append(&d->lengths, &document->length_code, 1);
    bytes_out_append(&d->hashes, &document->hash, sizeof document->hash);
    bytes_out_append(&d->hashes, &d->count, sizeof d->count);
    add_id(d, document->id);
    add_body(d, document->body);
    d->total_length += length_decoded[document->length_code];
    d->count++;
    return d->body_ends.failed || d->id_places.failed || d->hashes.failed || d->lengths.failed || d->stamps.failed ||
                   d->body_blocks.failed
               ? -ENOMEM
               : 0;
}

enum { HASH_ENTRY = 12 };

static int by_hash(const void *left, const void *right)
{
    uint64_t a = load_u64(left), b = load_u64(right);
    if (a != b)
        return a < b ? -1 : 1;
    uint32_t i = load_u32((const char *)left + 8), j = load_u32((const char *)right + 8);
    return (i > j) - (i < j);
}

static int put_hashes(struct documents_out *d)
{
    struct bytes_out sorted = {0}, numbers = {0};
    if (d->count)
        sort_in_place(d->hashes.data, d->count, HASH_ENTRY, by_hash);
    for (uint32_t i = 0; i < d->count; i++) {
        bytes_out_append(&sorted, d->hashes.data + (size_t)i * HASH_ENTRY, 8);
        bytes_out_append(&numbers, d->hashes.data + (size_t)i * HASH_ENTRY + 8, 4);
    }
    bool failed = sorted.failed || numbers.failed;
    store_put(d->store, SECTION_HASHES, 0, sorted.data, sorted.len);
    store_put(d->store, SECTION_HASH_DOCUMENTS, 0, numbers.data, numbers.len);
    bytes_out_free(&sorted);
    bytes_out_free(&numbers);
    return failed ? -ENOMEM : 0;
}

int documents_out_finish(struct documents_out *d)
{
    pack_block(d);
    stream_writer_finish(&d->ids);
    stream_writer_finish(&d->bodies);
    store_put(d->store, SECTION_LENGTHS, 0, d->lengths.data, d->lengths.len);
    store_put(d->store, SECTION_STAMPS, 0, d->stamps.data, d->stamps.len);
    store_put(d->store, SECTION_ID_PLACES, 0, d->id_places.data, d->id_places.len);
    store_put(d->store, SECTION_BODY_BLOCKS, 0, d->body_blocks.data, d->body_blocks.len);
    store_put(d->store, SECTION_BODY_ENDS, 0, d->body_ends.data, d->body_ends.len);
    return put_hashes(d);
}

size_t documents_out_memory(const struct documents_out *d)
{
    return d->lengths.room + d->stamps.room + d->id_places.room + 2 * d->hashes.room + d->body_blocks.room +
           d->body_ends.room + (size_t)2 * EXTENT_PAYLOAD;
}
