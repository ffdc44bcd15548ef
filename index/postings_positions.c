/* The positions of a block of a list. */
#include "index/postings.h"

#include "common/err.h"
#include "index/segment_parts.h"

/* Of a list in one place, or of a run of extents (postings.h). */
static int view_bytes(const struct posting_list *l, uint32_t from, uint32_t end, struct posting_block *b)
{
    const struct parts *parts = &l->segment->positions;
    uint32_t part = (uint32_t)(l->positions.place >> 32), offset = (uint32_t)l->positions.place;
    if (from > end || end > l->positions.length || part >= parts->count)
        return ERR_CORRUPT;
    uint32_t size = end - from;
    if (offset <= parts->extents[part].size && l->positions.length <= parts->extents[part].size - offset) {
        from += offset;
    } else {
        uint32_t further = from / EXTENT_PAYLOAD;
        from %= EXTENT_PAYLOAD;
        if (offset || further >= parts->count - part)
            return ERR_CORRUPT;
        part += further;
        if (from > parts->extents[part].size)
            return ERR_CORRUPT;
        /* The end is that of the extent where the next block begins another one. */
        if (size > parts->extents[part].size - from)
            size = parts->extents[part].size - from;
    }
    int err = segment_view(l->segment, parts, place_of(part, from), size, &b->positions);
    if (!err)
        b->positions_end = b->positions + size;
    return err;
}

/* To the first exception, with `index` the one before (of the first: 0, and the next is at index + its gap). */
static int next_exception(struct posting_block *b, uint32_t before)
{
    uint64_t gap;
    if (b->exceptions_left == 0)
        return 0;
    const uint8_t *at = varint_get(b->position_exceptions, b->positions_end, &gap);
    if (!at || gap > UINT32_MAX - before)
        return ERR_CORRUPT;
    b->position_exceptions = at;
    b->exception_index = before + (uint32_t)gap;
    return 0;
}

static int open_positions(const struct posting_list *l, struct posting_block *b)
{
    uint32_t from = b->number > 0 ? list_positions_end(l, b->number - 1) : 0, count = b->starts[b->count];
    uint64_t exceptions = 0;
    const uint8_t *at = NULL;
    int err = view_bytes(l, from, list_positions_end(l, b->number), b);
    if (!err && b->positions_end - b->positions >= 2)
        at = varint_get(b->positions + 1, b->positions_end, &exceptions);
    if (err || !at || b->positions[0] > 32 || exceptions > count)
        return err ? err : ERR_CORRUPT;
    b->position_bits = b->positions[0];
    uint64_t size = ((uint64_t)count * b->position_bits + 7) / 8;
    if (size > (size_t)(b->positions_end - at) || (b->position_bits == 0 && (exceptions || count != b->count)))
        return ERR_CORRUPT;
    b->positions = at;
    b->position_exceptions = at + size;
    b->exceptions_left = (uint32_t)exceptions;
    b->has_position_exceptions = exceptions > 0;
    return next_exception(b, 0);
}

/* Past those in front of `index`. A value and the gap behind it are most often two or three bytes. */
static int pass_exceptions(struct posting_block *b, uint32_t index)
{
    uint64_t value;
    while (b->exceptions_left && b->exception_index < index) {
        uint64_t word = load_u64(b->position_exceptions), ends = ~word & 0x8080808080808080u, further = ends & (ends - 1);
        unsigned gap_at = further ? (unsigned)__builtin_ctzll(ends) + 1 : 0;
        unsigned end = further ? (unsigned)__builtin_ctzll(further) + 1 : 0;
        b->exceptions_left--;
        if (b->exceptions_left && end == gap_at + 8 && end / 8 <= b->positions_end - b->position_exceptions) {
            b->exception_index += (uint32_t)(word >> gap_at & 127); /* it was below `index`: no more than 127 too far */
            b->position_exceptions += end / 8;
            continue;
        }
        b->position_exceptions = varint_get(b->position_exceptions, b->positions_end, &value);
        int err = b->position_exceptions ? next_exception(b, b->exception_index) : ERR_CORRUPT;
        if (err)
            return err;
    }
    return 0;
}

