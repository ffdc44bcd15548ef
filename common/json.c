#include "common/json.h"

#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/json_text.h"
#include "common/utf8.h"

/* The whole text is there, so nothing is kept but where it is read and what is open. bench/json_bench.c measures this
 * beside libraries. */
struct parse {
    struct arena *arena;
    const struct json_events *events;
    void *context;
    const char *begin, *at, *end;
    unsigned depth;
    bool is_object[JSON_MAX_DEPTH + 1]; /* of what is open, from 1 on */
    char *plain;                        /* for strings with escapes; has room for all that followed the first of them */
    int err;
    const char *why;
};

static bool fail(struct parse *p, int err, const char *why)
{
    p->err = err;
    p->why = why;
    return false;
}

static bool corrupt(struct parse *p, const char *at, const char *why)
{
    p->at = at;
    return fail(p, ERR_CORRUPT, why);
}

static bool go_on_if(struct parse *p, bool wanted)
{
    return wanted || fail(p, ERR_INVALID, "stopped");
}

/* The next byte that is no white space; a zero, which no JSON has there, at the end. */
static char skip_space(struct parse *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r'))
        p->at++;
    return p->at < p->end ? *p->at : 0;
}

static bool skip(struct parse *p, char wanted, const char *why)
{
    if (skip_space(p) != wanted)
        return corrupt(p, p->at, p->at < p->end ? why : "it ends too early");
    p->at++;
    return true;
}

/* ------------------------------------------------------------------------------------------------------------- strings
 */

