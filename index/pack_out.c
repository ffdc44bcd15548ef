#include "index/pack_out.h"

static unsigned width_of(uint64_t value)
{
    return value ? 64U - (unsigned)__builtin_clzll(value) : 0;
}

unsigned pack_width(const uint32_t *values, size_t count)
{
    uint32_t all = 0;
    for (size_t i = 0; i < count; i++)
        all |= values[i];
    return width_of(all);
}

unsigned pack_choose(const uint32_t *values, size_t count, unsigned exception_bits, size_t most_exceptions,
                     size_t *out_exceptions)
{
    /* A value fits besides the code of all ones if the next one fits at all. */
    size_t needing[34] = {0}, above = 0;
    for (size_t i = 0; i < count; i++)
        needing[width_of((uint64_t)values[i] + 1)]++;
    unsigned best = pack_width(values, count);
    uint64_t cost = (uint64_t)best * count;
    *out_exceptions = 0;
    for (unsigned bits = 32; bits > 0; bits--) {
        above += needing[bits + 1];
        uint64_t other = (uint64_t)bits * count + (uint64_t)above * exception_bits;
        if (above > most_exceptions)
            break;
        if (above > 0 && other < cost) {
            best = bits;
            cost = other;
            *out_exceptions = above;
        }
    }
    return best;
}

void pack_append(struct bytes_out *out, const uint32_t *values, size_t count, unsigned bits)
{
    size_t size = (count * bits + 7) / 8;
    if (!bytes_out_reserve(out, size + sizeof(uint64_t)))
        return;
    uint8_t *to = out->data + out->len;
    uint64_t pending = 0, most = ((uint64_t)1 << bits) - 1;
    unsigned used = 0;
    for (size_t i = 0; i < count; i++) {
        pending |= (values[i] < most ? values[i] : most) << used;
        used += bits;
        for (; used >= 8; used -= 8, pending >>= 8)
            *to++ = (uint8_t)pending;
    }
    if (used)
        *to = (uint8_t)pending;
    out->len += size;
}
