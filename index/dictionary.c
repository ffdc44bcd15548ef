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
    bytes_out_free(&d->texts);
    bytes_out_free(&d->longs);
    bytes_out_free(&d->entries);
    bytes_out_free(&d->block);
    stream_writer_close(&d->index);
}

enum { ELSEWHERE = 1, INLINED = 2, FLAG_BITS = 2, NIBBLE = 15, BLOCK_HEADER = 5, PLACES = 16 };

/* A text is at most two varints of two bytes longer than its rest. */
static_assert(TERMS_PER_BLOCK * (1 + MAX_KEY + 4) <= UINT16_MAX, "heads, lasts and texts fit their size");
static_assert((int)DICTIONARY_OVERREAD <= (int)PLACES, "what follows the texts may be read with them");
static_assert(TERMS_PER_BLOCK <= UINT8_MAX, "terms of a block fit their number");

static void end_block(struct dictionary_out *d)
{
    if (d->block_terms == 0)
        return;
    struct bytes_out *b = &d->block;
    uint8_t header[BLOCK_HEADER] = {(uint8_t)d->block_terms};
    uint64_t places[2] = {d->postings, d->positions};
    size_t short_size = 2 * d->block_terms + d->texts.len;
    store_u16(header + 1, (uint16_t)short_size);
    store_u16(header + 3, (uint16_t)(short_size + d->longs.len));
    b->len = 0;
    bytes_out_append(b, header, sizeof header);
    bytes_out_append(b, d->heads, d->block_terms);
    bytes_out_append(b, d->lasts, d->block_terms);
    bytes_out_append(b, d->texts.data, d->texts.len);
    bytes_out_append(b, d->longs.data, d->longs.len);
    bytes_out_append(b, places, sizeof places);
    bytes_out_append(b, d->sizes, d->block_terms);
    bytes_out_append(b, d->entries.data, d->entries.len);

    uint64_t at[2] = {stream_writer_place(&d->stream, b->data, b->len), d->prefix};
    stream_writer_place(&d->index, at, sizeof at);
    d->blocks++;
    d->block_terms = 0;
    d->texts.len = d->longs.len = d->entries.len = 0;
    d->has_places = false;
    d->postings = d->positions = 0;
}

static size_t shared_prefix(struct str a, const char *b, size_t length)
{
    size_t most = a.len < length ? a.len : length, n = 0;
    while (n < most && a.ptr[n] == b[n])
        n++;
    return n;
}

static void put_key(struct dictionary_out *d, struct str key, size_t shared)
{
    size_t rest = key.len - shared;
    struct bytes_out *texts = shared >= NIBBLE || rest >= NIBBLE ? &d->longs : &d->texts;
    d->heads[d->block_terms] = (uint8_t)((shared < NIBBLE ? shared : NIBBLE) << 4 | (rest < NIBBLE ? rest : NIBBLE));
    if (shared >= NIBBLE)
        bytes_out_varint(texts, shared - NIBBLE);
    if (rest >= NIBBLE)
        bytes_out_varint(texts, rest - NIBBLE);
    bytes_out_append(texts, key.ptr + shared, rest - 1);
    d->lasts[d->block_terms] = (uint8_t)key.ptr[key.len - 1];
}

static bool is_behind(uint64_t place, uint64_t base)
{
    return place >> 32 == base >> 32 && place >= base;
}

static void put_list(struct bytes_out *b, struct list_place list, uint64_t base, bool elsewhere)
{
    if (elsewhere)
        bytes_out_varint(b, list.place >> 32);
    bytes_out_varint(b, elsewhere ? (uint32_t)list.place : list.place - base);
    bytes_out_varint(b, list.length);
}

static void put_lists(struct dictionary_out *d, const struct dictionary_entry *e, uint64_t documents, bool is_stem)
{
    if (!d->has_places) {
        d->postings = e->postings.place;
        d->positions = is_stem ? e->positions.place : 0;
        d->has_places = true;
    }
    bool elsewhere = !is_behind(e->postings.place, d->postings) ||
                     (is_stem && !is_behind(e->positions.place, d->positions));
    bytes_out_varint(&d->entries, documents | (elsewhere ? ELSEWHERE : 0));
    put_list(&d->entries, e->postings, d->postings, elsewhere);
    if (is_stem)
        put_list(&d->entries, e->positions, d->positions, elsewhere);
}

