#include "common/json_text.h"

#include "common/utf8.h"

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

const char *json_string_end(const char *at, const char *end)
{
    const char *begin = at;
    while ((at = memchr(at, '"', (size_t)(end - at))) != NULL) {
        const char *escapes = at;
        while (escapes > begin && escapes[-1] == '\\')
            escapes--;
        if ((at - escapes) % 2 == 0)
            return at;
        at++;
    }
    return NULL;
}

/* The code point of \\uXXXX, or of a pair of them, behind the `u`. A lone surrogate is malformed. */
static const char *unescape_u(const char *at, const char *end, uint32_t *out)
{
    int unit = json_unit(at, end);
    if (unit < 0 || json_unit_is_low(unit))
        return NULL;
    at += 4;
    *out = (uint32_t)unit;
    if (!json_unit_is_high(unit))
        return at;
    int low = end - at >= 6 && at[0] == '\\' && at[1] == 'u' ? json_unit(at + 2, end) : -1;
    if (!json_unit_is_low(low))
        return NULL;
    *out = 0x10000 + ((uint32_t)(unit - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
    return at + 6;
}

const char *json_unescape_one(const char *at, const char *end, char **put)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    uint32_t c = 0;
    if (at == end)
        return NULL;
    const char *escape = *at ? strchr(from, *at) : NULL;
    if (escape) {
        *(*put)++ = to[escape - from];
        return at + 1;
    }
    if (*at != 'u' || !(at = unescape_u(at + 1, end, &c)))
        return NULL;
    *put += utf8_encode(*put, c);
    return at;
}

/* One half of a surrogate pair without the other has no UTF-8. */
static const char *find_lone_surrogate(struct str text)
{
    const char *at = text.ptr, *end = at + text.len;
    while (at < end && (at = memchr(at, '\\', (size_t)(end - at)))) {
        int unit = end - at > 1 && at[1] == 'u' ? json_unit(at + 2, end) : -1;
        bool pair = json_unit_is_high(unit) && end - at >= 12 && at[6] == '\\' && at[7] == 'u' &&
                    json_unit_is_low(json_unit(at + 8, end));
        if (!pair && (json_unit_is_high(unit) || json_unit_is_low(unit)))
            return at;
        if (end - at < (pair ? 12 : 2))
            return NULL;
        at += pair ? 12 : 2;
    }
    return NULL;
}

static const char *found(struct str text, const char *at, const char *problem, size_t *out_offset)
{
    *out_offset = (size_t)(at - text.ptr);
    return problem;
}

const char *json_text_problem(struct str text, size_t *out_offset)
{
    if (text.len == 0)
        return NULL;
    size_t valid = utf8_valid_prefix(text);
    if (valid < text.len)
        return found(text, text.ptr + valid, "not UTF-8", out_offset);
    const char *at = find_lone_surrogate(text);
    if (at)
        return found(text, at, "half of a surrogate pair", out_offset);
    /* yajl takes these two for white space. */
    at = memchr(text.ptr, '\f', text.len);
    if (!at)
        at = memchr(text.ptr, '\v', text.len);
    return at ? found(text, at, "a control character", out_offset) : NULL;
}