/* The value of the exception at `index`. */
static int take_exception(struct posting_block *b, uint32_t index, uint32_t *out)
{
    uint64_t value;
    int err = pass_exceptions(b, index);
    if (err || b->exceptions_left == 0 || b->exception_index != index)
        return ERR_CORRUPT;
    const uint8_t *at = varint_get(b->position_exceptions, b->positions_end, &value);
    if (!at || value > UINT32_MAX)
        return ERR_CORRUPT;
    b->position_exceptions = at;
    b->exceptions_left--;
    *out = (uint32_t)value;
    return next_exception(b, index);
}

/* Gaps to positions, from `base` on: they rise. */
static int add_up(uint32_t *gaps, uint32_t count, uint32_t base)
{
    uint64_t at = base;
    for (uint32_t i = 0; i < count; i++) {
        at += i > 0 ? (uint64_t)gaps[i] + 1 : gaps[i];
        if (at > UINT32_MAX)
            return ERR_CORRUPT;
        gaps[i] = (uint32_t)at;
    }
    return 0;
}

static int read_inlined(const struct posting_block *b, uint32_t i, uint32_t base, uint32_t *out)
{
    const uint8_t *at = b->inlined[i];
    uint32_t count = b->starts[i + 1] - b->starts[i];
    for (uint32_t k = 0; k < count; k++) {
        uint64_t gap;
        at = varint_get(at, b->end, &gap);
        if (!at || gap > UINT32_MAX)
            return ERR_CORRUPT;
        out[k] = (uint32_t)gap;
    }
    return add_up(out, count, base);
}

static int read_one_by_one(struct posting_block *b, uint32_t from, uint32_t count, uint32_t base, uint32_t *out)
{
    const uint32_t escape = (uint32_t)((UINT64_C(1) << b->position_bits) - 1);
    int err = 0;
    for (uint32_t k = 0; k < count && !err; k++) {
        out[k] = kernel_unpack_one(b->positions, b->position_bits, (size_t)from + k);
        if (b->has_position_exceptions && out[k] == escape)
            err = take_exception(b, from + k, &out[k]);
    }
    return err ? err : add_up(out, count, base);
}

/* Positions that were added up as if each of the `escaped` codes of all ones were a gap: from each exception on they are
 * moved by what it is more. */
static int put_exceptions(struct posting_block *b, uint32_t from, uint32_t count, size_t escaped, uint32_t *out)
{
    const uint32_t escape = (uint32_t)((UINT64_C(1) << b->position_bits) - 1), last = out[count - 1];
    uint64_t more = 0;
    uint32_t done = 0, value;
    int err = pass_exceptions(b, from);
    for (; !err && escaped > 0; escaped--) {
        uint32_t index = b->exception_index, at = index - from;
        if (b->exceptions_left == 0 || index < from || at >= count || at < done ||
            kernel_unpack_one(b->positions, b->position_bits, index) != escape)
            return ERR_CORRUPT;
        kernel_raise(out + done, at - done, (uint32_t)more);
        err = take_exception(b, index, &value);
        more += (uint64_t)value - escape;
        out[at] += (uint32_t)more;
        done = at + 1;
    }
    kernel_raise(out + done, count - done, (uint32_t)more);
    return err ? err : last + more > UINT32_MAX ? ERR_CORRUPT : 0;
}

/* All at once where the sum of so many gaps cannot be too large for a position. */
static int read_packed(const struct posting_list *l, struct posting_block *b, uint32_t from, uint32_t count,
                       uint32_t base, uint32_t *out)
{
    if (((uint64_t)count << b->position_bits) + base >= UINT32_MAX)
        return read_one_by_one(b, from, count, base, out);
    size_t escaped = l->kernels->unpack_run(b->positions, b->position_bits, from, count, base - 1, out);
    return escaped > 0 && b->has_position_exceptions ? put_exceptions(b, from, count, escaped, out) : 0;
}

