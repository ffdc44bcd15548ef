/* pack_out.h - integers to as few bits as they need.  Runs in: worker. */
#ifndef INDEX_PACK_OUT_H
#define INDEX_PACK_OUT_H

#include <stddef.h>
#include <stdint.h>

#include "index/bytes_out.h"

/* Bits of the largest. */
unsigned pack_width(const uint32_t *values, size_t count);

/* The width that makes packed values and exceptions together the smallest; an exception costs `exception_bits` beside the
 * code of all ones in its place. *out_exceptions of the values are exceptions then: those that are not below that code. */
unsigned pack_choose(const uint32_t *values, size_t count, unsigned exception_bits, size_t most_exceptions,
                     size_t *out_exceptions);

/* Value i begins at bit i * bits, the rest of the last byte is 0. What does not fit becomes the code of all ones. */
void pack_append(struct bytes_out *out, const uint32_t *values, size_t count, unsigned bits);

static inline bool pack_is_exception(uint32_t value, unsigned bits)
{
    return bits < 32 && value >= ((uint32_t)1 << bits) - 1;
}

#endif
