#include "common/json_read.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "common/err.h"
#include "common/json_text.h"
#include "common/utf8.h"

enum { BLOCK = 16 };

/* What may stand here. */
enum want { VALUE, VALUE_OR_END, KEY, KEY_OR_END, COMMA_OR_END, NOTHING };

struct reader {
    const char *at, *end;
    struct arena *arena;
    const struct json_events *events;
    void *context;
    enum want want;
    int err; /* why it stopped, if it is not that this is no JSON */
    unsigned depth;
    char closing[JSON_MAX_DEPTH]; /* bracket of each array and object that has not ended */
};

/* --------------------------------------------------------------------------------------------------------- strings */

#ifdef __SSE2__
/* One bit for each byte that ends a run of plain ones: a quote, a backslash, control characters, what is not ASCII (negative
 * as a signed byte). */
static inline unsigned marks(__m128i bytes)
{
    __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), escape = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    __m128i other = _mm_cmplt_epi8(bytes, _mm_set1_epi8(' '));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, escape), other));
}

static const char *skip_blocks(const char *at, const char *end)
{
    for (; end - at >= BLOCK; at += BLOCK) {
        unsigned found = marks(_mm_loadu_si128((const __m128i *)(const void *)at));
        if (found)
            return at + __builtin_ctz(found);
    }
    return at;
}

/* The same, copied to *put on the way, with what is behind it: there is room for a block more. */
static const char *copy_blocks(const char *at, const char *end, char **put)
{
    for (; end - at >= BLOCK; at += BLOCK, *put += BLOCK) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        unsigned found = marks(bytes);
        _mm_storeu_si128((__m128i *)(void *)*put, bytes);
        if (found) {
            *put += __builtin_ctz(found);
            return at + __builtin_ctz(found);
        }
    }
    return at;
}
#else
static const char *skip_blocks(const char *at, const char *end)
{
    (void)end;
    return at;
}

static const char *copy_blocks(const char *at, const char *end, char **put)
{
    (void)end, (void)put;
    return at;
}
#endif

static bool is_plain(char c)
{
    return (unsigned char)c >= ' ' && (unsigned char)c < 0x80 && c != '"' && c != '\\';
}

static size_t sequence(const char *at, const char *end)
{
    return utf8_sequence((struct str){.ptr = at, .len = (size_t)(end - at)});
}

static bool is_ascii(const char *at, const char *end)
{
    return at == end || (unsigned char)*at < 0x80;
}

/* To the first byte that is neither plain nor of valid UTF-8. */
static const char *skip_text(const char *at, const char *end)
{
    for (;;) {
        at = skip_blocks(at, end);
        while (at < end && is_plain(*at))
            at++;
        if (is_ascii(at, end))
            return at;
        for (size_t length; !is_ascii(at, end); at += length)
            if ((length = sequence(at, end)) == 0)
                return at;
    }
}

static const char *copy_text(const char *at, const char *end, char **put)
{
    for (;;) {
        at = copy_blocks(at, end, put);
        while (at < end && is_plain(*at))
            *(*put)++ = *at++;
        if (is_ascii(at, end))
            return at;
        for (size_t length; !is_ascii(at, end); at += length, *put += length) {
            if ((length = sequence(at, end)) == 0)
                return at;
            memcpy(*put, at, length);
        }
    }
}

/* From its first escape on; nothing of it is longer than it was written. */
static bool decode(struct reader *r, const char *begin, struct str *out)
{
    const char *close = json_string_end(r->at, r->end), *at = r->at;
    if (!close)
        return false;
    char *text = arena_alloc_unset(r->arena, (size_t)(close - begin) + BLOCK), *put = text;
    if (!text) {
        r->err = ERR_FULL;
        return false;
    }
    memcpy(put, begin, (size_t)(at - begin));
    put += at - begin;
    while (at < close) {
        r->at = at;
        if (*at != '\\' || !(at = json_unescape_one(at + 1, close, &put)))
            return false;
        at = copy_text(at, close, &put);
    }
    r->at = close + 1;
    *out = (struct str){.ptr = text, .len = (size_t)(put - text)};
    arena_rewind(r->arena, (size_t)(text - r->arena->base) + out->len);
    return true;
}

static bool read_string(struct reader *r, struct str *out)
{
    const char *begin = ++r->at;
    r->at = skip_text(begin, r->end);
    if (r->at == r->end)
        return false;
    if (*r->at == '\\')
        return decode(r, begin, out);
    *out = (struct str){.ptr = begin, .len = (size_t)(r->at - begin)};
    return *r->at++ == '"';
}

/* --------------------------------------------------------------------------------------------------------- scalars */

