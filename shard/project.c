#include "shard/project.h"

#include <stdbool.h>
#include <string.h>

#include "common/err.h"
#include "common/json.h"

/* Reads on in a JSON text that is known to be well-formed; what is not ends it. */
struct scanner {
    const char *at, *end;
};

static char peek(const struct scanner *s)
{
    return s->at < s->end ? *s->at : '\0';
}

static void skip_space(struct scanner *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
        s->at++;
}

static bool skip_byte(struct scanner *s, char c)
{
    skip_space(s);
    if (peek(s) != c)
        return false;
    s->at++;
    return true;
}

/* Behind the closing quote; the inside in *out. */
static bool scan_string(struct scanner *s, struct str *out)
{
    if (!skip_byte(s, '"'))
        return false;
    const char *begin = s->at;
    for (; s->at < s->end && *s->at != '"'; s->at++)
        s->at += *s->at == '\\' && s->at + 1 < s->end;
    *out = (struct str){begin, (size_t)(s->at - begin)};
    return skip_byte(s, '"');
}

/* A value of any kind: nesting is counted, only strings are looked into. */
static bool scan_value(struct scanner *s, struct str *out)
{
    skip_space(s);
    const char *begin = s->at;
    size_t depth = 0;
    struct str inside;
    while (s->at < s->end) {
        char c = *s->at;
        if (c == '"') {
            if (!scan_string(s, &inside))
                return false;
        } else if (depth == 0 && (c == ',' || c == '}')) {
            break;
        } else {
            depth += c == '{' || c == '[';
            depth -= (c == '}' || c == ']') && depth > 0;
            s->at++;
        }
    }
    *out = (struct str){begin, (size_t)(s->at - begin)};
    return s->at > begin;
}

static bool is_wanted(struct arena *a, struct str key, const struct str *names, size_t count)
{
    size_t mark = arena_mark(a);
    struct str plain = memchr(key.ptr, '\\', key.len) ? json_unescape(a, key) : key;
    bool wanted = false;
    for (size_t i = 0; i < count && plain.ptr; i++)
        wanted |= str_equal(plain, names[i]);
    arena_rewind(a, mark);
    return wanted;
}

static char *put(char *to, struct str s)
{
    memcpy(to, s.ptr, s.len);
    return to + s.len;
}

/* The projection is never longer than the document; what it does not need of that room is given back. */
int project_members(struct arena *a, struct str document, const struct str *names, size_t count, struct str *out)
{
    struct scanner s = {document.ptr, document.ptr + document.len};
    char *text = arena_alloc(a, document.len + 2), *to = text;
    if (!text)
        return ERR_FULL;
    if (!skip_byte(&s, '{'))
        return ERR_CORRUPT;
    *to++ = '{';
    while (!skip_byte(&s, '}')) {
        struct str key, value;
        const char *begin = (skip_space(&s), s.at);
        if (!scan_string(&s, &key) || !skip_byte(&s, ':') || !scan_value(&s, &value))
            return ERR_CORRUPT;
        struct str member = {begin, (size_t)(s.at - begin)};
        if (is_wanted(a, key, names, count)) {
            if (to > text + 1)
                *to++ = ',';
            to = put(to, member);
        }
        if (!skip_byte(&s, ',') && peek(&s) != '}')
            return ERR_CORRUPT;
    }
    *to++ = '}';
    *out = (struct str){text, (size_t)(to - text)};
    arena_rewind(a, (size_t)(text - a->base) + out->len);
    return 0;
}
