/* A block of a list: its documents, T and n. */
#include "index/postings.h"

#include <string.h>

#include "common/err.h"
#include "index/segment_parts.h"

static uint32_t document_before(const struct posting_list *l, uint32_t block)
{
    return block > 0 ? list_last(l, block - 1) : UINT32_MAX;
}

static uint32_t count_of(const struct posting_list *l, uint32_t block)
{
    return block + 1 < l->blocks ? (uint32_t)POSTING_BLOCK : l->documents - block * POSTING_BLOCK;
}

/* -------------------------------------------------------------------------------------------------------------- inlined
 */

static const uint8_t *pass_over(const uint8_t *at, const uint8_t *end, uint64_t count)
{
    for (uint64_t v; at && count > 0; count--)
        at = varint_get(at, end, &v);
    return at;
}

/* T, n and where the positions are; the byte behind them, or NULL. */
static const uint8_t *read_inlined_counts(struct posting_block *b, uint32_t i, const uint8_t *at, const uint8_t *end)
{
    uint64_t t = 0, n = 0;
    at = varint_get(at, end, &t);
    n = t >> 1;
    if (at && t & 1)
        at = varint_get(at, end, &n);
    if (!at || t >> 1 == 0 || t >> 1 > INT32_MAX || n > INLINED_BYTES)
        return NULL;
    b->t[i] = (uint32_t)(t >> 1);
    b->starts[i + 1] = b->starts[i] + (uint32_t)n;
    b->inlined[i] = at;
    return pass_over(at, end, n);
}

static int enter_inlined(const struct posting_list *l, struct posting_block *b)
{
    const uint8_t *at = (const uint8_t *)l->inlined.ptr, *end = at + l->inlined.len;
    uint64_t gap, next = 0;
    b->starts[0] = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        at = varint_get(at, end, &gap);
        if (!at || gap >= l->limit || next + gap >= l->limit)
            return ERR_CORRUPT;
        b->documents[i] = (uint32_t)(next + gap);
        next += gap + 1;
        b->t[i] = 1;
        b->starts[i + 1] = 0;
        at = l->with_positions ? read_inlined_counts(b, i, at, end) : at;
        if (!at)
            return ERR_CORRUPT;
    }
    b->end = end;
    b->has_documents = b->has_t = b->has_starts = true;
    return at == end ? 0 : ERR_CORRUPT;
}

/* ------------------------------------------------------------------------------------------------------------ documents
 */

static bool rise_to(const uint32_t *documents, uint32_t count, uint32_t before, uint32_t limit)
{
    for (uint32_t i = 0; i < count; i++) {
        if (documents[i] >= limit || (before != UINT32_MAX && documents[i] <= before))
            return false;
        before = documents[i];
    }
    return true;
}

/* Gaps of few bits cannot wrap around: if the last number is the right one, all are. */
static bool unpack_documents(const struct posting_list *l, struct posting_block *b, const uint8_t *at, unsigned bits)
{
    uint32_t before = document_before(l, b->number), last;
    l->kernels->unpack_rising(at, bits, b->count, before, b->documents);
    last = b->documents[b->count - 1];
    bool may_wrap = bits > 22 || (uint64_t)l->limit + ((uint64_t)b->count << bits) > UINT32_MAX;
    if (may_wrap && !rise_to(b->documents, b->count, before, l->limit))
        return false;
    b->has_documents = true;
    return l->blocks > 1 ? last == list_last(l, b->number) : last < l->limit;
}

/* Its bits are as many as there are documents, none before the first that may be, and the last is that of `last`. */
static bool check_bitset(const struct posting_list *l, const struct posting_block *b)
{
    uint32_t first = document_before(l, b->number) + 1, last = list_last(l, b->number);
    uint64_t below = load_u64(b->bits) & ((UINT64_C(1) << first % 64) - 1);
    uint64_t top = load_u64(b->bits + 8 * (size_t)(b->words - 1)) >> last % 64;
    return below == 0 && top == 1 && l->kernels->count_bits(b->bits, b->words) == b->count;
}

/* Sets what is behind the documents, or NULL. */
static const uint8_t *enter_bitset(const struct posting_list *l, struct posting_block *b, const uint8_t *at)
{
    uint32_t first = document_before(l, b->number) + 1, last = list_last(l, b->number);
    if (l->blocks == 1)
        return NULL;
    b->base = first & ~63u;
    b->words = last / 64 - b->base / 64 + 1;
    b->bits = at;
    if (b->words > (size_t)(b->end - at) / 8 || !check_bitset(l, b))
        return NULL;
    return at + 8 * (size_t)b->words;
}

