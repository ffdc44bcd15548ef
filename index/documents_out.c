#include "index/documents_out.h"

#include <errno.h>
#include <lz4.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "index/score.h"

int documents_out_open(struct documents_out *d, struct store_writer *store)
{
    *d = (struct documents_out){.store = store, .packed_room = LZ4_COMPRESSBOUND(STORE_BLOCK)};
    const struct {
        struct stream_writer *stream;
        enum section section;
        uint32_t room;
    } streams[] = {
        {&d->ids, SECTION_IDS, EXTENT_PAYLOAD},
        {&d->bodies, SECTION_BODIES, EXTENT_PAYLOAD},
        {&d->id_places, SECTION_ID_PLACES, TABLE_PAYLOAD},
        {&d->body_blocks, SECTION_BODY_BLOCKS, TABLE_PAYLOAD},
        {&d->body_ends, SECTION_BODY_ENDS, TABLE_PAYLOAD},
    };
    d->lengths.width = 1;
    d->stamps.width = 8;
    hashes_out_open(&d->hashes);
    d->plain = malloc(STORE_BLOCK);
    d->packed = malloc(d->packed_room);
    int err = d->plain && d->packed ? 0 : -ENOMEM;
    for (size_t i = 0; i < sizeof streams / sizeof streams[0] && !err; i++)
        err = stream_writer_open(streams[i].stream, store, streams[i].section, streams[i].room);
    return err;
}

static void free_streams(struct documents_out *d)
{
    struct stream_writer *streams[] = {&d->ids, &d->bodies, &d->id_places, &d->body_blocks, &d->body_ends};
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++) {
        uint32_t parts = streams[i]->part;
        stream_writer_close(streams[i]);
        streams[i]->part = parts;
    }
    free(d->plain);
    free(d->packed);
    d->plain = d->packed = NULL;
}

void documents_out_close(struct documents_out *d)
{
    free_streams(d);
    column_out_free(&d->lengths);
    column_out_free(&d->stamps);
    hashes_out_close(&d->hashes);
    bytes_out_free(&d->record);
    *d = (struct documents_out){0};
}

static void place_block(struct documents_out *d, struct str packed, uint32_t length)
{
    uint8_t entry[16];
    store_u64(entry, stream_writer_place(&d->bodies, packed.ptr, packed.len));
    store_u64(entry + 8, d->packed_bytes << BODY_SIZE_BITS | packed.len);
    stream_writer_place(&d->body_blocks, entry, sizeof entry);
    d->packed_bytes += length;
    d->body_block_count++;
}

static void pack_block(struct documents_out *d)
{
    if (d->plain_used == 0)
        return;
    int size = LZ4_compress_default((const char *)d->plain, (char *)d->packed, (int)d->plain_used, (int)d->packed_room);
    place_block(d, (struct str){(const char *)d->packed, (size_t)size}, (uint32_t)d->plain_used);
    d->plain_used = 0;
}

/* Bodies are one run of bytes, cut into equal blocks: a large one spans several and needs no larger buffer. */
void documents_out_bodies(struct documents_out *d, struct str bytes)
{
    while (bytes.len) {
        size_t part = STORE_BLOCK - d->plain_used < bytes.len ? STORE_BLOCK - d->plain_used : bytes.len;
        memcpy(d->plain + d->plain_used, bytes.ptr, part);
        d->plain_used += part;
        bytes.ptr += part;
        bytes.len -= part;
        if (d->plain_used == STORE_BLOCK)
            pack_block(d);
    }
}

/* What came before it ends in a shorter block. */
void documents_out_body_block(struct documents_out *d, struct str packed, uint32_t length)
{
    pack_block(d);
    place_block(d, packed, length);
}

static void end_body(struct documents_out *d, const struct segment_document *document)
{
    if (!document->body_is_written)
        documents_out_bodies(d, document->body);
    d->body_bytes += document->body.len;
    stream_writer_place(&d->body_ends, &d->body_bytes, sizeof d->body_bytes);
}

/* The id, and where which field lies (format.h). */
static int add_record(struct documents_out *d, const struct segment_document *document)
{
    struct bytes_out *r = &d->record;
    uint8_t head[RECORD_HEAD] = {0};
    uint32_t before = 0;
    r->len = 0;
    bytes_out_append(r, head, sizeof head);
    bytes_out_append(r, document->id.ptr, document->id.len);
    for (size_t i = 0; i < document->range_count; i++) {
        bytes_out_varint(r, document->ranges[i].field);
        bytes_out_varint(r, document->ranges[i].from - before);
        before = document->ranges[i].from;
    }
    if (r->failed)
        return -ENOMEM;
    store_u16(r->data, (uint16_t)document->id.len);
    store_u32(r->data + 2, (uint32_t)(r->len - RECORD_HEAD - document->id.len));
    uint64_t place = stream_writer_place(&d->ids, r->data, r->len);
    stream_writer_place(&d->id_places, &place, sizeof place);
    return 0;
}

int documents_out_add(struct documents_out *d, const struct segment_document *document)
{
    if (document->id.len == 0 || document->id.len > UINT16_MAX || d->count == UINT32_MAX - 1 ||
        (d->count && document->stamp <= d->last_stamp))
        return ERR_INVALID;
    if (d->count == 0)
        d->first_stamp = document->stamp;
    d->last_stamp = document->stamp;
    int err = column_out_append(&d->stamps, &document->stamp);
    if (!err)
        err = column_out_append(&d->lengths, &document->length_code);
    if (!err)
        err = hashes_out_add(&d->hashes, document->hash, d->count);
    if (!err)
        err = add_record(d, document);
    end_body(d, document);
    d->total_length += length_decoded[document->length_code];
    d->count++;
    return err;
}

int documents_out_finish(struct documents_out *d)
{
    pack_block(d);
    struct stream_writer *streams[] = {&d->ids, &d->bodies, &d->id_places, &d->body_blocks, &d->body_ends};
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++)
        stream_writer_finish(streams[i]);
    free_streams(d);
    column_out_put(&d->lengths, d->store, SECTION_LENGTHS);
    column_out_put(&d->stamps, d->store, SECTION_STAMPS);
    int err = hashes_out_put(&d->hashes, d->store);
    column_out_free(&d->stamps);
    hashes_out_close(&d->hashes);
    bytes_out_free(&d->record);
    return err;
}

float documents_out_average_length(const struct documents_out *d)
{
    return d->total_length > d->count ? (float)d->total_length / (float)d->count : 1.0F;
}
