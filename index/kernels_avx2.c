/* The kernels with AVX2: eight at a time. */
#include "index/kernels_list.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "index/kernels_bits.h"
#include "index/kernels_tables.h"

#define AVX2 __attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt")))

/* Of eight values the upper four begin in byte bits / 2, at bit 0 or 4 of it. */
#define HALVES(b) {BYTES_OF_4(b, 0), BYTES_OF_4(b, 4 * (b) % 8)}
static const uint8_t bytes_of_8[PACKED_IN_FOUR + 1][2][16] = {FOR_EACH_WIDTH(HALVES)};
static const uint32_t shifts_of_8[PACKED_IN_FOUR + 1][8] = {FOR_EACH_WIDTH(SHIFTS_OF_8)};

struct unpacker {
    unsigned bits;
    __m256i bytes, shifts, mask;
};

AVX2 static inline __m256i load8(const void *from)
{
    return _mm256_loadu_si256(from);
}

AVX2 static inline struct unpacker unpacker_of(unsigned bits)
{
    return (struct unpacker){bits, load8(bytes_of_8[bits]), load8(shifts_of_8[bits]),
                             _mm256_set1_epi32((int)((1u << bits) - 1))};
}

AVX2 static inline __m256i unpack8(const struct unpacker *u, const uint8_t *in)
{
    __m128i low = _mm_loadu_si128((const void *)in), high = _mm_loadu_si128((const void *)(in + u->bits / 2));
    __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
    return _mm256_and_si256(_mm256_srlv_epi32(_mm256_shuffle_epi8(both, u->bytes), u->shifts), u->mask);
}

AVX2 static void unpack(const uint8_t *in, unsigned bits, size_t count, uint32_t base, uint32_t *out)
{
    if (bits > PACKED_IN_FOUR) {
        kernels_portable.unpack(in, bits, count, base, out);
        return;
    }
    struct unpacker u = unpacker_of(bits);
    __m256i more = _mm256_set1_epi32((int)base);
    for (size_t i = 0; i < count; i += 8, in += bits)
        _mm256_storeu_si256((void *)(out + i), _mm256_add_epi32(unpack8(&u, in), more));
}

/* Sums of each element with those before it. */
AVX2 static inline __m256i running_sums(__m256i v)
{
    v = _mm256_add_epi32(v, _mm256_slli_si256(v, 4));
    v = _mm256_add_epi32(v, _mm256_slli_si256(v, 8));
    __m256i low_total = _mm256_permutevar8x32_epi32(v, _mm256_set1_epi32(3));
    return _mm256_add_epi32(v, _mm256_blend_epi32(_mm256_setzero_si256(), low_total, 0xf0));
}

AVX2 static void unpack_rising(const uint8_t *in, unsigned bits, size_t count, uint32_t before, uint32_t *out)
{
    if (bits > PACKED_IN_FOUR) {
        kernels_portable.unpack_rising(in, bits, count, before, out);
        return;
    }
    struct unpacker u = unpacker_of(bits);
    __m256i one = _mm256_set1_epi32(1), last = _mm256_set1_epi32(7), carry = _mm256_set1_epi32((int)before);
    for (size_t i = 0; i < count; i += 8, in += bits) {
        __m256i sums = running_sums(_mm256_add_epi32(unpack8(&u, in), one));
        _mm256_storeu_si256((void *)(out + i), _mm256_add_epi32(sums, carry));
        carry = _mm256_add_epi32(carry, _mm256_permutevar8x32_epi32(sums, last));
    }
}

AVX2 static size_t expand_bits(const uint8_t *words, size_t count, uint32_t base, uint32_t *out)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++, base += 64) {
        uint64_t word;
        memcpy(&word, words + 8 * i, sizeof word);
        for (; word; word &= word - 1)
            out[n++] = base + (uint32_t)_tzcnt_u64(word);
    }
    return n;
}