/* \uXXXX, two of them where the first is half of a pair; `at` is on the u. */
static bool unescape_unit(struct parse *p, const char *at, char **to)
{
    int unit = json_unit(at + 1, p->end);
    if (unit < 0)
        return corrupt(p, at, "\\u without four hexadecimal digits");
    uint32_t code = (uint32_t)unit;
    p->at = at + 5;
    if (json_unit_is_high(unit)) {
        int low = p->end - p->at > 2 && p->at[0] == '\\' && p->at[1] == 'u' ? json_unit(p->at + 2, p->end) : -1;
        if (!json_unit_is_low(low))
            return corrupt(p, at, "half of a surrogate pair");
        code = 0x10000 + ((code - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
        p->at += 6;
    } else if (json_unit_is_low(unit)) {
        return corrupt(p, at, "half of a surrogate pair");
    }
    *to += utf8_encode(*to, code);
    return true;
}

static char escaped(char letter)
{
    static const char plain[128] = {
        ['"'] = '"', ['\\'] = '\\', ['/'] = '/', ['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t'};
    return (unsigned char)letter < sizeof plain ? plain[(unsigned char)letter] : 0;
}

/* On a backslash. What it stands for is never longer than it. */
static bool unescape(struct parse *p, char **to)
{
    const char *letter = p->at + 1;
    if (letter == p->end)
        return corrupt(p, p->at, "a string does not end");
    if (*letter == 'u')
        return unescape_unit(p, letter, to);
    char plain = escaped(*letter);
    if (!plain)
        return corrupt(p, p->at, "an escape that there is not");
    *(*to)++ = plain;
    p->at += 2;
    return true;
}

/* Past what needs no change. */
static bool skip_plain(struct parse *p)
{
    while ((p->at = json_plain_end(p->at, p->end)) < p->end && (unsigned char)*p->at >= 0x80) {
        size_t length = utf8_sequence((struct str){.ptr = p->at, .len = (size_t)(p->end - p->at)});
        if (!length)
            return corrupt(p, p->at, "not UTF-8");
        p->at += length;
    }
    if (p->at == p->end)
        return corrupt(p, p->at, "a string does not end");
    return (unsigned char)*p->at >= 0x20 || corrupt(p, p->at, "a control character in a string");
}

/* A string that was read from `begin` to its first escape. */
static bool rest_with_escapes(struct parse *p, const char *begin, struct str *out)
{
    if (!p->plain)
        p->plain = arena_alloc_unset(p->arena, (size_t)(p->end - begin));
    if (!p->plain)
        return fail(p, ERR_FULL, "needs more memory than there is");
    char *to = p->plain;
    for (;;) {
        size_t size = (size_t)(p->at - begin);
        memcpy(to, begin, size);
        to += size;
        if (*p->at == '"')
            break;
        if (!unescape(p, &to))
            return false;
        begin = p->at;
        if (!skip_plain(p))
            return false;
    }
    *out = (struct str){.ptr = p->plain, .len = (size_t)(to - p->plain)};
    p->at++;
    return true;
}

/* Behind the opening quotation mark. */
static bool read_string(struct parse *p, struct str *out)
{
    const char *begin = p->at;
    if (!skip_plain(p))
        return false;
    if (*p->at == '\\')
        return rest_with_escapes(p, begin, out);
    *out = (struct str){.ptr = begin, .len = (size_t)(p->at - begin)};
    p->at++;
    return true;
}

/* ------------------------------------------------------------------------------------------------------------- scalars
 */

static bool scalar(struct parse *p, enum json_type type, struct str text)
{
    return go_on_if(p, !p->events->scalar || p->events->scalar(p->context, type, text));
}

static bool word(struct parse *p, enum json_type type, struct str text)
{
    if ((size_t)(p->end - p->at) < text.len || memcmp(p->at, text.ptr, text.len) != 0)
        return corrupt(p, p->at, "not a JSON value");
    p->at += text.len;
    return scalar(p, type, text);
}

static const char *skip_digits(const struct parse *p, const char *at)
{
    while (at < p->end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

static bool is_at(const struct parse *p, const char *at, char a, char b)
{
    return at < p->end && (*at == a || *at == b);
}

/* [-] 0 or digits that begin with another [. digits] [e [sign] digits]; NULL if it is none. */
static const char *number_end(const struct parse *p)
{
    const char *first = p->at + (*p->at == '-'), *at = skip_digits(p, first);
    if (at == first || (*first == '0' && at > first + 1))
        return NULL;
    if (is_at(p, at, '.', '.')) {
        first = at + 1;
        at = skip_digits(p, first);
        if (at == first)
            return NULL;
    }
    if (is_at(p, at, 'e', 'E')) {
        first = at + 1 + is_at(p, at + 1, '+', '-');
        at = skip_digits(p, first);
        if (at == first)
            return NULL;
    }
    return at;
}

static bool number(struct parse *p)
{
    const char *end = number_end(p);
    if (!end)
        return corrupt(p, p->at, "not a JSON value");
    struct str text = {.ptr = p->at, .len = (size_t)(end - p->at)};
    p->at = end;
    return scalar(p, JSON_NUMBER, text);
}

static bool read_scalar(struct parse *p, char first)
{
    struct str text;
    switch (first) {
    case '"':
        p->at++;
        return read_string(p, &text) && scalar(p, JSON_STRING, text);
    case 't':
        return word(p, JSON_TRUE, STR("true"));
    case 'f':
        return word(p, JSON_FALSE, STR("false"));
    case 'n':
        return word(p, JSON_NULL, STR("null"));
    default:
        return p->at < p->end ? number(p) : corrupt(p, p->at, "it ends too early");
    }
}

/* -------------------------------------------------------------------------------------------------- objects and arrays
 */

static bool open_one(struct parse *p, bool is_object)
{
    if (++p->depth > JSON_MAX_DEPTH)
        return fail(p, ERR_TOO_LARGE, "nested deeper than 128 levels");
    p->is_object[p->depth] = is_object;
    p->at++;
    return go_on_if(p, !p->events->begin || p->events->begin(p->context, is_object ? JSON_OBJECT : JSON_ARRAY));
}

static bool close_one(struct parse *p)
{
    bool is_object = p->is_object[p->depth--];
    p->at++;
    return go_on_if(p, !p->events->end || p->events->end(p->context, is_object ? JSON_OBJECT : JSON_ARRAY));
}

static bool read_key(struct parse *p)
{
    struct str key;
    if (!skip(p, '"', "a member without a name") || !read_string(p, &key))
        return false;
    if (!go_on_if(p, !p->events->key || p->events->key(p->context, key)))
        return false;
    return skip(p, ':', "a name without a colon");
}

/* To the end of a scalar, or of an object or array that is empty; what is not empty stays open. */
static bool read_value(struct parse *p)
{
    for (;;) {
        char first = skip_space(p);
        if (first != '{' && first != '[')
            return read_scalar(p, first);
        if (!open_one(p, first == '{'))
            return false;
        if (skip_space(p) == (first == '{' ? '}' : ']'))
            return close_one(p);
        if (first == '{' && !read_key(p))
            return false;
    }
}

/* Behind a value, to the next one. False at the end of all, or of what is valid. */
static bool has_next(struct parse *p)
{
    while (p->depth) {
        bool is_object = p->is_object[p->depth];
        char next = skip_space(p);
        if (next == ',') {
            p->at++;
            return !is_object || read_key(p);
        }
        if (next != (is_object ? '}' : ']'))
            return corrupt(p, p->at,
                           p->at < p->end ? "neither a comma nor the end behind a value" : "it ends too early");
        if (!close_one(p))
            return false;
    }
    return false;
}

static void run(struct parse *p)
{
    while (read_value(p) && has_next(p))
        continue;
    if (!p->err && (skip_space(p) || p->at < p->end))
        corrupt(p, p->at, "something follows the value");
}

int json_parse_keeping(struct arena *arena, struct str text, const struct json_events *events, void *context,
                       struct json_error *error)
{
    struct parse p;
    p.arena = arena; /* one by one: clearing is_object would take as long as reading a small document */
    p.events = events;
    p.context = context;
    p.begin = p.at = text.ptr ? text.ptr : "";
    p.end = p.begin + text.len;
    p.depth = 0;
    p.plain = NULL;
    p.err = 0;
    p.why = NULL;
    run(&p);
    if (p.err && error) {
        error->offset = (size_t)(p.at - p.begin);
        snprintf(error->message, sizeof error->message, "%s", p.why);
    }
    return p.err;
}

int json_parse(struct arena *arena, struct str text, const struct json_events *events, void *context,
               struct json_error *error)
{
    size_t mark = arena_mark(arena);
    int err = json_parse_keeping(arena, text, events, context, error);
    arena_rewind(arena, mark);
    return err;
}