/* Exceptions are passed in order: to go back is to begin again. */
static int reach(const struct posting_list *l, struct posting_block *b, uint32_t from)
{
    return b->positions && from >= b->positions_read ? 0 : open_positions(l, b);
}

static int inlined_of(const struct posting_block *b, const uint32_t *which, size_t count, uint32_t base, uint32_t *out)
{
    int err = 0;
    for (size_t i = 0; i < count && !err; i++) {
        err = read_inlined(b, which[i], base, out);
        out += b->starts[which[i] + 1] - b->starts[which[i]];
    }
    return err;
}

int block_positions_of(const struct posting_list *l, struct posting_block *b, const uint32_t *which, size_t count,
                       uint32_t base, uint32_t *out)
{
    if (l->inlined.len || count == 0)
        return inlined_of(b, which, count, base, out);
    int err = reach(l, b, b->starts[which[0]]);
    for (size_t i = 0; i < count && !err; i++) {
        uint32_t from = b->starts[which[i]], end = b->starts[which[i] + 1];
        err = end > from ? read_packed(l, b, from, end - from, base, out) : 0;
        out += end - from;
        b->positions_read = end;
    }
    if (err)
        b->positions = NULL;
    return err;
}

int block_positions(const struct posting_list *l, struct posting_block *b, uint32_t i, uint32_t base, uint32_t *out)
{
    int err = block_starts(l, b);
    return err ? err : block_positions_of(l, b, &i, 1, base, out);
}

/* ----------------------------------------------------------------------------------------------------------------- gaps
 */

static int inlined_gaps(const struct posting_block *b, uint32_t from, uint32_t end, uint32_t *out)
{
    for (uint32_t i = from; i < end; i++) {
        const uint8_t *at = b->inlined[i];
        for (uint32_t n = b->starts[i + 1] - b->starts[i]; n > 0; n--) {
            uint64_t gap;
            at = varint_get(at, b->end, &gap);
            if (!at || gap > UINT32_MAX)
                return ERR_CORRUPT;
            *out++ = (uint32_t)gap;
        }
    }
    return 0;
}

/* Into out[0] what is at index `first`, a multiple of 8: there a byte begins. */
static int packed_gaps(const struct posting_list *l, struct posting_block *b, uint32_t first, uint32_t from,
                       uint32_t end, uint32_t *out)
{
    const uint32_t escape = (uint32_t)((UINT64_C(1) << b->position_bits) - 1);
    l->kernels->unpack(b->positions + (size_t)first / 8 * b->position_bits, b->position_bits, end - first, 0, out);
    int err = pass_exceptions(b, from);
    while (!err && b->exceptions_left && b->exception_index < end) {
        uint32_t index = b->exception_index;
        if (index < from || out[index - first] != escape)
            return ERR_CORRUPT;
        err = take_exception(b, index, &out[index - first]);
    }
    return err;
}

/* Whether the last position of each posting is a number of 32 bits. */
static bool are_sums_right(const struct posting_block *b, uint32_t from, uint32_t end, const uint32_t *gaps)
{
    bool right = true;
    for (uint32_t i = from; i < end; i++) {
        uint32_t n = b->starts[i + 1] - b->starts[i];
        uint64_t last = n > 0 ? n - 1 : 0;
        for (; n > 0; n--)
            last += *gaps++;
        right &= last <= UINT32_MAX;
    }
    return right;
}

const uint32_t *block_gaps(const struct posting_list *l, struct posting_block *b, uint32_t from, uint32_t end,
                           uint32_t *out)
{
    uint32_t first = b->starts[from], last = b->starts[end];
    const uint32_t *gaps = out;
    int err;
    if (l->inlined.len) {
        err = inlined_gaps(b, from, end, out);
    } else {
        err = reach(l, b, first);
        b->positions_read = last;
        err = err ? err : packed_gaps(l, b, first & ~7u, first, last, out);
        gaps += first & 7;
    }
    if (!err && are_sums_right(b, from, end, gaps))
        return gaps;
    b->positions = NULL;
    return NULL;
}
