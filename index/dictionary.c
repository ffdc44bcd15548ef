#include "index/dictionary.h"

#include "common/err.h"

int dictionary_out_open(struct dictionary_out *d, struct store_writer *store)
{
    *d = (struct dictionary_out){0};
    int err = stream_writer_open(&d->stream, store, SECTION_DICTIONARY, EXTENT_PAYLOAD);
    return err ? err : stream_writer_open(&d->index, store, SECTION_BLOCKS, TABLE_PAYLOAD);
}

void dictionary_out_close(struct dictionary_out *d)
{
    stream_writer_close(&d->stream);
    bytes_out_free(&d->block);
    stream_writer_close(&d->index);
}

enum { ELSEWHERE = 2, NIBBLE = 15 };

static void end_block(struct dictionary_out *d)
{
    if (d->block.len == 0)
        return;
    uint64_t at[2] = {stream_writer_place(&d->stream, d->block.data, d->block.len), d->prefix};
    stream_writer_place(&d->index, at, sizeof at);
    d->blocks++;
    d->block.len = 0;
}

static size_t shared_prefix(struct str a, const char *b, size_t length)
{
    size_t most = a.len < length ? a.len : length, n = 0;
    while (n < most && a.ptr[n] == b[n])
        n++;
    return n;
}

static void put_key(struct bytes_out *b, struct str key, size_t shared)
{
    size_t rest = key.len - shared;
    uint8_t head = (uint8_t)((shared < NIBBLE ? shared : NIBBLE) << 4 | (rest < NIBBLE ? rest : NIBBLE));
    bytes_out_append(b, &head, 1);
    if (shared >= NIBBLE)
        bytes_out_varint(b, shared - NIBBLE);
    if (rest >= NIBBLE)
        bytes_out_varint(b, rest - NIBBLE);
    bytes_out_append(b, key.ptr + shared, rest);
}

static void put_place(struct bytes_out *b, uint64_t place)
{
    bytes_out_varint(b, place >> 32);
    bytes_out_varint(b, (uint32_t)place);
}

static bool follows(struct list_place list, struct list_place before)
{
    return list.place == before.place + before.length;
}

static void put_lists(struct dictionary_out *d, const struct dictionary_entry *e, bool is_stem, bool is_first)
{
    bool elsewhere = is_first || !follows(e->postings, d->before.postings) ||
                     (is_stem && !follows(e->positions, d->before.positions));
    bytes_out_varint(&d->block, (uint64_t)e->documents << 2 | (elsewhere ? ELSEWHERE : 0) | (e->flags & TERM_IS_WORD));
    if (elsewhere) {
        put_place(&d->block, e->postings.place);
        put_place(&d->block, e->positions.place);
    }
    bytes_out_varint(&d->block, e->postings.length);
    if (is_stem)
        bytes_out_varint(&d->block, e->positions.length);
}

int dictionary_out_add(struct dictionary_out *d, struct str key, const struct dictionary_entry *e)
{
    if (key.len < 2 || key.len > MAX_KEY || str_compare((struct str){d->key, d->key_length}, key) >= 0)
        return ERR_INVALID;
    if (d->terms % TERMS_PER_BLOCK == 0)
        end_block(d);
    bool is_first = d->block.len == 0, is_stem = key.ptr[0] == TERM_STEM;
    if (is_first)
        d->prefix = dictionary_prefix(key);
    put_key(&d->block, key, is_first ? 0 : shared_prefix(key, d->key, d->key_length));
    put_lists(d, e, is_stem, is_first);
    memcpy(d->key, key.ptr, key.len);
    d->key_length = key.len;
    d->before = *e;
    d->terms++;
    return d->block.failed ? ERR_FULL : 0;
}

void dictionary_out_finish(struct dictionary_out *d)
{
    end_block(d);
    stream_writer_finish(&d->index);
    d->failed = d->block.failed;
}

/* ------------------------------------------------------------------------------------------------------------- reading
 */

static const uint8_t *get_u32(const uint8_t *at, const uint8_t *end, uint32_t *out)
{
    uint64_t value;
    if (at && at < end && *at < 0x80) {
        *out = *at;
        return at + 1;
    }
    at = at ? varint_get(at, end, &value) : NULL;
    if (!at || value > UINT32_MAX)
        return NULL;
    *out = (uint32_t)value;
    return at;
}

static const uint8_t *get_place(const uint8_t *at, const uint8_t *end, struct list_place *out)
{
    uint32_t part = 0, offset = 0;
    at = get_u32(at, end, &part);
    at = get_u32(at, end, &offset);
    *out = (struct list_place){.place = place_of(part, offset)};
    return at;
}

static const uint8_t *get_key(const uint8_t *at, const uint8_t *end, struct dictionary_step *step)
{
    if (at >= end)
        return NULL;
    uint32_t more = 0;
    step->shared = *at >> 4;
    step->rest = *at++ & NIBBLE;
    if (step->shared == NIBBLE) {
        at = get_u32(at, end, &more);
        if (more > MAX_KEY)
            return NULL;
        step->shared += more;
    }
    if (step->rest == NIBBLE) {
        at = get_u32(at, end, &more);
        if (more > MAX_KEY)
            return NULL;
        step->rest += more;
    }
    if (!at || step->rest == 0 || step->rest > (size_t)(end - at) || step->shared + step->rest > MAX_KEY)
        return NULL;
    step->bytes = at;
    return at + step->rest;
}

/* Places are checked against the extents when a list is opened, so that wrapping around does no harm here. */
static const uint8_t *get_lists(const uint8_t *at, const uint8_t *end, bool is_stem, struct dictionary_entry *entry)
{
    uint64_t documents;
    at = varint_get(at, end, &documents);
    if (!at || documents >> 2 > UINT32_MAX)
        return NULL;
    entry->documents = (uint32_t)(documents >> 2);
    entry->flags = (unsigned)(documents & TERM_IS_WORD);
    entry->postings.place += entry->postings.length;
    entry->positions.place += entry->positions.length;
    entry->positions.length = 0;
    if (documents & ELSEWHERE) {
        at = get_place(at, end, &entry->postings);
        at = get_place(at, end, &entry->positions);
    }
    at = get_u32(at, end, &entry->postings.length);
    return is_stem ? get_u32(at, end, &entry->positions.length) : at;
}

const uint8_t *dictionary_step(const uint8_t *at, const uint8_t *end, uint8_t *kind, struct dictionary_step *step,
                               struct dictionary_entry *entry)
{
    at = get_key(at, end, step);
    if (!at)
        return NULL;
    if (step->shared == 0)
        *kind = step->bytes[0];
    return get_lists(at, end, *kind == TERM_STEM, entry);
}

const uint8_t *dictionary_read(const uint8_t *at, const uint8_t *end, char key[MAX_KEY], size_t *key_length,
                               struct dictionary_entry *entry)
{
    struct dictionary_step step;
    uint8_t kind = (uint8_t)key[0];
    at = dictionary_step(at, end, &kind, &step, entry);
    if (!at || step.shared > *key_length || step.shared + step.rest < 2)
        return NULL;
    memcpy(key + step.shared, step.bytes, step.rest);
    *key_length = step.shared + step.rest;
    return at;
}