/* Its size, or 0 if an inlined list is too long. */
static size_t put_entry(struct dictionary_out *d, const struct dictionary_entry *e, bool is_stem)
{
    size_t before = d->entries.len;
    uint64_t documents = (uint64_t)e->documents << FLAG_BITS;
    if (e->inlined.len) {
        bytes_out_varint(&d->entries, documents | INLINED);
        bytes_out_append(&d->entries, e->inlined.ptr, e->inlined.len);
    } else {
        put_lists(d, e, documents, is_stem);
    }
    size_t size = d->entries.len - before;
    return size <= UINT8_MAX ? size : 0;
}

int dictionary_out_add(struct dictionary_out *d, struct str key, const struct dictionary_entry *e)
{
    if (key.len < 2 || key.len > MAX_KEY || str_compare((struct str){d->key, d->key_length}, key) >= 0)
        return ERR_INVALID;
    if (d->block_terms == TERMS_PER_BLOCK || d->key[0] != key.ptr[0])
        end_block(d);
    bool is_first = d->block_terms == 0;
    if (is_first)
        d->prefix = dictionary_prefix(key);
    put_key(d, key, is_first ? 0 : shared_prefix(key, d->key, d->key_length));
    size_t size = put_entry(d, e, key.ptr[0] == TERM_STEM);
    if (size == 0)
        return d->entries.failed ? ERR_FULL : ERR_INVALID;
    d->sizes[d->block_terms] = (uint8_t)size;
    memcpy(d->key, key.ptr, key.len);
    d->key_length = key.len;
    d->block_terms++;
    d->terms++;
    return d->texts.failed || d->longs.failed || d->entries.failed || d->block.failed ? ERR_FULL : 0;
}

