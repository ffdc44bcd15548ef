#include "client/cli/emit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"

/* What ends in one of these is not a whole value. */
static void separate(struct buf *b)
{
    char last = b->len ? b->data[b->len - 1] : '[';
    if (last != '{' && last != '[' && last != ':')
        buf_append_str(b, STR(","));
}

void emit_begin(struct buf *b, char bracket)
{
    separate(b);
    buf_append(b, &bracket, 1);
}

void emit_end(struct buf *b, char bracket)
{
    buf_append(b, &bracket, 1);
}

void emit_key(struct buf *b, const char *key)
{
    emit_string(b, key);
    buf_append_str(b, STR(":"));
}

void emit_str(struct buf *b, struct str s)
{
    separate(b);
    buf_append_json(b, s);
}

void emit_string(struct buf *b, const char *s)
{
    emit_str(b, str_of(s));
}

void emit_raw(struct buf *b, struct str json)
{
    separate(b);
    buf_append_str(b, json);
}

void emit_bool(struct buf *b, bool value)
{
    emit_raw(b, value ? STR("true") : STR("false"));
}

static void emit_number(struct buf *b, uint64_t value)
{
    separate(b);
    buf_printf(b, "%" PRIu64, value);
}

void emit_signed(struct buf *b, int64_t value)
{
    separate(b);
    buf_printf(b, "%" PRId64, value);
}

/* 1/65536 is 0.0000152587890625: sixteen digits behind the point say it all, without a trip through floating point. */
void emit_score_text(char to[EMIT_SCORE_SIZE], uint64_t score)
{
    static const uint64_t unit = 152587890625;
    int length = snprintf(to, EMIT_SCORE_SIZE, "%" PRIu64 ".%016" PRIu64, score >> 16, (score & 0xffff) * unit);
    while (to[length - 1] == '0')
        to[--length] = '\0';
    if (to[length - 1] == '.')
        to[--length] = '\0';
}

void emit_score(struct buf *b, uint64_t score)
{
    char text[EMIT_SCORE_SIZE];
    emit_score_text(text, score);
    emit_raw(b, str_of(text));
}

/* RFC 3339, or null for 0. */
static void emit_date(struct buf *b, uint64_t wall_us)
{
    char text[CLOCK_RFC3339_SIZE];
    if (!wall_us) {
        emit_raw(b, STR("null"));
        return;
    }
    clock_rfc3339(wall_us, text);
    emit_string(b, text);
}

void emit_member_number(struct buf *b, const char *key, uint64_t value)
{
    emit_key(b, key);
    emit_number(b, value);
}

void emit_member_string(struct buf *b, const char *key, const char *value)
{
    emit_key(b, key);
    emit_string(b, value);
}

void emit_member_date(struct buf *b, const char *key, uint64_t wall_us)
{
    emit_key(b, key);
    emit_date(b, wall_us);
}
