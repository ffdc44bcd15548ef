#include "index/dictionary.h"

#include "common/err.h"

int dictionary_out_open(struct dictionary_out *d, struct store_writer *store)
{
    *d = (struct dictionary_out){0};
    return stream_writer_open(&d->stream, store, SECTION_DICTIONARY);
}

void dictionary_out_close(struct dictionary_out *d)
{
    stream_writer_close(&d->stream);
    bytes_out_free(&d->block);
    bytes_out_free(&d->places);
}

static void end_block(struct dictionary_out *d)
{
    if (d->block.len == 0)
        return;
    uint64_t place = stream_writer_place(&d->stream, d->block.data, d->block.len);
    bytes_out_append(&d->places, &place, sizeof place);
    d->block.len = 0;
}

static size_t shared_prefix(struct str a, const char *b, size_t length)
{
    size_t most = a.len < length ? a.len : length, n = 0;
    while (n < most && a.ptr[n] == b[n])
        n++;
    return n;
}

static void put_list(struct bytes_out *b, struct list_place list)
{
    bytes_out_varint(b, list.place >> 32);
    bytes_out_varint(b, (uint32_t)list.place);
    bytes_out_varint(b, list.length);
}

int dictionary_out_add(struct dictionary_out *d, struct str key, const struct dictionary_entry *e)
{
    if (key.len < 2 || key.len > MAX_KEY || str_compare((struct str){d->key, d->key_length}, key) >= 0)
        return ERR_INVALID;
    if (d->terms % TERMS_PER_BLOCK == 0)
        end_block(d);
    size_t shared = d->block.len ? shared_prefix(key, d->key, d->key_length) : 0;
    bytes_out_varint(&d->block, shared);
    bytes_out_varint(&d->block, key.len - shared);
    bytes_out_append(&d->block, key.ptr + shared, key.len - shared);
    bytes_out_varint(&d->block, (uint64_t)e->documents << 1 | (e->flags & TERM_IS_WORD));
    put_list(&d->block, e->postings);
    if (key.ptr[0] == TERM_STEM)
        put_list(&d->block, e->positions);
    memcpy(d->key, key.ptr, key.len);
    d->key_length = key.len;
    d->terms++;
    return d->block.failed ? ERR_FULL : 0;
}

void dictionary_out_finish(struct dictionary_out *d)
{
    end_block(d);
    store_put(d->stream.store, SECTION_BLOCKS, 0, d->places.data, d->places.len);
    d->failed = d->block.failed || d->places.failed;
}

/* ------------------------------------------------------------------------------------------------------------- reading
 */

static const uint8_t *get_u32(const uint8_t *at, const uint8_t *end, uint32_t *out)
{
    uint64_t value;
    at = at ? varint_get(at, end, &value) : NULL;
    if (!at || value > UINT32_MAX)
        return NULL;
    *out = (uint32_t)value;
    return at;
}

static const uint8_t *get_list(const uint8_t *at, const uint8_t *end, struct list_place *out)
{
    uint32_t part = 0, offset = 0;
    at = get_u32(at, end, &part);
    at = get_u32(at, end, &offset);
    at = get_u32(at, end, &out->length);
    out->place = place_of(part, offset);
    return at;
}

const uint8_t *dictionary_read(const uint8_t *at, const uint8_t *end, char key[MAX_KEY], size_t *key_length,
                               struct dictionary_entry *out)
{
    uint32_t shared = 0, rest = 0;
    uint64_t documents;
    at = get_u32(at, end, &shared);
    at = get_u32(at, end, &rest);
    if (!at || shared > *key_length || rest > MAX_KEY - shared || rest > (size_t)(end - at))
        return NULL;
    memcpy(key + shared, at, rest);
    *key_length = shared + rest;
    at = varint_get(at + rest, end, &documents);
    if (!at || documents >> 1 > UINT32_MAX || *key_length < 2)
        return NULL;
    struct dictionary_entry e = {.documents = (uint32_t)(documents >> 1), .flags = (unsigned)(documents & 1)};
    at = get_list(at, end, &e.postings);
    if (key[0] == TERM_STEM)
        at = get_list(at, end, &e.positions);
    if (at)
        *out = e;
    return at;
}
