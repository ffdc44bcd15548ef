#include "index/postings_out.h"

#include "index/pack_out.h"

enum {
    EXCEPTION_BITS = 20,          /* what one costs about: an index and a varint */
    POSITION_EXCEPTION_BITS = 26, /* a varint more */
};

static struct bytes_out *const *all_buffers(struct postings_out *p, struct bytes_out *out[8])
{
    struct bytes_out *all[8] = {&p->gaps,   &p->last,   &p->ends, &p->position_ends,
                                &p->maxima, &p->groups, &p->body, &p->positions};
    memcpy(out, all, sizeof all);
    return out;
}

void postings_out_begin(struct postings_out *p, struct stream_writer *positions)
{
    struct bytes_out *buffers[8];
    all_buffers(p, buffers);
    for (size_t i = 0; i < 8; i++)
        buffers[i]->len = 0;
    p->documents = p->count = p->blocks = 0;
    p->previous = p->before = UINT32_MAX;
    p->with_positions = positions != NULL;
    p->stream = positions;
    p->position_block = 0;
    p->run = 0;
}

/* ----------------------------------------------------------------------------------------------------------- positions
 */

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

static void put_position_exceptions(struct postings_out *p, const uint32_t *gaps, size_t count, unsigned bits)
{
    size_t before = 0;
    for (size_t i = 0; i < count; i++) {
        if (!pack_is_exception(gaps[i], bits))
            continue;
        bytes_out_varint(&p->positions, i - before);
        bytes_out_varint(&p->positions, gaps[i]);
        before = i;
    }
}

/* A block that does not fit behind the ones before begins the next extent; where it begins was said already. */
static void put_positions(struct postings_out *p)
{
    const uint32_t *gaps = (const uint32_t *)(const void *)p->gaps.data;
    size_t count = p->gaps.len / sizeof *gaps, exceptions, begin = p->positions.len;
    unsigned bits = pack_choose(gaps, count, POSITION_EXCEPTION_BITS, count, &exceptions);
    if (bits == 0 && count > p->count)
        bits = 1; /* a reader bounds counts by what positions take */
    uint8_t head = (uint8_t)bits;
    bytes_out_append(&p->positions, &head, 1);
    bytes_out_varint(&p->positions, exceptions);
    pack_append(&p->positions, gaps, count, bits);
    if (exceptions)
        put_position_exceptions(p, gaps, count, bits);
    p->gaps.len = 0;
    if (p->positions.failed || p->position_ends.failed)
        return;
    if (p->positions.len > EXTENT_PAYLOAD && begin) {
        write_extent(p, begin);
        store_u32(p->position_ends.data + p->position_ends.len - 4, (uint32_t)p->run);
    }
    if (p->positions.len > EXTENT_PAYLOAD)
        write_extent(p, p->positions.len);
}

/* --------------------------------------------------------------------------------------------------------------- blocks
 */

static void put_u32(struct bytes_out *b, uint64_t value)
{
    uint32_t v = (uint32_t)value;
    bytes_out_append(b, &v, sizeof v);
}

static void put_bitset(struct postings_out *p)
{
    uint32_t base = (p->before + 1) & ~63u, words = p->previous / 64 - base / 64 + 1;
    if (!bytes_out_reserve(&p->body, 8 * (size_t)words))
        return;
    uint8_t *to = p->body.data + p->body.len;
    memset(to, 0, 8 * (size_t)words);
    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t bit = p->numbers[i] - base;
        to[bit / 8] = (uint8_t)(to[bit / 8] | 1u << bit % 8);
    }
    p->body.len += 8 * (size_t)words;
}

static void gaps_of(const struct postings_out *p, uint32_t *out)
{
    uint32_t before = p->before;
    for (uint32_t i = 0; i < p->count; i++) {
        out[i] = p->numbers[i] - before - 1;
        before = p->numbers[i];
    }
}

/* A bitset is read so much faster that it may be a bit per document larger. */
static bool is_bitset_better(const struct postings_out *p, unsigned bits)
{
    uint64_t span = (uint64_t)p->previous - (uint32_t)(p->before + 1) + 64;
    return span <= (uint64_t)(bits + 1) * p->count;
}

static void put_documents(struct postings_out *p, size_t head, bool is_only)
{
    uint32_t gaps[POSTING_BLOCK];
    gaps_of(p, gaps);
    unsigned bits = pack_width(gaps, p->count);
    bool is_bitset = !is_only && is_bitset_better(p, bits);
    if (is_bitset)
        put_bitset(p);
    else
        pack_append(&p->body, gaps, p->count, bits);
    if (!p->body.failed)
        p->body.data[head] = (uint8_t)(is_bitset ? KIND_BITSET : bits);
}