static const uint8_t *enter_packed(const struct posting_list *l, struct posting_block *b, const uint8_t *at,
                                   unsigned bits)
{
    size_t size = ((size_t)b->count * bits + 7) / 8;
    if (bits > 32 || size > (size_t)(b->end - at) || !unpack_documents(l, b, at, bits))
        return NULL;
    return at + size;
}

/* ------------------------------------------------------------------------------------------------------------- entering
 */

/* A block ends behind the one before and within the segment: what its documents are checked against. */
static bool are_bounds_right(const struct posting_list *l, uint32_t block)
{
    if (l->blocks == 1)
        return true;
    uint32_t last = list_last(l, block);
    return last < l->limit && (block == 0 || last > list_last(l, block - 1));
}

/* Neither T nor n is above INT32_MAX. */
enum { VALUE_BITS = 31 };

static const uint8_t *enter_values(struct packed_values *v, uint32_t count, const uint8_t *at, const uint8_t *end)
{
    size_t size = ((size_t)count * v->bits + 7) / 8;
    if (v->bits > VALUE_BITS || size > (size_t)(end - at) || (v->bits == 0 && v->exception_count))
        return NULL;
    v->packed = at;
    return at + size;
}

/* Checks what stands behind the packed values; its end, or NULL. */
static const uint8_t *enter_exceptions(struct packed_values *v, uint32_t count, const uint8_t *at, const uint8_t *end)
{
    uint64_t value;
    v->exceptions = at;
    for (unsigned i = 0; at && i < v->exception_count; i++) {
        at = at < end && *at < count ? varint_get(at + 1, end, &value) : NULL;
        if (at && value >= INT32_MAX)
            return NULL;
    }
    return at;
}

/* Its documents; what is behind them is read when it is asked for. */
static int read_documents(const struct posting_list *l, struct posting_block *b, const uint8_t *at)
{
    uint8_t kind = at[0], n_bits = at[3];
    b->t_values = (struct packed_values){.bits = at[1], .exception_count = at[2]};
    b->n_values = (struct packed_values){.bits = n_bits == N_IS_T ? 0 : n_bits, .exception_count = at[4]};
    if (!l->with_positions && (at[1] | at[2] | at[3] | at[4]))
        return ERR_CORRUPT;
    b->n_is_t = n_bits == N_IS_T;
    at += BLOCK_HEADER;
    b->values = kind == KIND_BITSET ? enter_bitset(l, b, at) : enter_packed(l, b, at, kind);
    return b->values ? 0 : ERR_CORRUPT;
}

int block_values(struct posting_block *b)
{
    if (b->has_values)
        return 0;
    const uint8_t *at = enter_values(&b->t_values, b->count, b->values, b->end);
    at = at ? enter_values(&b->n_values, b->count, at, b->end) : NULL;
    at = at ? enter_exceptions(&b->t_values, b->count, at, b->end) : NULL;
    at = at ? enter_exceptions(&b->n_values, b->count, at, b->end) : NULL;
    b->has_values = at == b->end;
    return b->has_values ? 0 : ERR_CORRUPT;
}

/* The bytes of a block, checked. */
static int view_block(const struct posting_list *l, struct posting_block *b, const uint8_t **out)
{
    uint32_t from = 0, end = l->size;
    if (l->blocks > 1) {
        from = b->number > 0 ? load_u32(l->ends + 4 * (size_t)(b->number - 1)) : 0;
        end = load_u32(l->ends + 4 * (size_t)b->number);
    }
    if (from > end || end > l->size || end - from < BLOCK_HEADER || !are_bounds_right(l, b->number))
        return ERR_CORRUPT;
    int err = segment_view(l->segment, &l->segment->postings, l->place + from, end - from, out);
    b->end = err ? NULL : *out + (end - from);
    return err;
}

static void leave(struct posting_block *b)
{
    b->number = NO_BLOCK;
    b->count = 0;
}

int block_enter_documents(const struct posting_list *l, uint32_t number, struct posting_block *b)
{
    const uint8_t *at;
    b->number = number;
    b->count = count_of(l, number);
    b->words = 0;
    b->has_documents = b->has_t = b->has_starts = false;
    b->has_values = l->inlined.len > 0;
    b->positions = NULL;
    int err;
    if (l->inlined.len) {
        err = enter_inlined(l, b);
    } else {
        err = view_block(l, b, &at);
        err = err ? err : read_documents(l, b, at);
    }
    if (err)
        leave(b);
    return err;
}

int block_enter(const struct posting_list *l, uint32_t number, struct posting_block *b)
{
    int err = block_enter_documents(l, number, b);
    if (!err)
        err = block_values(b);
    if (err)
        leave(b);
    return err;
}

