/* The kernels with AVX-512 (F, BW, DQ, VL, VBMI, VPOPCNTDQ): sixteen at a time. */
#include "index/kernels_list.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "index/kernels_bits.h"
#include "index/kernels_tables.h"

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vpopcntdq,avx2,bmi,bmi2,lzcnt,popcnt")))

#define BYTES_OF(b) BYTES_OF_16(b)
static const uint8_t bytes_of_16[PACKED_IN_FOUR + 1][64] = {FOR_EACH_WIDTH(BYTES_OF)};
static const uint32_t shifts_of_8[PACKED_IN_FOUR + 1][8] = {FOR_EACH_WIDTH(SHIFTS_OF_8)};

/* The first `n` of sixteen, or all. */
static inline __mmask16 lanes(size_t n)
{
    return (__mmask16)(n < 16 ? (1u << n) - 1 : 0xffff);
}

static inline __mmask8 lanes_of_8(size_t n)
{
    return (__mmask8)(n < 8 ? (1u << n) - 1 : 0xff);
}

struct unpacker {
    __m512i bytes, shifts, mask;
};

AVX512 static inline struct unpacker unpacker_of(unsigned bits)
{
    return (struct unpacker){
        _mm512_loadu_si512(bytes_of_16[bits]),
        _mm512_broadcast_i32x8(_mm256_loadu_si256((const void *)shifts_of_8[bits])), /* 8 values are whole bytes */
        _mm512_set1_epi32((int)((1u << bits) - 1)),
    };
}

AVX512 static inline __m512i unpack16(const struct unpacker *u, const uint8_t *in)
{
    __m512i spread = _mm512_permutexvar_epi8(u->bytes, _mm512_loadu_si512(in));
    return _mm512_and_si512(_mm512_srlv_epi32(spread, u->shifts), u->mask);
}

AVX512 static void unpack(const uint8_t *in, unsigned bits, size_t count, uint32_t base, uint32_t *out)
{
    if (bits > PACKED_IN_FOUR) {
        kernels_portable.unpack(in, bits, count, base, out);
        return;
    }
    struct unpacker u = unpacker_of(bits);
    __m512i more = _mm512_set1_epi32((int)base);
    for (size_t i = 0; i < count; i += 16, in += 2 * (size_t)bits)
        _mm512_storeu_si512(out + i, _mm512_add_epi32(unpack16(&u, in), more));
}

/* Sums of each element with those before it. */
AVX512 static inline __m512i running_sums(__m512i v)
{
    const __m512i zero = _mm512_setzero_si512();
    v = _mm512_add_epi32(v, _mm512_alignr_epi32(v, zero, 15));
    v = _mm512_add_epi32(v, _mm512_alignr_epi32(v, zero, 14));
    v = _mm512_add_epi32(v, _mm512_alignr_epi32(v, zero, 12));
    return _mm512_add_epi32(v, _mm512_alignr_epi32(v, zero, 8));
}

AVX512 static void unpack_rising(const uint8_t *in, unsigned bits, size_t count, uint32_t before, uint32_t *out)
{
    if (bits > PACKED_IN_FOUR) {
        kernels_portable.unpack_rising(in, bits, count, before, out);
        return;
    }
    struct unpacker u = unpacker_of(bits);
    __m512i one = _mm512_set1_epi32(1), last = _mm512_set1_epi32(15), carry = _mm512_set1_epi32((int)before);
    for (size_t i = 0; i < count; i += 16, in += 2 * (size_t)bits) {
        __m512i sums = running_sums(_mm512_add_epi32(unpack16(&u, in), one));
        _mm512_storeu_si512(out + i, _mm512_add_epi32(sums, carry));
        carry = _mm512_add_epi32(carry, _mm512_permutexvar_epi32(last, sums));
    }
}

/* Sixteen values are whole bytes, so that all sixteen begin at the same bits of theirs. */
AVX512 static struct unpacker unpacker_from(unsigned bits, unsigned bit)
{
    const __m512i lanes_up = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    __m512i begin = _mm512_add_epi32(_mm512_mullo_epi32(lanes_up, _mm512_set1_epi32((int)bits)),
                                     _mm512_set1_epi32((int)bit));
    __m512i bytes = _mm512_mullo_epi32(_mm512_srli_epi32(begin, 3), _mm512_set1_epi32(0x01010101));
    return (struct unpacker){
        _mm512_add_epi32(bytes, _mm512_set1_epi32(0x03020100)),
        _mm512_and_si512(begin, _mm512_set1_epi32(7)),
        _mm512_set1_epi32((int)((1u << bits) - 1)),
    };
}

