#include "common/json.h"

#include <string.h>

#include "common/json_text.h"
#include "common/utf8.h"

/* Scanning does not validate: it only keeps track of strings and brackets, at memchr speed. */

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

/* From behind the opening quote to the closing one; NULL if there is none. A quote behind an odd number of backslashes is
 * one of the text. */
static const char *string_end(const char *at, const char *end)
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

/* Whether the member is there; *at ends behind the last one that could be told apart. */
static bool scan_members(const char **position, const char *end, struct str key, struct str *out_raw, bool *out_quoted)
{
    const char *at = *position;
    bool found = false;
    for (;; at++) {
        at = skip_space(at, end);
        if (at == end || *at != '"')
            break;
        const char *name = at + 1, *close = string_end(name, end);
        if (!close)
            break;
        at = skip_space(close + 1, end);
        if (at == end || *at++ != ':')
            break;
        at = skip_space(at, end);
        /* Of repeated members the last one counts, as in a whole parse. */
        if (str_equal(key, (struct str){.ptr = name, .len = (size_t)(close - name)}))
            found = take_value(at, end, out_raw, out_quoted);
        const char *behind = skip_value(at, end);
        if (!behind)
            break;
        at = behind;
        if (*at != ',')
            break;
    }
    *position = at;
    return found;
}

static bool scan(struct str object, struct str key, bool is_whole, struct str *out_raw, bool *out_quoted)
{
    const char *at = object.ptr, *end = at + object.len;
    at = skip_space(at, end);
    if (at == end || *at++ != '{')
        return false;
    bool found = scan_members(&at, end, key, out_raw, out_quoted);
    return found && (!is_whole || (at < end && *at == '}' && skip_space(at + 1, end) == end));
}

bool json_scan_member(struct str object, struct str key, struct str *out_raw, bool *out_quoted)
{
    return scan(object, key, true, out_raw, out_quoted);
}

bool json_scan_beginning(struct str object, struct str key, struct str *out_raw, bool *out_quoted)
{
    return scan(object, key, false, out_raw, out_quoted);
}

struct json_members json_members(struct str object)
{
    const char *end = object.ptr + object.len, *at = skip_space(object.ptr, end);
    return (struct json_members){.at = at < end ? at + 1 : end, .end = end};
}

bool json_members_next(struct json_members *m, struct json_written *out)
{
    const char *key = skip_space(m->at, m->end), *close = key < m->end ? string_end(key + 1, m->end) : NULL;
    if (!close || *key != '"')
        return false;
    const char *colon = skip_space(close + 1, m->end), *value = colon < m->end ? skip_space(colon + 1, m->end) : NULL;
    const char *behind = value ? skip_value(value, m->end) : NULL;
    if (!behind)
        return false;
    m->at = *behind == ',' ? behind + 1 : m->end;
    while (behind > value && strchr(" \t\n\r", behind[-1]))
        behind--;
    *out = (struct json_written){.key = {key + 1, (size_t)(close - key - 1)}, .value = {value, (size_t)(behind - value)}};
    return true;
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
            put += utf8_encode(put, c);
        } else {
            return (struct str){0};
        }
    }
    return (struct str){.ptr = text, .len = (size_t)(put - text)};
}