void block_documents(const struct posting_list *l, struct posting_block *b)
{
    if (!b->has_documents)
        l->kernels->expand_bits(b->bits, b->words, b->base, b->documents);
    b->has_documents = true;
}

/* --------------------------------------------------------------------------------------------------------------- values
 */

/* All of them, plus 1. */
static void unpack_values(const struct posting_list *l, const struct packed_values *v, uint32_t count, uint32_t *out)
{
    const uint8_t *at = v->exceptions;
    l->kernels->unpack(v->packed, v->bits, count, 1, out);
    for (unsigned i = 0; i < v->exception_count; i++) {
        uint64_t value = 0;
        uint8_t index = *at;
        at = varint_get(at + 1, at + 1 + VARINT_MAX, &value); /* it was checked when the block was entered */
        out[index] = (uint32_t)value + 1;
    }
}

int block_frequencies(const struct posting_list *l, struct posting_block *b)
{
    if (b->has_t)
        return 0;
    int err = block_values(b);
    if (err)
        return err;
    unpack_values(l, &b->t_values, b->count, b->t);
    b->has_t = true;
    return 0;
}

static uint32_t find_exception(const struct packed_values *v, uint32_t i)
{
    const uint8_t *at = v->exceptions;
    uint64_t value = 0;
    for (unsigned n = 0; n < v->exception_count; n++) {
        uint8_t index = *at;
        at = varint_get(at + 1, at + 1 + VARINT_MAX, &value);
        if (index == i)
            return (uint32_t)value + 1;
    }
    return 1;
}

uint32_t block_t(const struct posting_block *b, uint32_t i)
{
    const struct packed_values *v = &b->t_values;
    if (b->has_t)
        return b->t[i];
    if (v->bits == 0)
        return 1;
    uint32_t code = kernel_unpack_one(v->packed, v->bits, i);
    bool is_exception = v->exception_count && code == (uint32_t)((UINT64_C(1) << v->bits) - 1);
    return is_exception ? find_exception(v, i) : code + 1;
}

/* So that nobody makes room for more than can be there. */
static bool are_positions_enough(const struct posting_list *l, const struct posting_block *b, uint64_t count)
{
    uint32_t from = b->number > 0 ? list_positions_end(l, b->number - 1) : 0, end = list_positions_end(l, b->number);
    return from <= end && count <= UINT32_MAX / 2 && (count <= b->count || count <= 8 * (uint64_t)(end - from));
}

enum { FEW_BITS = 22 /* counts of so many have sums of 32 bits */ };

/* Sums of counts as those of gaps; from each exception on they are moved by what it is more. The sum of all, or 0 if it is
 * damaged. */
static uint64_t add_up_packed(const struct posting_list *l, struct posting_block *b, const struct packed_values *v)
{
    const uint8_t *at = v->exceptions;
    uint32_t *sums = b->starts + 1, done = 0;
    uint64_t more = 0;
    l->kernels->unpack_rising(v->packed, v->bits, b->count, 0, sums);
    uint64_t sum = sums[b->count - 1];
    for (unsigned i = 0; i < v->exception_count; i++) {
        uint64_t value = 0;
        uint8_t index = *at;
        uint32_t code = kernel_unpack_one(v->packed, v->bits, index);
        at = varint_get(at + 1, at + 1 + VARINT_MAX, &value); /* it was checked when the block was entered */
        if (value < code || index < done)
            return 0;
        kernel_raise(sums + done, index - done, (uint32_t)more);
        more += value - code;
        done = index;
    }
    kernel_raise(sums + done, b->count - done, (uint32_t)more);
    return sum + more;
}

static uint64_t add_up_one_by_one(const struct posting_list *l, struct posting_block *b, const struct packed_values *v)
{
    uint32_t n[POSTING_BLOCK + KERNEL_OVERWRITE];
    uint64_t sum = 0;
    unpack_values(l, v, b->count, n);
    for (uint32_t i = 0; i < b->count; i++) {
        sum += n[i];
        b->starts[i + 1] = (uint32_t)sum;
    }
    return sum;
}

int block_starts(const struct posting_list *l, struct posting_block *b)
{
    if (b->has_starts)
        return 0;
    int err = block_values(b);
    if (err)
        return err;
    b->starts[0] = 0;
    if (l->with_positions) {
        const struct packed_values *v = b->n_is_t ? &b->t_values : &b->n_values;
        uint64_t sum = v->bits <= FEW_BITS ? add_up_packed(l, b, v) : add_up_one_by_one(l, b, v);
        if (sum == 0 || !are_positions_enough(l, b, sum))
            return ERR_CORRUPT;
    } else {
        memset(b->starts, 0, sizeof b->starts);
    }
    b->has_starts = true;
    return 0;
}