AVX512 static size_t unpack_run(const uint8_t *in, unsigned bits, size_t first, size_t count, uint32_t before,
                                uint32_t *out)
{
    if (bits > PACKED_IN_FOUR || bits == 0)
        return kernels_portable.unpack_run(in, bits, first, count, before, out);
    struct unpacker u = unpacker_from(bits, first * bits % 8);
    __m512i one = _mm512_set1_epi32(1), last = _mm512_set1_epi32(15), carry = _mm512_set1_epi32((int)before);
    size_t escaped = 0;
    in += first * bits / 8;
    for (size_t i = 0; i < count; i += 16, in += 2 * (size_t)bits) {
        __m512i gaps = unpack16(&u, in);
        __mmask16 wanted = lanes(count - i);
        escaped += (unsigned)__builtin_popcount(_mm512_mask_cmpeq_epi32_mask(wanted, gaps, u.mask));
        __m512i sums = running_sums(_mm512_add_epi32(gaps, one));
        _mm512_mask_storeu_epi32(out + i, wanted, _mm512_add_epi32(sums, carry));
        carry = _mm512_add_epi32(carry, _mm512_permutexvar_epi32(last, sums));
    }
    return escaped;
}

/* A few bits of a word are taken one by one, many in four compressed vectors. */
AVX512 static size_t expand_bits(const uint8_t *words, size_t count, uint32_t base, uint32_t *out)
{
    const __m512i first = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    size_t n = 0;
    for (size_t i = 0; i < count; i++, base += 64) {
        uint64_t word;
        memcpy(&word, words + 8 * i, sizeof word);
        for (unsigned from = 0; word; from += 16, word >>= 16) {
            __mmask16 mask = (__mmask16)word;
            __m512i numbers = _mm512_add_epi32(first, _mm512_set1_epi32((int)(base + from)));
            _mm512_storeu_si512(out + n, _mm512_maskz_compress_epi32(mask, numbers));
            n += (unsigned)__builtin_popcount(mask);
        }
    }
    return n;
}

/* Norms are fetched one by one: gathering them is slower on the processors that were measured. */
AVX512 static void score(uint32_t weight, const float norms[256], const uint8_t *codes, const uint32_t *documents,
                         const uint32_t *t, size_t count, int32_t *out)
{
    float fetched[256 + KERNEL_OVERWRITE];
    __m512 w = _mm512_set1_ps((float)weight);
    for (size_t done = 0; done < count; done += 256) {
        size_t n = count - done < 256 ? count - done : 256;
        for (size_t i = 0; i < n; i++)
            fetched[i] = norms[codes[documents[done + i]]];
        for (size_t i = 0; i < n; i += 16) {
            __m512 frequency = _mm512_cvtepi32_ps(_mm512_loadu_si512(t + done + i));
            __m512 norm = _mm512_maskz_loadu_ps(lanes(n - i), fetched + i);
            __m512 saturation = _mm512_div_ps(frequency, _mm512_add_ps(frequency, norm));
            _mm512_storeu_si512(out + done + i, _mm512_cvtps_epi32(_mm512_mul_ps(w, saturation)));
        }
    }
}

AVX512 static size_t keep_scores(const uint32_t *documents, const int32_t *scores, size_t count, int32_t least,
                                 uint32_t *out_documents, int32_t *out_scores)
{
    size_t n = 0;
    __m512i lowest = _mm512_set1_epi32(least);
    for (size_t i = 0; i < count; i += 16) {
        __mmask16 in = lanes(count - i);
        __m512i s = _mm512_maskz_loadu_epi32(in, scores + i), d = _mm512_maskz_loadu_epi32(in, documents + i);
        __mmask16 kept = _mm512_mask_cmpge_epi32_mask(in, s, lowest);
        _mm512_storeu_si512(out_scores + n, _mm512_maskz_compress_epi32(kept, s));
        _mm512_storeu_si512(out_documents + n, _mm512_maskz_compress_epi32(kept, d));
        n += (unsigned)__builtin_popcount(kept);
    }
    return n;
}

AVX512 static size_t intersect(const uint32_t *a, size_t count_a, const uint32_t *b, size_t count_b, uint32_t *out_a,
                               uint32_t *out_b)
{
    size_t n = 0, j = 0;
    for (size_t i = 0; i < count_a; i++) {
        while (j + 16 <= count_b && b[j + 15] < a[i])
            j += 16;
        __mmask16 below = _mm512_cmplt_epu32_mask(_mm512_loadu_si512(b + j), _mm512_set1_epi32((int)a[i]));
        size_t at = j + (unsigned)__builtin_ctz(~(unsigned)below); /* the first that is not below */
        if (at >= count_b)
            break;
        out_a[n] = (uint32_t)i;
        out_b[n] = (uint32_t)at;
        n += b[at] == a[i];
    }
    return n;
}

/* Sixteen of `b` against one of `a`. */
AVX512 static bool meet(const uint32_t *a, size_t count_a, const uint32_t *b, size_t count_b)
{
    size_t j = 0;
    for (size_t i = 0; i < count_a; i++) {
        while (j + 16 <= count_b && b[j + 15] < a[i])
            j += 16;
        __m512i next = _mm512_maskz_loadu_epi32(lanes(count_b - j), b + j);
        if (_mm512_mask_cmpeq_epi32_mask(lanes(count_b - j), next, _mm512_set1_epi32((int)a[i])))
            return true;
    }
    return false;
}

