/* kernels_bits.h - kernels over words of bits that are the same everywhere but for the instructions they become: each
 * kind of processor inlines them. */
#ifndef INDEX_KERNELS_BITS_H
#define INDEX_KERNELS_BITS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "index/kernels.h"

#define KERNEL_INLINE static inline __attribute__((always_inline))

KERNEL_INLINE uint64_t word_at(const uint8_t *words, size_t i)
{
    uint64_t word;
    memcpy(&word, words + 8 * i, sizeof word);
    return word;
}

KERNEL_INLINE size_t unpack_run_inline(const uint8_t *in, unsigned bits, size_t first, size_t count, uint32_t before,
                                       uint32_t *out)
{
    const uint32_t escape = (uint32_t)((UINT64_C(1) << bits) - 1);
    size_t escaped = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t gap = kernel_unpack_one(in, bits, first + i);
        escaped += gap == escape;
        before += 1 + gap;
        out[i] = before;
    }
    return escaped;
}

KERNEL_INLINE bool meet_inline(const uint32_t *a, size_t count_a, const uint32_t *b, size_t count_b)
{
    for (size_t i = 0, j = 0; i < count_a && j < count_b;) {
        uint32_t x = a[i], y = b[j];
        if (x == y)
            return true;
        i += x < y;
        j += y < x;
    }
    return false;
}

KERNEL_INLINE size_t count_bits_inline(const uint8_t *words, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += (size_t)__builtin_popcountll(word_at(words, i));
    return n;
}

KERNEL_INLINE size_t count_both_inline(const uint8_t *a, const uint8_t *b, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += (size_t)__builtin_popcountll(word_at(a, i) & word_at(b, i));
    return n;
}

/* A place in the set is the number of bits before; they are counted once from word to word. */
KERNEL_INLINE size_t match_bits_inline(const uint32_t *a, size_t count, uint32_t base, const uint8_t *words,
                                       uint32_t *out_a, uint32_t *out_places)
{
    size_t n = 0, i = 0;
    uint32_t word = 0, before = 0;
    uint64_t bits = word_at(words, 0);
    while (i < count && a[i] < base)
        i++;
    for (; i < count; i++) {
        uint32_t at = a[i] - base;
        for (; word < at / 64; bits = word_at(words, word)) {
            before += (uint32_t)__builtin_popcountll(bits);
            word++;
        }
        out_a[n] = (uint32_t)i;
        out_places[n] = before + (uint32_t)__builtin_popcountll(bits & ((UINT64_C(1) << at % 64) - 1));
        n += bits >> at % 64 & 1;
    }
    return n;
}

KERNEL_INLINE size_t drain_inline(uint64_t *seen, int32_t *sums, size_t words, uint32_t base, int32_t least,
                                  uint32_t *out_documents, int32_t *out_scores)
{
    size_t n = 0;
    for (size_t i = 0; i < words; i++) {
        uint64_t bits = seen[i];
        seen[i] = 0;
        for (; bits; bits &= bits - 1) {
            size_t at = 64 * i + (size_t)__builtin_ctzll(bits);
            out_documents[n] = base + (uint32_t)at;
            out_scores[n] = sums[at];
            n += sums[at] >= least;
            sums[at] = 0;
        }
    }
    return n;
}

/* Each lane's best is that of another part of them: the `wanted`-th best of those. */
KERNEL_INLINE int32_t reached_inline(const int32_t *scores, size_t count, size_t wanted)
{
    typedef int32_t sixteen __attribute__((vector_size(4 * KERNEL_REACHED), aligned(4), may_alias));
    if (count < KERNEL_REACHED)
        return INT32_MIN;
    sixteen best = *(const sixteen *)scores, above = {0};
    for (size_t i = KERNEL_REACHED; i + KERNEL_REACHED <= count; i += KERNEL_REACHED) {
        sixteen next = *(const sixteen *)(scores + i), is_more = next > best;
        best = (next & is_more) | (best & ~is_more);
    }
    for (size_t i = 0; i < KERNEL_REACHED; i++)
        above -= best < best[i]; /* a lane that is true is -1 */
    int32_t least = INT32_MAX;
    for (size_t i = 0; i < KERNEL_REACHED; i++)
        least = (size_t)above[i] < wanted && best[i] < least ? best[i] : least;
    return least;
}

/* Bytes above 0x7f are negative. What is counted in a lane fits it for so many rounds. */
KERNEL_INLINE size_t count_ascii_inline(const uint8_t *bytes, size_t count, uint8_t least)
{
    typedef int8_t many __attribute__((vector_size(32), aligned(1), may_alias));
    const int8_t below = (int8_t)(least - 1);
    size_t n = 0, i = 0;
    while (i + sizeof(many) <= count) {
        many counts = {0};
        for (size_t round = 0; round < INT8_MAX && i + sizeof(many) <= count; round++, i += sizeof(many))
            counts -= *(const many *)(bytes + i) > below;
        for (size_t k = 0; k < sizeof(many); k++)
            n += (size_t)counts[k];
    }
    for (; i < count; i++)
        n += (int8_t)bytes[i] > below;
    return n;
}

#endif
