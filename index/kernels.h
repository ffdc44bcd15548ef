/* kernels.h - the innermost loops over posting lists and blocks of the dictionary, once for each kind of processor, with
 * the same results to the last bit.  Runs in: shard, worker, bench.
 *
 * Packed integers are a bit stream, little-endian: value i of `bits` bits (0 to 32) begins at bit i * bits, so that 8
 * values take `bits` bytes. What reads packed integers may touch up to KERNEL_OVERREAD bytes behind them, and what writes
 * an array up to KERNEL_OVERWRITE elements behind its last: both must be there. */
#ifndef INDEX_KERNELS_H
#define INDEX_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KERNEL_OVERREAD = 64, KERNEL_OVERWRITE = 16, KERNEL_PAIRS = 8, KERNEL_REACHED = 16, KERNEL_TERMS = 64 };

struct kernels {
    const char *name; /* avx512, avx2, portable */

    /* Each plus `base`. */
    void (*unpack)(const uint8_t *in, unsigned bits, size_t count, uint32_t base, uint32_t *out);

    /* Packed gaps to rising numbers: out[i] = out[i - 1] + 1 + gap[i], the first behind `before` (UINT32_MAX: behind
     * nothing, so that gap 0 is number 0). Wraps where the gaps are damaged: the caller checks that the last is the one it
     * expects. */
    void (*unpack_rising)(const uint8_t *in, unsigned bits, size_t count, uint32_t before, uint32_t *out);

    /* Packed gaps from value `first` on to rising numbers, as unpack_rising does, and nothing behind them is written.
     * How many of the gaps are the code of all ones, which stands for something else where there are exceptions. */
    size_t (*unpack_run)(const uint8_t *in, unsigned bits, size_t first, size_t count, uint32_t before, uint32_t *out);

    /* The set bits of `words` 64-bit words (at any alignment) as numbers from `base` on; how many. */
    size_t (*expand_bits)(const uint8_t *words, size_t count, uint32_t base, uint32_t *out);

    /* How many bits are set. */
    size_t (*count_bits)(const uint8_t *words, size_t count);

    /* How many bits are set in both. */
    size_t (*count_both)(const uint8_t *a, const uint8_t *b, size_t words);

    /* As intersect, with a set of bits in place of b: its first bit is `base`, and no element of `a` is above its last. */
    size_t (*match_bits)(const uint32_t *a, size_t count, uint32_t base, const uint8_t *words, uint32_t *out_a,
                         uint32_t *out_places);

    /* out[i] = score_contribution(weight, t[i], norms[codes[documents[i]]]) (index/score.h). */
    void (*score)(uint32_t weight, const float norms[256], const uint8_t *codes, const uint32_t *documents,
                  const uint32_t *t, size_t count, int32_t *out);

    /* The largest score_contribution(weight, T, norms[code]) of the pairs of bytes (T, code); T 255: of any T. */
    int32_t (*bound)(uint32_t weight, const float norms[256], const uint8_t pairs[2 * KERNEL_PAIRS]);

    /* The elements whose score is at least `least`, in order; how many. In place is allowed. */
    size_t (*keep_scores)(const uint32_t *documents, const int32_t *scores, size_t count, int32_t least,
                          uint32_t *out_documents, int32_t *out_scores);

    /* A score that `wanted` of them, at most KERNEL_REACHED, have or pass: near the `wanted`-th best, and never above it.
     * INT32_MIN of fewer than KERNEL_REACHED. */
    int32_t (*reached)(const int32_t *scores, size_t count, size_t wanted);

    /* The sums of the numbers marked in `seen`, `words` words of it, that are at least `least`, as documents from `base` on
     * with their scores; how many. All sums that are marked, and the marks, are 0 then; those that are not were before. */
    size_t (*drain)(uint64_t *seen, int32_t *sums, size_t words, uint32_t base, int32_t least, uint32_t *out_documents,
                    int32_t *out_scores);

    /* Two rising lists without repetition: where elements of `a` stand in `b` (count_a of them at most), as places in
     * both; how many. Quickest if `a` is the shorter one. Reads up to KERNEL_OVERWRITE elements behind b's last. */
    size_t (*intersect)(const uint32_t *a, size_t count_a, const uint32_t *b, size_t count_b, uint32_t *out_a,
                        uint32_t *out_b);

    /* Whether two such lists have anything in common. */
    bool (*meet)(const uint32_t *a, size_t count_a, const uint32_t *b, size_t count_b);

    /* Of a dictionary block's terms (dictionary.h), `count` of 1 to KERNEL_TERMS heads with as many last bytes behind them:
     * those that end with a byte and are long or have from `least` to `most` bytes, as a set of bits; in *out_longs, all
     * that are long. Reads KERNEL_TERMS bytes of either. */
    uint64_t (*ending)(const uint8_t *heads, size_t count, uint8_t last, unsigned least, unsigned most,
                       uint64_t *out_longs);

    /* The size of the texts of a set of terms, none of which is long. Reads KERNEL_TERMS heads. Of damaged ones any. */
    size_t (*short_texts)(const uint8_t *heads, uint64_t terms);

    /* How many bytes are from `least` to 0x7f. */
    size_t (*count_ascii)(const uint8_t *bytes, size_t count, uint8_t least);
};

/* The fastest that this processor runs, or those that the environment's MAYFLY_CPU names (avx512, avx2, portable) if it
 * runs them. */
const struct kernels *kernels_best(void);

/* By name; NULL if there are none such or this processor does not run them. */
const struct kernels *kernels_named(const char *name);

/* Each of them `by` more. */
static inline void kernel_raise(uint32_t *values, size_t count, uint32_t by)
{
    typedef uint32_t four __attribute__((vector_size(16), aligned(4), may_alias));
    size_t i = 0;
    for (; i + 4 <= count; i += 4)
        *(four *)(values + i) += by;
    for (; i < count; i++)
        values[i] += by;
}

/* How many of rising numbers are below `x`: in as many steps whatever they are, and without a branch in them. */
static inline size_t kernel_below(const uint32_t *rising, size_t count, uint32_t x)
{
    size_t low = 0;
    for (; count > 1; count -= count / 2)
        low += rising[low + count / 2 - 1] < x ? count / 2 : 0;
    return low + (count == 1 && rising[low] < x);
}

/* One packed value: by random access. */
static inline uint32_t kernel_unpack_one(const uint8_t *in, unsigned bits, size_t i)
{
    uint64_t word;
    size_t bit = i * bits;
    __builtin_memcpy(&word, in + bit / 8, sizeof word);
    return (uint32_t)(word >> bit % 8) & (uint32_t)(((uint64_t)1 << bits) - 1);
}

#endif