static void put_exceptions(struct postings_out *p, const uint32_t *values, unsigned bits, size_t exceptions)
{
    for (uint32_t i = 0; i < p->count && exceptions; i++) {
        uint8_t index = (uint8_t)i;
        if (!pack_is_exception(values[i], bits))
            continue;
        bytes_out_append(&p->body, &index, 1);
        bytes_out_varint(&p->body, values[i]);
    }
}

static bool n_is_t(const struct postings_out *p)
{
    return memcmp(p->n, p->t, p->count * sizeof *p->n) == 0;
}

static void put_values(struct postings_out *p, size_t head)
{
    uint32_t t[POSTING_BLOCK], n[POSTING_BLOCK];
    size_t t_exceptions, n_exceptions = 0;
    bool alike = n_is_t(p);
    for (uint32_t i = 0; i < p->count; i++) {
        t[i] = p->t[i] - 1;
        n[i] = p->n[i] - 1;
    }
    unsigned t_bits = pack_choose(t, p->count, EXCEPTION_BITS, UINT8_MAX, &t_exceptions);
    unsigned n_bits = alike ? 0 : pack_choose(n, p->count, EXCEPTION_BITS, UINT8_MAX, &n_exceptions);
    pack_append(&p->body, t, p->count, t_bits);
    pack_append(&p->body, n, alike ? 0 : p->count, n_bits);
    put_exceptions(p, t, t_bits, t_exceptions);
    put_exceptions(p, n, n_bits, n_exceptions);
    if (p->body.failed)
        return;
    uint8_t values[] = {(uint8_t)t_bits, (uint8_t)t_exceptions, alike ? N_IS_T : (uint8_t)n_bits,
                        (uint8_t)n_exceptions};
    memcpy(p->body.data + head + 1, values, sizeof values);
}

static void end_group(struct postings_out *p)
{
    uint8_t pairs[MAXIMA];
    maxima_out_end(&p->group_maxima, p->average_length, pairs);
    bytes_out_append(&p->groups, pairs, sizeof pairs);
}

/* Into the arrays. */
static void describe_block(struct postings_out *p)
{
    uint8_t pairs[MAXIMA];
    for (uint32_t i = 0; i < p->count; i++)
        maxima_out_add(&p->block_maxima, p->t[i], column_out_byte(p->lengths, p->numbers[i]));
    maxima_out_join(&p->group_maxima, &p->block_maxima);
    maxima_out_end(&p->block_maxima, p->average_length, pairs);
    put_u32(&p->last, p->previous);
    put_u32(&p->ends, p->body.len);
    put_u32(&p->position_ends, p->run + p->positions.len);
    bytes_out_append(&p->maxima, pairs, sizeof pairs);
    if (++p->blocks % GROUP_BLOCKS == 0)
        end_group(p);
}

static void end_block(struct postings_out *p, bool is_only)
{
    static const uint8_t header[BLOCK_HEADER];
    size_t head = p->body.len;
    bytes_out_append(&p->body, header, sizeof header);
    put_documents(p, head, is_only);
    if (p->with_positions) {
        put_values(p, head);
        put_positions(p);
    }
    if (!is_only)
        describe_block(p);
    p->before = p->previous;
    p->count = 0;
}

bool postings_out_add(struct postings_out *p, uint32_t document, uint32_t t, const uint32_t *positions, size_t count)
{
    if (p->count == POSTING_BLOCK)
        end_block(p, false);
    p->numbers[p->count] = document;
    p->t[p->count] = t;
    p->n[p->count++] = (uint32_t)count;
    p->previous = document;
    p->documents++;
    if (!p->with_positions || !bytes_out_reserve(&p->gaps, count * sizeof *positions))
        return true;
    uint32_t *gaps = (uint32_t *)(void *)(p->gaps.data + p->gaps.len);
    bool rise = true;
    gaps[0] = positions[0];
    for (size_t i = 1; i < count; i++) {
        gaps[i] = positions[i] - positions[i - 1] - 1;
        rise &= positions[i] > positions[i - 1];
    }
    p->gaps.len += count * sizeof *gaps;
    return rise;
}

