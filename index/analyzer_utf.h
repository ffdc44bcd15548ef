/* analyzer_utf.h - code points in and out of UTF-8 and UTF-16.  Runs in: worker, shard. */
#ifndef INDEX_ANALYZER_UTF_H
#define INDEX_ANALYZER_UTF_H

#include <stddef.h>
#include <stdint.h>

enum { REPLACEMENT = 0xFFFD };

/* The code point at p, which is before `end`; behind it is returned. Of what is malformed (overlong, a surrogate, past
 * U+10FFFF, cut off) the longest prefix that could have begun a sequence is one REPLACEMENT. */
static inline const unsigned char *utf8_next(const unsigned char *p, const unsigned char *end, uint32_t *out)
{
    uint32_t lead = *p++;
    *out = lead;
    if (lead < 0x80)
        return p;
    *out = REPLACEMENT;
    if (lead < 0xC2 || lead > 0xF4)
        return p;
    unsigned more = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
    uint32_t c = lead & (0x3FU >> more);
    unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80; /* of the second byte */
    unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    for (; more; more--, low = 0x80, high = 0xBF) {
        if (p == end || *p < low || *p > high)
            return p;
        c = c << 6 | (*p++ & 0x3FU);
    }
    *out = c;
    return p;
}

/* The UTF-8 of a code point that is not a surrogate; returns its size. */
static inline size_t utf8_put(char out[4], uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t size = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3F));
    out[0] = (char)((0xF00U >> size & 0xF0) | c);
    return size;
}

/* Well-formed UTF-16 only. */
static inline uint32_t utf16_next(const uint16_t *text, int32_t *i)
{
    uint32_t c = text[(*i)++];
    if ((c & 0xFC00) == 0xD800)
        c = (c << 10) + text[(*i)++] - ((0xD800U << 10) + 0xDC00U - 0x10000U);
    return c;
}

static inline int32_t utf16_put(uint16_t *out, uint32_t c)
{
    if (c < 0x10000) {
        out[0] = (uint16_t)c;
        return 1;
    }
    out[0] = (uint16_t)(0xD7C0 + (c >> 10));
    out[1] = (uint16_t)(0xDC00 | (c & 0x3FF));
    return 2;
}

#endif
