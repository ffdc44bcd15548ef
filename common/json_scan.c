#include "common/json.h"

#include <string.h>

#include "common/json_text.h"

/* Scanning does not validate: it only keeps track of strings and brackets, at memchr speed. */

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

/* Behind one value of any kind; NULL if it does not end. */
static const char *skip_value(const char *at, const char *end)
{
    size_t depth = 0;
    for (; at < end; at++) {
        if (*at == '"') {
            at = json_string_end(at + 1, end);
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
        close = json_string_end(at + 1, end);
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
        const char *name = at + 1, *close = json_string_end(name, end);
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
    const char *key = skip_space(m->at, m->end), *close = key < m->end ? json_string_end(key + 1, m->end) : NULL;
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

struct str json_unescape(struct arena *arena, struct str inside)
{
    char *text = arena_alloc(arena, inside.len + 1), *put = text;
    if (!text)
        return (struct str){0};
    for (const char *at = inside.ptr, *end = at + inside.len; at < end;) {
        if (*at != '\\')
            *put++ = *at++;
        else if (!(at = json_unescape_one(at + 1, end, &put)))
            return (struct str){0};
    }
    return (struct str){.ptr = text, .len = (size_t)(put - text)};
}
