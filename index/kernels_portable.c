/* The kernels in plain C: what the others must equal, and where they end what does not fill a vector. */
#include "index/kernels_list.h"

#include <string.h>

#include "index/kernels_bits.h"
#include "index/score.h"

#define EIGHT_BYTES UINT64_C(0x0101010101010101)

static void unpack(const uint8_t *in, unsigned bits, size_t count, uint32_t base, uint32_t *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = base + kernel_unpack_one(in, bits, i);
}

static void unpack_rising(const uint8_t *in, unsigned bits, size_t count, uint32_t before, uint32_t *out)
{
    for (size_t i = 0; i < count; i++) {
        before += 1 + kernel_unpack_one(in, bits, i);
        out[i] = before;
    }
}

static size_t expand_bits(const uint8_t *words, size_t count, uint32_t base, uint32_t *out)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++, base += 64) {
        uint64_t word;
        memcpy(&word, words + 8 * i, sizeof word);
        for (; word; word &= word - 1)
            out[n++] = base + (uint32_t)__builtin_ctzll(word);
    }
    return n;
}

static void score(uint32_t weight, const float norms[256], const uint8_t *codes, const uint32_t *documents,
                  const uint32_t *t, size_t count, int32_t *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = score_contribution(weight, t[i], norms[codes[documents[i]]]);
}

static int32_t bound(uint32_t weight, const float norms[256], const uint8_t pairs[2 * KERNEL_PAIRS])
{
    int32_t most = 0;
    for (size_t i = 0; i < 2 * KERNEL_PAIRS; i += 2) {
        /* Rounded as contributions are, and T / (T + norm) is at most 1: no contribution is above that of 1. */
        float norm = pairs[i] == UINT8_MAX ? 0.0F : norms[pairs[i + 1]];
        int32_t contribution = score_contribution(weight, pairs[i], norm);
        most = contribution > most ? contribution : most;
    }
    return most;
}

static size_t keep_scores(const uint32_t *documents, const int32_t *scores, size_t count, int32_t least,
                          uint32_t *out_documents, int32_t *out_scores)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        out_documents[n] = documents[i];
        out_scores[n] = scores[i];
        n += scores[i] >= least;
    }
    return n;
}

/* The first place at or after `from` whose element is not below `wanted`: by doubling steps, then by halves. */
static size_t reach(const uint32_t *b, size_t from, size_t count, uint32_t wanted)
{
    size_t step = 1, low = from;
    while (low + step < count && b[low + step] < wanted) {
        low += step;
        step *= 2;
    }
    size_t high = low + step < count ? low + step : count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (b[middle] < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t intersect(const uint32_t *a, size_t count_a, const uint32_t *b, size_t count_b, uint32_t *out_a,
                        uint32_t *out_b)
{
    size_t n = 0, j = 0;
    for (size_t i = 0; i < count_a; i++) {
        j = reach(b, j, count_b, a[i]);
        if (j == count_b)
            break;
        out_a[n] = (uint32_t)i;
        out_b[n] = (uint32_t)j;
        n += b[j] == a[i];
    }
    return n;
}

static size_t count_bits(const uint8_t *words, size_t count)
{
    return count_bits_inline(words, count);
}

static size_t count_both(const uint8_t *a, const uint8_t *b, size_t count)
{
    return count_both_inline(a, b, count);
}

static size_t match_bits(const uint32_t *a, size_t count, uint32_t base, const uint8_t *words, uint32_t *out_a,
                         uint32_t *out_places)
{
    return match_bits_inline(a, count, base, words, out_a, out_places);
}

static size_t drain(uint64_t *seen, int32_t *sums, size_t words, uint32_t base, int32_t least,
                    uint32_t *out_documents, int32_t *out_scores)
{
    return drain_inline(seen, sums, words, base, least, out_documents, out_scores);
}

static size_t unpack_run(const uint8_t *in, unsigned bits, size_t first, size_t count, uint32_t before, uint32_t *out)
{
    return unpack_run_inline(in, bits, first, count, before, out);
}

static int32_t reached(const int32_t *scores, size_t count, size_t wanted)
{
    return reached_inline(scores, count, wanted);
}

static bool meet(const uint32_t *a, size_t count_a, const uint32_t *b, size_t count_b)
{
    return meet_inline(a, count_a, b, count_b);
}

/* Of eight heads: how long keys are, and in the lowest bits, which are long. */
static uint64_t lengths_of(uint64_t heads, uint64_t *out_longs)
{
    uint64_t shared = heads >> 4 & 15 * EIGHT_BYTES, rests = heads & 15 * EIGHT_BYTES;
    *out_longs = ((shared + EIGHT_BYTES) | (rests + EIGHT_BYTES)) >> 4 & EIGHT_BYTES;
    return shared + rests;
}

/* The lowest bits of eight bytes as eight bits. */
static uint64_t lowest_bits(uint64_t bytes)
{
    return (bytes & EIGHT_BYTES) * UINT64_C(0x0102040810204080) >> 56;
}

static uint64_t ending(const uint8_t *heads, size_t count, uint8_t last, unsigned least, unsigned most, uint64_t *out_longs)
{
    const uint64_t below = (0x80 - (least < 0x40 ? least : 0x40)) * EIGHT_BYTES;
    const uint64_t above = (0x80 + (most < 0x3f ? most : 0x3f)) * EIGHT_BYTES, low = 0x7f * EIGHT_BYTES;
    const uint64_t all = UINT64_MAX >> (KERNEL_TERMS - count);
    uint64_t set = 0, longs = 0;
    for (size_t at = 0; at < count; at += 8) {
        uint64_t is_long, lengths = lengths_of(word_at(heads + at, 0), &is_long);
        uint64_t differ = word_at(heads + count + at, 0) ^ last * EIGHT_BYTES;
        uint64_t is_last = ~(((differ & low) + low) | differ) >> 7;
        uint64_t has_length = ((lengths + below) & (above - lengths)) >> 7;
        set |= lowest_bits(is_last & (has_length | is_long)) << at;
        longs |= lowest_bits(is_long) << at;
    }
    *out_longs = longs & all;
    return set & all;
}

static size_t short_texts(const uint8_t *heads, uint64_t terms)
{
    size_t sum = 0;
    for (size_t at = 0; terms >> at; at += 8) {
        uint64_t spread = ((terms >> at & 0x7f) * UINT64_C(0x02040810204081) | (terms >> at & 0x80) << 49) & EIGHT_BYTES;
        sum += (word_at(heads + at, 0) & 15 * spread) * EIGHT_BYTES >> 56;
        if (at + 8 == KERNEL_TERMS)
            break;
    }
    return sum - (size_t)__builtin_popcountll(terms);
}

static size_t count_ascii(const uint8_t *bytes, size_t count, uint8_t least)
{
    return count_ascii_inline(bytes, count, least);
}

const struct kernels kernels_portable = {
    .name = "portable",
    .unpack = unpack,
    .unpack_rising = unpack_rising,
    .unpack_run = unpack_run,
    .expand_bits = expand_bits,
    .count_bits = count_bits,
    .count_both = count_both,
    .match_bits = match_bits,
    .score = score,
    .bound = bound,
    .keep_scores = keep_scores,
    .reached = reached,
    .drain = drain,
    .intersect = intersect,
    .meet = meet,
    .ending = ending,
    .short_texts = short_texts,
    .count_ascii = count_ascii,
};