void dictionary_out_finish(struct dictionary_out *d)
{
    end_block(d);
    stream_writer_finish(&d->index);
    d->failed = d->texts.failed || d->longs.failed || d->entries.failed || d->block.failed;
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

static uint8_t kind_of_any_first(const struct dictionary_block *b)
{
    struct dictionary_text first;
    bool is_long = dictionary_is_long(b->heads[0]);
    bool ok = is_long ? dictionary_long_text(b, 0, b->longs, &first) : dictionary_short_text(b, 0, b->texts, &first);
    return ok ? dictionary_first(&first) : 0;
}

/* A key has its kind and at least one byte more, so that this is the first of its text: nearly always one that is short, or
 * whose length is said in a byte. Whether the text is whole is seen when it is read. */
static uint8_t kind_of_first(const struct dictionary_block *b)
{
    uint8_t head = b->heads[0];
    if (head > 1 && head < NIBBLE && b->texts < b->longs)
        return b->texts[0];
    if (head == NIBBLE && b->text_end - b->longs > 1 && b->longs[0] < 0x80)
        return b->longs[1];
    return kind_of_any_first(b);
}

bool dictionary_block_open(struct dictionary_block *b, const uint8_t *at, const uint8_t *end)
{
    if (end - at < BLOCK_HEADER)
        return false;
    uint32_t terms = at[0], longs = load_u16(at + 1), size = load_u16(at + 3);
    at += BLOCK_HEADER;
    if (terms == 0 || terms > TERMS_PER_BLOCK || 2 * terms > longs || longs > size || size + PLACES + terms > end - at)
        return false;
    *b = (struct dictionary_block){
        .heads = at,
        .lasts = at + terms,
        .texts = at + 2 * terms,
        .longs = at + longs,
        .text_end = at + size,
        .text = at + 2 * terms,
        .next_long = at + longs,
        .sizes = at + size + PLACES,
        .entries = at + size + PLACES + terms,
        .end = end,
        .terms = terms,
    };
    b->kind = kind_of_first(b);
    return b->kind == TERM_STEM || b->kind == TERM_WORD;
}

static const uint8_t *get_length(const uint8_t *at, const uint8_t *end, uint32_t *length)
{
    uint32_t more = 0;
    if (*length < NIBBLE)
        return at;
    at = get_u32(at, end, &more);
    if (!at || more > MAX_KEY)
        return NULL;
    *length += more;
    return at;
}

bool dictionary_longer_text(const struct dictionary_block *b, uint32_t term, const uint8_t *at, struct dictionary_text *t)
{
    uint8_t head = b->heads[term];
    *t = (struct dictionary_text){.shared = head >> 4, .rest = head & NIBBLE, .last = b->lasts[term]};
    at = get_length(at, b->text_end, &t->shared);
    if (at)
        at = get_length(at, b->text_end, &t->rest);
    t->bytes = at;
    return at && t->rest > 0 && t->shared + t->rest <= MAX_KEY && t->rest - 1 <= (size_t)(b->text_end - at) &&
           (t->shared == 0) == (term == 0);
}

/* Places are checked against the extents when a list is opened, so that wrapping around does no harm here. */
static const uint8_t *get_list(const uint8_t *at, const uint8_t *end, const uint8_t *base, bool elsewhere,
                               struct list_place *out)
{
    uint32_t part = 0, offset = 0;
    if (elsewhere)
        at = get_u32(at, end, &part);
    at = get_u32(at, end, &offset);
    out->place = elsewhere ? place_of(part, offset) : load_u64(base) + offset;
    return get_u32(at, end, &out->length);
}

static bool get_entry(const struct dictionary_block *b, const uint8_t *at, const uint8_t *end,
                      struct dictionary_entry *out)
{
    uint64_t documents;
    const uint8_t *places = b->text_end;
    at = varint_get(at, end, &documents);
    if (!at || documents >> FLAG_BITS > UINT32_MAX)
        return false;
    *out = (struct dictionary_entry){.documents = (uint32_t)(documents >> FLAG_BITS)};
    if (documents & INLINED) {
        out->inlined = (struct str){(const char *)at, (size_t)(end - at)};
        return at < end;
    }
    at = get_list(at, end, places, documents & ELSEWHERE, &out->postings);
    if (b->kind == TERM_STEM)
        at = get_list(at, end, places + 8, documents & ELSEWHERE, &out->positions);
    return at == end;
}

static bool entry_at(const struct dictionary_block *b, size_t before, size_t size, struct dictionary_entry *out)
{
    if (before + size > (size_t)(b->end - b->entries))
        return false;
    return get_entry(b, b->entries + before, b->entries + before + size, out);
}

/* Eight at a time, in four lanes. */
static size_t sum_sizes(const uint8_t *sizes, uint32_t count)
{
    const uint64_t low = UINT64_C(0x00ff00ff00ff00ff);
    uint64_t lanes = 0;
    uint32_t i = 0;
    for (; i + 8 <= count; i += 8) {
        uint64_t eight = load_u64(sizes + i);
        lanes += (eight & low) + (eight >> 8 & low);
    }
    size_t sum = lanes * UINT64_C(0x0001000100010001) >> 48;
    for (; i < count; i++)
        sum += sizes[i];
    return sum;
}

bool dictionary_entry(const struct dictionary_block *b, uint32_t term, struct dictionary_entry *out)
{
    size_t before = sum_sizes(b->sizes, term);
    return entry_at(b, before, b->sizes[term], out);
}

bool dictionary_entry_of_last(struct dictionary_block *b, struct dictionary_entry *out)
{
    for (; b->entry + 1 < b->at; b->entry++)
        b->entry_at += b->sizes[b->entry];
    return entry_at(b, b->entry_at, b->sizes[b->entry], out);
}

bool dictionary_read(struct dictionary_block *b, char key[DICTIONARY_KEY], size_t *key_length, struct dictionary_entry *out)
{
    struct dictionary_text t;
    bool is_first = b->at == 0;
    if (!dictionary_text(b, &t) || (!is_first && t.shared > *key_length) || t.shared + t.rest < 2)
        return false;
    dictionary_copy((uint8_t *)key + t.shared, &t);
    *key_length = t.shared + t.rest;
    return dictionary_entry_of_last(b, out);
}
