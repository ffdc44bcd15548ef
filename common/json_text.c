#include "common/json_text.h"

#include "common/bytes.h"

#ifdef __SSE2__
#include <emmintrin.h>

enum { WORD = 16 };

/* One bit for each of the 16 bytes that ends a plain run: as signed numbers, control characters and what is not ASCII
 * are below a space. */
static uint32_t ends_plain(const char *at)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"')), backslash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
    __m128i below = _mm_cmplt_epi8(v, _mm_set1_epi8(' '));
    return (uint32_t)_mm_movemask_epi8(_mm_or_si128(below, _mm_or_si128(quote, backslash)));
}

static size_t first_end(uint64_t ends)
{
    return (size_t)__builtin_ctzll(ends);
}
#else
enum { WORD = 8 };

static const uint64_t ones = UINT64_C(0x0101010101010101), highs = UINT64_C(0x8080808080808080);

/* The high bit of the lowest zero byte, and perhaps of some above it. */
static uint64_t zero_bytes(uint64_t v)
{
    return (v - ones) & ~v & highs;
}

/* The same of the lowest byte that ends a plain run. */
static uint64_t ends_plain(const char *at)
{
    uint64_t v = load_u64(at), quote = zero_bytes(v ^ ones * '"'), backslash = zero_bytes(v ^ ones * '\\');
    uint64_t control = (v - ones * 0x20) & ~v & highs;
    return quote | backslash | control | (v & highs);
}

static size_t first_end(uint64_t ends)
{
    return (size_t)__builtin_ctzll(ends) / 8;
}
#endif

const char *json_plain_end(const char *at, const char *end)
{
    for (; end - at >= WORD; at += WORD) {
        const uint64_t ends = ends_plain(at);
        if (ends)
            return at + first_end(ends);
    }
    while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' && *at != '\\')
        at++;
    return at;
}

int json_unit(const char *at, const char *end)
{
    int unit = 0;
    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = at[i], letter = (char)(c | 32);
        if (c >= '0' && c <= '9')
            unit = unit << 4 | (c - '0');
        else if (letter >= 'a' && letter <= 'f')
            unit = unit << 4 | (letter - 'a' + 10);
        else
            return -1;
    }
    return unit;
}
