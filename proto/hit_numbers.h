/* hit_numbers.h - a hit of a shard's answer (Executed.hits): numbers of 64 bits, one after the other.
 *
 *   | score | stamp | segment | document, dropped << 32 | length of its id, of its document << 32 |
 *
 * The last is 0 where no documents travel with the answer. */
#ifndef PROTO_HIT_NUMBERS_H
#define PROTO_HIT_NUMBERS_H

#include <stdint.h>

enum hit_number { HIT_SCORE, HIT_STAMP, HIT_SEGMENT, HIT_DOCUMENT, HIT_LENGTHS, HIT_NUMBERS };

static inline uint64_t hit_two(uint32_t low, uint32_t high)
{
    return (uint64_t)high << 32 | low;
}

static inline uint32_t hit_low(uint64_t two)
{
    return (uint32_t)two;
}

static inline uint32_t hit_high(uint64_t two)
{
    return (uint32_t)(two >> 32);
}

#endif
