#include "common/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SMALLEST = 256 };

void *buf_extend(struct buf *b, size_t size)
{
    if (b->err)
        return NULL;
    if (size > b->room - b->len) {
        size_t room = b->room ? b->room : SMALLEST;
        while (room - b->len < size && room <= SIZE_MAX / 2)
            room *= 2;
        char *data = room - b->len < size ? NULL : realloc(b->data, room);
        if (!data) {
            b->err = -ENOMEM;
            return NULL;
        }
        b->data = data;
        b->room = room;
    }
    void *at = b->data + b->len;
    b->len += size;
    return at;
}

void buf_append(struct buf *b, const void *data, size_t size)
{
    if (size == 0)
        return;
    void *at = buf_extend(b, size);
    if (at)
        memcpy(at, data, size);
}

void buf_append_str(struct buf *b, struct str s)
{
    buf_append(b, s.ptr, s.len);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *at = length < 0 ? NULL : buf_extend(b, (size_t)length + 1);
    if (!at)
        return;
    va_start(arguments, format);
    vsnprintf(at, (size_t)length + 1, format, arguments);
    va_end(arguments);
    b->len--; /* the terminating zero */
}

void buf_consume(struct buf *b, size_t size)
{
    if (size > b->len)
        size = b->len;
    b->len -= size;
    if (b->len)
        memmove(b->data, b->data + size, b->len);
}

void buf_shrink(struct buf *b, size_t keep)
{
    if (b->len == 0 && b->room > keep) {
        free(b->data);
        b->data = NULL;
        b->room = 0;
    }
}

void buf_finish(struct buf *b)
{
    free(b->data);
    *b = (struct buf){0};
}

/* Length of the UTF-8 sequence at s (Unicode 15, table 3-7), 0 if it is not one. */
static size_t utf8_length(const unsigned char *s, size_t left)
{
    static const struct {
        unsigned char first, last, low, high, length;
    } rows[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (s[0] < rows[i].first || s[0] > rows[i].last)
            continue;
        if (rows[i].length > left || (rows[i].length > 1 && (s[1] < rows[i].low || s[1] > rows[i].high)))
            return 0;
        for (size_t k = 2; k < rows[i].length; k++)
            if ((s[k] & 0xc0) != 0x80)
                return 0;
        return rows[i].length;
    }
    return 0;
}

static void append_escaped(struct buf *b, unsigned char c)
{
    static const char escapes[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (const char *e = escapes; *e; e += 2) {
        if ((unsigned char)e[0] == c) {
            buf_printf(b, "\\%c", e[1]);
            return;
        }
    }
    buf_printf(b, "\\u%04x", c);
}

void buf_append_json(struct buf *b, struct str s)
{
    buf_append(b, "\"", 1);
    const unsigned char *at = (const unsigned char *)s.ptr, *end = at + s.len;
    while (at < end) {
        size_t length = utf8_length(at, (size_t)(end - at));
        if (length == 0)
            buf_append(b, "\xef\xbf\xbd", 3);
        else if (length == 1 && (*at < 0x20 || *at == '"' || *at == '\\' || *at == 0x7f))
            append_escaped(b, *at);
        else
            buf_append(b, at, length);
        at += length ? length : 1;
    }
    buf_append(b, "\"", 1);
}
