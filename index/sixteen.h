/* sixteen.h - sixteen bytes at a time, and sets of them as bits, with what every x86-64 has (SSE2) or in plain C.
 * Runs in: shard, worker, bench. */
#ifndef INDEX_SIXTEEN_H
#define INDEX_SIXTEEN_H

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__) && !defined(SIXTEEN_IN_PLAIN_C)
#include <emmintrin.h>
#define SIXTEEN_HAS_SSE2 1
#endif

#define BYTES_OF_ONE UINT64_C(0x0101010101010101)

/* As a comparison gives it, a byte is 0 or 255. */
typedef uint8_t sixteen __attribute__((vector_size(16)));

static inline sixteen sixteen_at(const uint8_t *bytes)
{
    sixteen s;
    memcpy(&s, bytes, sizeof s);
    return s;
}

static inline sixteen sixteen_of(uint8_t byte)
{
    return (sixteen){0} + byte;
}

static inline sixteen sixteen_are(sixteen a, uint8_t byte)
{
    return (sixteen)(a == sixteen_of(byte));
}

/* The lowest bits of eight bytes as eight bits. */
static inline uint64_t gather_bits(uint64_t bytes)
{
    return (bytes & BYTES_OF_ONE) * UINT64_C(0x0102040810204080) >> 56;
}

/* Which bytes have their highest bit. */
static inline uint64_t sixteen_set(sixteen a)
{
#ifdef SIXTEEN_HAS_SSE2
    return (uint64_t)(unsigned)_mm_movemask_epi8((__m128i)a);
#else
    uint64_t two[2];
    memcpy(two, &a, sizeof two);
    return gather_bits(two[0] >> 7) | gather_bits(two[1] >> 7) << 8;
#endif
}

/* The first `count` (up to 16) of them; the others become 0. */
static inline sixteen sixteen_first(sixteen a, uint32_t count)
{
    static const uint8_t ones[32] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    return a & sixteen_at(ones + 16 - count);
}

/* Of each byte the sum of those in front of it, which must be below 256. */
static inline sixteen sixteen_sums_before(sixteen a)
{
#ifdef SIXTEEN_HAS_SSE2
    __m128i sums = _mm_slli_si128((__m128i)a, 1);
    sums = _mm_add_epi8(sums, _mm_slli_si128(sums, 1));
    sums = _mm_add_epi8(sums, _mm_slli_si128(sums, 2));
    sums = _mm_add_epi8(sums, _mm_slli_si128(sums, 4));
    return (sixteen)_mm_add_epi8(sums, _mm_slli_si128(sums, 8));
#else
    sixteen sums = {0};
    for (unsigned i = 1; i < sizeof a; i++)
        sums[i] = (uint8_t)(sums[i - 1] + a[i - 1]);
    return sums;
#endif
}

static inline uint32_t sixteen_sum(sixteen a)
{
#ifdef SIXTEEN_HAS_SSE2
    __m128i sums = _mm_sad_epu8((__m128i)a, _mm_setzero_si128());
    return (uint32_t)_mm_cvtsi128_si32(sums) + (uint32_t)_mm_extract_epi16(sums, 4);
#else
    uint32_t sum = 0;
    for (unsigned i = 0; i < sizeof a; i++)
        sum += a[i];
    return sum;
#endif
}

#endif