static const char *skip_digits(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

/* Behind a number, or NULL. */
static const char *number_end(const char *at, const char *end)
{
    at += *at == '-';
    const char *whole = at;
    at = at < end && *at == '0' ? at + 1 : skip_digits(at, end);
    if (at == whole)
        return NULL;
    if (at < end && *at == '.') {
        const char *part = ++at;
        if ((at = skip_digits(at, end)) == part)
            return NULL;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        at += at < end && (*at == '+' || *at == '-');
        const char *exponent = at;
        if ((at = skip_digits(at, end)) == exponent)
            return NULL;
    }
    return at;
}

static bool go_on(struct reader *r, bool wanted)
{
    if (!wanted)
        r->err = ERR_INVALID;
    return wanted;
}

static bool tell_scalar(struct reader *r, enum json_type type, struct str text)
{
    r->want = r->depth ? COMMA_OR_END : NOTHING;
    return go_on(r, !r->events->scalar || r->events->scalar(r->context, type, text));
}

static bool read_word(struct reader *r, enum json_type type, struct str word)
{
    if ((size_t)(r->end - r->at) < word.len || memcmp(r->at, word.ptr, word.len) != 0)
        return false;
    r->at += word.len;
    return tell_scalar(r, type, word);
}

static bool read_number(struct reader *r)
{
    const char *begin = r->at, *end = number_end(begin, r->end);
    if (!end)
        return false;
    r->at = end;
    return tell_scalar(r, JSON_NUMBER, (struct str){.ptr = begin, .len = (size_t)(end - begin)});
}

/* --------------------------------------------------------------------------------------------- arrays and objects */

static bool begin(struct reader *r, enum json_type type)
{
    if (r->depth == JSON_MAX_DEPTH) {
        r->err = ERR_TOO_LARGE;
        return false;
    }
    r->at++;
    r->closing[r->depth++] = type == JSON_OBJECT ? '}' : ']';
    r->want = type == JSON_OBJECT ? KEY_OR_END : VALUE_OR_END;
    return go_on(r, !r->events->begin || r->events->begin(r->context, type));
}

static bool end(struct reader *r)
{
    char closing = r->closing[--r->depth];
    r->at++;
    r->want = r->depth ? COMMA_OR_END : NOTHING;
    return go_on(r, !r->events->end || r->events->end(r->context, closing == '}' ? JSON_OBJECT : JSON_ARRAY));
}

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

static bool read_key(struct reader *r)
{
    struct str key;
    if (*r->at != '"' || !read_string(r, &key))
        return false;
    r->at = skip_space(r->at, r->end);
    if (r->at == r->end || *r->at != ':')
        return false;
    r->at++;
    r->want = VALUE;
    return go_on(r, !r->events->key || r->events->key(r->context, key));
}

static bool read_value(struct reader *r)
{
    struct str text;
    switch (*r->at) {
    case '"':
        return read_string(r, &text) && tell_scalar(r, JSON_STRING, text);
    case '{':
        return begin(r, JSON_OBJECT);
    case '[':
        return begin(r, JSON_ARRAY);
    case 't':
        return read_word(r, JSON_TRUE, STR("true"));
    case 'f':
        return read_word(r, JSON_FALSE, STR("false"));
    case 'n':
        return read_word(r, JSON_NULL, STR("null"));
    default:
        return read_number(r);
    }
}

static bool read_comma(struct reader *r)
{
    if (*r->at != ',')
        return false;
    r->at++;
    r->want = r->closing[r->depth - 1] == '}' ? KEY : VALUE;
    return true;
}

static bool may_end(const struct reader *r)
{
    return r->want == VALUE_OR_END || r->want == KEY_OR_END || r->want == COMMA_OR_END;
}

/* At a byte that is no white space. */
static bool step(struct reader *r)
{
    if (may_end(r) && *r->at == r->closing[r->depth - 1])
        return end(r);
    switch (r->want) {
    case VALUE:
    case VALUE_OR_END:
        return read_value(r);
    case KEY:
    case KEY_OR_END:
        return read_key(r);
    case COMMA_OR_END:
        return read_comma(r);
    case NOTHING:
        return false;
    }
    return false;
}

int json_read(struct arena *arena, struct str text, const struct json_events *events, void *context, size_t *out_at)
{
    if (text.len == 0)
        text = STR(" ");
    struct reader r = {.at = text.ptr, .end = text.ptr + text.len, .arena = arena, .events = events, .context = context};
    bool goes = true;
    while (goes && (r.at = skip_space(r.at, r.end)) < r.end)
        goes = step(&r);
    *out_at = (size_t)(r.at - text.ptr);
    return goes && r.want == NOTHING ? 0 : r.err ? r.err : ERR_CORRUPT;
}