/* As many as the open block has room for; words have T = 1 and no positions. */
static size_t add_some(struct postings_out *p, const struct posting_run *run)
{
    size_t room = POSTING_BLOCK - p->count, count = run->count < room ? run->count : room, positions = 0;
    memcpy(p->numbers + p->count, run->documents, count * sizeof *run->documents);
    for (size_t i = 0; i < count; i++) {
        p->t[p->count + i] = run->t ? run->t[i] : 1;
        p->n[p->count + i] = run->n ? run->n[i] : 0;
        positions += p->n[p->count + i];
    }
    bytes_out_append(&p->gaps, run->gaps, positions * sizeof *run->gaps);
    p->count += (uint32_t)count;
    p->documents += (uint32_t)count;
    p->previous = run->documents[count - 1];
    return positions;
}

void postings_out_add_run(struct postings_out *p, const struct posting_run *run)
{
    struct posting_run rest = *run;
    while (rest.count) {
        if (p->count == POSTING_BLOCK)
            end_block(p, false);
        uint32_t before = p->count;
        size_t positions = add_some(p, &rest), added = p->count - before;
        rest.documents += added;
        rest.t += rest.t ? added : 0;
        rest.n += rest.n ? added : 0;
        rest.gaps += rest.gaps ? positions : 0;
        rest.count -= added;
    }
}

/* -------------------------------------------------------------------------------------------------------------- the end
 */

static void put_inlined(struct postings_out *p)
{
    const uint32_t *gaps = (const uint32_t *)(const void *)p->gaps.data;
    uint32_t before = UINT32_MAX;
    for (uint32_t i = 0; i < p->count && p->body.len <= INLINED_BYTES; i++) {
        bytes_out_varint(&p->body, p->numbers[i] - before - 1);
        before = p->numbers[i];
        if (!p->with_positions)
            continue;
        bytes_out_varint(&p->body, (uint64_t)p->t[i] << 1 | (p->n[i] != p->t[i]));
        if (p->n[i] != p->t[i])
            bytes_out_varint(&p->body, p->n[i]);
        for (uint32_t k = 0; k < p->n[i] && p->body.len <= INLINED_BYTES; k++)
            bytes_out_varint(&p->body, *gaps++);
    }
}

/* False if the list is too large for it; nothing was done then. */
static bool end_inlined(struct postings_out *p, struct dictionary_entry *out)
{
    if (p->blocks || p->count > INLINED_DOCUMENTS)
        return false;
    put_inlined(p);
    if (p->body.len > INLINED_BYTES || p->body.failed) {
        p->body.len = 0;
        return false;
    }
    out->inlined = (struct str){.ptr = (const char *)p->body.data, .len = p->body.len};
    return true;
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

/* In front of the blocks. */
static void put_arrays(struct postings_out *p)
{
    const struct bytes_out *arrays[] = {&p->last, &p->ends, &p->position_ends, &p->maxima, &p->groups};
    size_t size = 0, blocks = p->body.len;
    if (!p->with_positions)
        p->position_ends.len = 0;
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        size += arrays[i]->len;
    if (!bytes_out_reserve(&p->body, size))
        return;
    memmove(p->body.data + size, p->body.data, blocks);
    uint8_t *to = p->body.data;
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        if (arrays[i]->len)
            memcpy(to, arrays[i]->data, arrays[i]->len);
        to += arrays[i]->len;
    }
    p->body.len += size;
}

static bool has_failed(struct postings_out *p)
{
    struct bytes_out *buffers[8];
    bool failed = false;
    all_buffers(p, buffers);
    for (size_t i = 0; i < 8; i++)
        failed |= buffers[i]->failed;
    return failed;
}

bool postings_out_end(struct postings_out *p, struct dictionary_entry *out)
{
    out->documents = p->documents;
    if (p->documents == 0 || end_inlined(p, out))
        return !has_failed(p);
    bool is_only = p->blocks == 0;
    end_block(p, is_only);
    if (p->blocks % GROUP_BLOCKS)
        end_group(p);
    if (!is_only)
        put_arrays(p);
    if (has_failed(p) || p->body.len > UINT32_MAX / 2 || p->run + p->positions.len > UINT32_MAX / 2)
        return false;
    if (p->with_positions)
        out->positions = place_positions(p);
    return true;
}

void postings_out_free(struct postings_out *p)
{
    struct bytes_out *buffers[8];
    all_buffers(p, buffers);
    for (size_t i = 0; i < 8; i++)
        bytes_out_free(buffers[i]);
}
