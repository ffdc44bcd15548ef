#include "common/utf8.h"

#include "common/bytes.h"

static bool is_continuation(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

/* The second byte of some sequences has a smaller range: it excludes overlong forms, surrogates and what is too large.
 */
static bool is_second(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xe0:
        return second >= 0xa0 && second <= 0xbf;
    case 0xed:
        return second >= 0x80 && second <= 0x9f;
    case 0xf0:
        return second >= 0x90 && second <= 0xbf;
    case 0xf4:
        return second >= 0x80 && second <= 0x8f;
    default:
        return second >= 0x80 && second <= 0xbf;
    }
}

size_t utf8_sequence(struct str s)
{
    if (s.len == 0)
        return 0;
    unsigned char first = (unsigned char)s.ptr[0];
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (s.len < length || !is_second(first, (unsigned char)s.ptr[1]))
        return 0;
    for (size_t i = 2; i < length; i++)
        if (!is_continuation(s.ptr[i]))
            return 0;
    return length;
}

size_t utf8_valid_prefix(struct str s)
{
    size_t at = 0;
    while (at < s.len) {
        if (s.len - at >= 8 && (load_u64(s.ptr + at) & 0x8080808080808080u) == 0) {
            at += 8;
            continue;
        }
        size_t length = utf8_sequence((struct str){.ptr = s.ptr + at, .len = s.len - at});
        if (!length)
            return at;
        at += length;
    }
    return at;
}

size_t utf8_encode(char to[4], uint32_t code)
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        to[0] = (char)(0xc0 | code >> 6);
        to[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        to[0] = (char)(0xe0 | code >> 12);
        to[1] = (char)(0x80 | (code >> 6 & 0x3f));
        to[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | code >> 18);
    to[1] = (char)(0x80 | (code >> 12 & 0x3f));
    to[2] = (char)(0x80 | (code >> 6 & 0x3f));
    to[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}