AVX512 static size_t count_bits(const uint8_t *words, size_t count)
{
    __m512i sums = _mm512_setzero_si512();
    for (size_t i = 0; i < count; i += 8) {
        __m512i eight = _mm512_maskz_loadu_epi64(lanes_of_8(count - i), words + 8 * i);
        sums = _mm512_add_epi64(sums, _mm512_popcnt_epi64(eight));
    }
    return (size_t)_mm512_reduce_add_epi64(sums);
}

AVX512 static size_t count_both(const uint8_t *a, const uint8_t *b, size_t count)
{
    __m512i sums = _mm512_setzero_si512();
    for (size_t i = 0; i < count; i += 8) {
        __mmask8 in = lanes_of_8(count - i);
        __m512i both = _mm512_and_si512(_mm512_maskz_loadu_epi64(in, a + 8 * i), _mm512_maskz_loadu_epi64(in, b + 8 * i));
        sums = _mm512_add_epi64(sums, _mm512_popcnt_epi64(both));
    }
    return (size_t)_mm512_reduce_add_epi64(sums);
}

AVX512 static size_t match_bits(const uint32_t *a, size_t count, uint32_t base, const uint8_t *words, uint32_t *out_a,
                         uint32_t *out_places)
{
    return match_bits_inline(a, count, base, words, out_a, out_places);
}

/* Of sixteen sums those that are marked and high enough; all are 0 then, as those that are not marked are anyway. */
AVX512 static inline __mmask16 take_sums(int32_t *sums, __mmask16 marked, __m512i lowest, __m512i *out)
{
    *out = _mm512_loadu_si512(sums);
    _mm512_storeu_si512(sums, _mm512_setzero_si512());
    return _mm512_mask_cmpge_epi32_mask(marked, *out, lowest);
}

/* A word of marks at a time: most often none of its sums is high enough, which is one branch. */
AVX512 static size_t drain(uint64_t *seen, int32_t *sums, size_t words, uint32_t base, int32_t least,
                           uint32_t *out_documents, int32_t *out_scores)
{
    const __m512i first = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i lowest = _mm512_set1_epi32(least);
    size_t n = 0;
    for (size_t i = 0; i < words; i++) {
        uint64_t bits = seen[i];
        __m512i taken[4];
        __mmask16 kept[4];
        unsigned any = 0;
        if (bits == 0)
            continue;
        seen[i] = 0;
        for (unsigned part = 0; part < 4; part++) {
            kept[part] = take_sums(sums + 64 * i + 16 * part, (__mmask16)(bits >> 16 * part), lowest, &taken[part]);
            any |= kept[part];
        }
        for (unsigned part = 0; any && part < 4; part++) {
            __m512i documents = _mm512_add_epi32(first, _mm512_set1_epi32((int)(base + 64 * (uint32_t)i + 16 * part)));
            _mm512_storeu_si512(out_scores + n, _mm512_maskz_compress_epi32(kept[part], taken[part]));
            _mm512_storeu_si512(out_documents + n, _mm512_maskz_compress_epi32(kept[part], documents));
            n += (unsigned)__builtin_popcount(kept[part]);
        }
    }
    return n;
}

AVX512 static int32_t reached(const int32_t *scores, size_t count, size_t wanted)
{
    return reached_inline(scores, count, wanted);
}

AVX512 static uint64_t ending(const uint8_t *heads, size_t count, uint8_t last, unsigned least, unsigned most,
                              uint64_t *out_longs)
{
    const uint64_t all = UINT64_MAX >> (KERNEL_TERMS - count);
    const __m512i nibble = _mm512_set1_epi8(15), h = _mm512_loadu_si512(heads);
    __m512i rests = _mm512_and_si512(h, nibble), shared = _mm512_and_si512(_mm512_srli_epi16(h, 4), nibble);
    uint64_t longs = _mm512_cmpeq_epi8_mask(_mm512_max_epu8(rests, shared), nibble) & all;
    __m512i above = _mm512_sub_epi8(_mm512_add_epi8(rests, shared), _mm512_set1_epi8((char)least));
    uint64_t lengths = _mm512_cmple_epu8_mask(above, _mm512_set1_epi8((char)(most - least)));
    uint64_t lasts = _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(heads + count), _mm512_set1_epi8((char)last));
    *out_longs = longs;
    return lasts & (longs | lengths) & all;
}

AVX512 static size_t short_texts(const uint8_t *heads, uint64_t terms)
{
    __m512i low = _mm512_and_si512(_mm512_maskz_loadu_epi8(terms, heads), _mm512_set1_epi8(15));
    int64_t sum = _mm512_reduce_add_epi64(_mm512_sad_epu8(low, _mm512_setzero_si512()));
    return (size_t)(sum - __builtin_popcountll(terms));
}

AVX512 static size_t count_ascii(const uint8_t *bytes, size_t count, uint8_t least)
{
    return count_ascii_inline(bytes, count, least);
}

const struct kernels kernels_avx512 = {
    .name = "avx512",
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
