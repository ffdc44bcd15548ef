#include "common/json.h"

#include <string.h>

/* Scanning does not validate: it only keeps track of strings and brackets, at memchr speed. */

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

/* From behind the opening quote to the closing one; NULL if there is none. */
static const char *string_end(const char *at, const char *end)
{
    for (; at < end; at++) {
        if (*at == '"')
            return at;
        if (*at == '\\')
            at++;
    }
    return NULL;
}

/* Behind one value of any kind; NULL if it does not end. */
static const char *skip_value(const char *at, const char *end)
{
    size_t depth = 0;
    for (; at < end; at++) {
        if (*at == '"') {
            at = string_end(at + 1, end);
            if (!at)
                return NULL;
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if (*at == '}' || *at == ']') {
            if (depth == 0)
                return at;
            depth--;
        } else if (*at == ',' && depth == 0) {
            return at;
        }
    }
    return NULL;
}

static bool take_value(const char *at, const char *end, struct str *out_raw, bool *out_quoted)
{
    const char *close;
    if (at < end && *at == '"') {
        close = string_end(at + 1, end);
        if (!close)
            return false;
        *out_raw = (struct str){.ptr = at + 1, .len = (size_t)(close - at - 1)};
        *out_quoted = true;
        return true;
    }
    close = at;
    while (close < end && (strchr("+-.eE", *close) ? *close != 0 : *close >= '0' && *close <= '9'))
        close++;
    if (close == at)
        return false;
    *out_raw = (struct str){.ptr = at, .len = (size_t)(close - at)};
    *out_quoted = false;
    return true;
}

bool json_scan_member(struct str object, struct str key, struct str *out_raw, bool *out_quoted)
{
    const char *at = object.ptr, *end = at + object.len;
    bool found = false;
    at = skip_space(at, end);
    if (at == end || *at++ != '{')
        return false;
    for (;;) {
        at = skip_space(at, end);
        if (at == end || *at != '"')
            return found;
        const char *name = at + 1, *close = string_end(name, end);
        if (!close)
            return found;
        at = skip_space(close + 1, end);
        if (at == end || *at++ != ':')
            return found;
        at = skip_space(at, end);
        /* Of repeated members the last one counts, as in a whole parse. */
        if (str_equal(key, (struct str){.ptr = name, .len = (size_t)(close - name)}))
            found = take_value(at, end, out_raw, out_quoted);
        at = skip_value(at, end);
        if (!at || *at++ != ',')
            return found;
    }
}

static bool hex4(const char *at, const char *end, uint32_t *out)
{
    if (end - at < 4)
        return false;
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        uint32_t digit;
        if (c >= '0' && c <= '9')
            digit = (uint32_t)(c - '0');
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            digit = (uint32_t)((c | 32) - 'a' + 10);
        else
            return false;
        value = value << 4 | digit;
    }
    *out = value;
    return true;
}

static char *put_utf8(char *to, uint32_t c)
{
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
        *to++ = (char)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        *to++ = (char)(0xe0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 63));
        *to++ = (char)(0x80 | (c & 63));
    } else {
        *to++ = (char)(0xf0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 63));
        *to++ = (char)(0x80 | (c >> 6 & 63));
        *to++ = (char)(0x80 | (c & 63));
    }
    return to;
}

/* The code point of \\uXXXX, or of a pair of them, behind the `u`. A lone surrogate is malformed. */
static const char *unescape_u(const char *at, const char *end, uint32_t *out)
{
    uint32_t low;
    if (!hex4(at, end, out))
        return NULL;
    at += 4;
    if (*out < 0xd800 || *out > 0xdfff)
        return at;
    if (*out > 0xdbff || end - at < 6 || at[0] != '\\' || at[1] != 'u' || !hex4(at + 2, end, &low) || low < 0xdc00 ||
        low > 0xdfff)
        return NULL;
    *out = 0x10000 + ((*out - 0xd800) << 10) + (low - 0xdc00);
    return at + 6;
}

struct str json_unescape(struct arena *arena, struct str inside)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char *text = arena_alloc(arena, inside.len + 1), *put = text;
    if (!text)
        return (struct str){0};
    for (const char *at = inside.ptr, *end = at + inside.len; at < end;) {
        if (*at != '\\') {
            *put++ = *at++;
            continue;
        }
        if (++at == end)
            return (struct str){0};
        const char *escape = *at ? strchr(from, *at) : NULL;
        uint32_t c = 0;
        if (escape) {
            *put++ = to[escape - from];
            at++;
        } else if (*at == 'u' && (at = unescape_u(at + 1, end, &c))) {
            put = put_utf8(put, c);
        } else {
            return (struct str){0};
        }
    }
    return (struct str){.ptr = text, .len = (size_t)(put - text)};
}