/* Norms are fetched one by one: gathering them is slower on the processors that were measured. */
AVX2 static void score(uint32_t weight, const float norms[256], const uint8_t *codes, const uint32_t *documents,
                       const uint32_t *t, size_t count, int32_t *out)
{
    float fetched[256 + KERNEL_OVERWRITE];
    __m256 w = _mm256_set1_ps((float)weight);
    for (size_t done = 0; done < count; done += 256) {
        size_t n = count - done < 256 ? count - done : 256;
        for (size_t i = 0; i < n; i++)
            fetched[i] = norms[codes[documents[done + i]]];
        for (size_t i = n; i < n + 8; i++)
            fetched[i] = 1.0F;
        for (size_t i = 0; i < n; i += 8) {
            __m256 frequency = _mm256_cvtepi32_ps(load8(t + done + i));
            __m256 saturation = _mm256_div_ps(frequency, _mm256_add_ps(frequency, _mm256_loadu_ps(fetched + i)));
            _mm256_storeu_si256((void *)(out + done + i), _mm256_cvtps_epi32(_mm256_mul_ps(w, saturation)));
        }
    }
}

AVX2 int32_t kernels_bound_avx2(uint32_t weight, const float norms[256], const uint8_t pairs[2 * KERNEL_PAIRS])
{
    __m256i both = _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)pairs)), any = _mm256_set1_epi32(UINT8_MAX);
    __m256i t = _mm256_and_si256(both, any);
    __m256 norm = _mm256_set_ps(norms[pairs[15]], norms[pairs[13]], norms[pairs[11]], norms[pairs[9]],
                                norms[pairs[7]], norms[pairs[5]], norms[pairs[3]], norms[pairs[1]]);
    norm = _mm256_andnot_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(t, any)), norm); /* T 255: 0 */
    __m256 frequency = _mm256_cvtepi32_ps(t);
    __m256 saturation = _mm256_div_ps(frequency, _mm256_add_ps(frequency, norm));
    __m256i scores = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_set1_ps((float)weight), saturation));
    __m128i most = _mm_max_epi32(_mm256_castsi256_si128(scores), _mm256_extracti128_si256(scores, 1));
    most = _mm_max_epi32(most, _mm_shuffle_epi32(most, 0x4e));
    return _mm_cvtsi128_si32(_mm_max_epi32(most, _mm_shuffle_epi32(most, 0xb1)));
}

AVX2 static size_t keep_scores(const uint32_t *documents, const int32_t *scores, size_t count, int32_t least,
                               uint32_t *out_documents, int32_t *out_scores)
{
    size_t n = 0, i = 0;
    __m256i below = _mm256_set1_epi32(least - 1);
    for (; i + 8 <= count; i += 8) {
        __m256i kept = _mm256_cmpgt_epi32(load8(scores + i), below);
        unsigned mask = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(kept));
        for (; mask; mask &= mask - 1) {
            unsigned lane = (unsigned)__builtin_ctz(mask);
            out_documents[n] = documents[i + lane];
            out_scores[n++] = scores[i + lane];
        }
    }
    return n + kernels_portable.keep_scores(documents + i, scores + i, count - i, least, out_documents + n,
                                            out_scores + n);
}

/* Numbers are below 2^31 here, as document numbers are: signed compares do. */
AVX2 static size_t intersect(const uint32_t *a, size_t count_a, const uint32_t *b, size_t count_b, uint32_t *out_a,
                             uint32_t *out_b)
{
    size_t n = 0, j = 0;
    for (size_t i = 0; i < count_a; i++) {
        while (j + 8 <= count_b && b[j + 7] < a[i])
            j += 8;
        __m256i below = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)a[i]), load8(b + j));
        unsigned mask = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(below));
        size_t at = j + (unsigned)__builtin_ctz(~mask); /* the first that is not below; what follows b's end is not asked */
        if (at >= count_b)
            break;
        out_a[n] = (uint32_t)i;
        out_b[n] = (uint32_t)at;
        n += b[at] == a[i];
    }
    return n;
}

AVX2 static size_t count_bits(const uint8_t *words, size_t count)
{
    return count_bits_inline(words, count);
}

AVX2 static size_t count_both(const uint8_t *a, const uint8_t *b, size_t count)
{
    return count_both_inline(a, b, count);
}

AVX2 static size_t match_bits(const uint32_t *a, size_t count, uint32_t base, const uint8_t *words, uint32_t *out_a,
                         uint32_t *out_places)
{
    return match_bits_inline(a, count, base, words, out_a, out_places);
}

AVX2 static size_t drain(uint64_t *seen, int32_t *sums, size_t words, uint32_t base, int32_t least,
                    uint32_t *out_documents, int32_t *out_scores)
{
    return drain_inline(seen, sums, words, base, least, out_documents, out_scores);
}

