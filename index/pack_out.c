#include "index/pack_out.h"

#include <string.h>

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

/* How many of the values need how many bits, where a value fits besides the code of all ones: so the next one must fit.
 * By turns into two counts, or each would wait for the one before. */
static void count_widths(const uint32_t *values, size_t count, uint32_t needing[34])
{
    uint32_t other[34] = {0};
    size_t i = 0;
    memset(needing, 0, sizeof other);
    for (; i + 2 <= count; i += 2) {
        needing[width_of((uint64_t)values[i] + 1)]++;
        other[width_of((uint64_t)values[i + 1] + 1)]++;
    }
    if (i < count)
        needing[width_of((uint64_t)values[i] + 1)]++;
    for (i = 0; i < 34; i++)
        needing[i] += other[i];
}

unsigned pack_choose(const uint32_t *values, size_t count, unsigned exception_bits, size_t most_exceptions,
                     size_t *out_exceptions)
{
    uint32_t needing[34];
    size_t above = 0;
    unsigned widest = pack_width(values, count), best = widest;
    uint64_t cost = (uint64_t)widest * count;
    *out_exceptions = 0;
    count_widths(values, count, needing);
    for (unsigned bits = widest; bits > 0; bits--) {
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
        if (used >= 32) {
            store_u32(to, (uint32_t)pending);
            to += 4;
            pending >>= 32;
            used -= 32;
        }
    }
    store_u32(to, (uint32_t)pending); /* its bytes behind the last bit are room that was reserved */
    out->len += size;
}
