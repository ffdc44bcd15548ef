/* random.h - the numbers of tests that are made of random input: the same ones in each run. */
#ifndef TESTS_UNIT_RANDOM_H
#define TESTS_UNIT_RANDOM_H

#include <stdint.h>

/* Of the program's only sequence, 32 bits that are good for kernels (xorshift). */
static inline uint32_t next(void)
{
    static uint64_t state = 88172645463325252U;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

/* Of a sequence of the caller's, 24 bits: what depends on a number can be made again from its seed. */
static inline uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

#endif