AVX2 static size_t unpack_run(const uint8_t *in, unsigned bits, size_t first, size_t count, uint32_t before, uint32_t *out)
{
    return unpack_run_inline(in, bits, first, count, before, out);
}

AVX2 static int32_t reached(const int32_t *scores, size_t count, size_t wanted)
{
    return reached_inline(scores, count, wanted);
}

AVX2 static bool meet(const uint32_t *a, size_t count_a, const uint32_t *b, size_t count_b)
{
    return meet_inline(a, count_a, b, count_b);
}

/* Of 32 heads, as bits. */
AVX2 static inline uint32_t are_long(__m256i heads)
{
    const __m256i nibble = _mm256_set1_epi8(15), rests = _mm256_and_si256(heads, nibble);
    const __m256i shared = _mm256_and_si256(_mm256_srli_epi16(heads, 4), nibble);
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(rests, shared), nibble));
}

/* Whose keys have `least` bytes, and up to `more` further ones. */
AVX2 static inline uint32_t have_length(__m256i heads, __m256i least, __m256i more)
{
    const __m256i nibble = _mm256_set1_epi8(15), rests = _mm256_and_si256(heads, nibble);
    const __m256i shared = _mm256_and_si256(_mm256_srli_epi16(heads, 4), nibble);
    __m256i above = _mm256_sub_epi8(_mm256_add_epi8(rests, shared), least);
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_min_epu8(above, more), above));
}

AVX2 static inline uint32_t have_byte(const uint8_t *bytes, __m256i byte)
{
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(load8(bytes), byte));
}

AVX2 static uint64_t ending(const uint8_t *heads, size_t count, uint8_t last, unsigned least, unsigned most,
                            uint64_t *out_longs)
{
    const uint64_t all = UINT64_MAX >> (KERNEL_TERMS - count);
    const __m256i byte = _mm256_set1_epi8((char)last), from = _mm256_set1_epi8((char)least);
    const __m256i more = _mm256_set1_epi8((char)(most - least));
    const __m256i first = load8(heads), second = load8(heads + 32);
    uint64_t longs = (uint64_t)are_long(second) << 32 | are_long(first);
    uint64_t lengths = (uint64_t)have_length(second, from, more) << 32 | have_length(first, from, more);
    uint64_t lasts = (uint64_t)have_byte(heads + count + 32, byte) << 32 | have_byte(heads + count, byte);
    *out_longs = longs & all;
    return lasts & (longs | lengths) & all;
}

/* Bytes of all ones where bits are set. */
AVX2 static inline __m256i bytes_of_bits(uint32_t bits)
{
    const __m256i bytes = _mm256_set_epi64x(0x0303030303030303, 0x0202020202020202, 0x0101010101010101, 0);
    const __m256i bit = _mm256_set1_epi64x((int64_t)UINT64_C(0x8040201008040201));
    __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32((int)bits), bytes);
    return _mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit);
}

AVX2 static size_t short_texts(const uint8_t *heads, uint64_t terms)
{
    const __m256i nibble = _mm256_set1_epi8(15);
    __m256i first = _mm256_and_si256(load8(heads), bytes_of_bits((uint32_t)terms));
    __m256i second = _mm256_and_si256(load8(heads + 32), bytes_of_bits((uint32_t)(terms >> 32)));
    __m256i sums = _mm256_add_epi8(_mm256_and_si256(first, nibble), _mm256_and_si256(second, nibble));
    sums = _mm256_sad_epu8(sums, _mm256_setzero_si256());
    __m128i half = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    return (size_t)(_mm_cvtsi128_si64(half) + _mm_extract_epi64(half, 1) - __builtin_popcountll(terms));
}

AVX2 static size_t count_ascii(const uint8_t *bytes, size_t count, uint8_t least)
{
    return count_ascii_inline(bytes, count, least);
}

const struct kernels kernels_avx2 = {
    .name = "avx2",
    .unpack = unpack,
    .unpack_rising = unpack_rising,
    .unpack_run = unpack_run,
    .expand_bits = expand_bits,
    .count_bits = count_bits,
    .count_both = count_both,
    .match_bits = match_bits,
    .score = score,
    .bound = kernels_bound_avx2,
    .keep_scores = keep_scores,
    .reached = reached,
    .drain = drain,
    .intersect = intersect,
    .meet = meet,
    .ending = ending,
    .short_texts = short_texts,
    .count_ascii = count_ascii,
};

#endif
