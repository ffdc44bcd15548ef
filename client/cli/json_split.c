#include "client/cli/json_split.h"

#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static enum split_event end_value(struct json_split *s, enum split_event event)
{
    s->in_value = s->in_scalar = false;
    if (s->state == SPLIT_ARRAY)
        s->state = SPLIT_ARRAY_COMMA;
    return event;
}

static enum split_event in_string(struct json_split *s, char c)
{
    if (s->escaped)
        s->escaped = false;
    else if (c == '\\')
        s->escaped = true;
    else if (c == '"')
        s->in_string = false;
    return !s->in_string && s->depth == 0 ? end_value(s, SPLIT_LAST) : SPLIT_INSIDE;
}

static enum split_event in_value(struct json_split *s, char c)
{
    if (s->in_string)
        return in_string(s, c);
    if (s->in_scalar)
        return is_space(c) || strchr(",[]{}\"", c) ? end_value(s, SPLIT_BEFORE) : SPLIT_INSIDE;
    if (c == '"')
        s->in_string = true;
    else if (c == '{' || c == '[')
        s->depth++;
    else if ((c == '}' || c == ']') && --s->depth == 0)
        return end_value(s, SPLIT_LAST);
    return SPLIT_INSIDE;
}

static enum split_event begin_value(struct json_split *s, char c)
{
    if (c == ',' || c == ']' || c == '}' || c == ':')
        return SPLIT_BROKEN;
    s->in_value = true;
    s->wants_value = false;
    s->depth = c == '{' || c == '[';
    s->in_string = c == '"';
    s->in_scalar = !s->depth && !s->in_string;
    return SPLIT_INSIDE;
}

static enum split_event between(struct json_split *s, char c)
{
    if (is_space(c))
        return SPLIT_BETWEEN;
    switch (s->state) {
    case SPLIT_START:
        s->state = c == '[' ? SPLIT_ARRAY : SPLIT_VALUES;
        return c == '[' ? SPLIT_BETWEEN : begin_value(s, c);
    case SPLIT_VALUES:
        return begin_value(s, c);
    case SPLIT_ARRAY:
        if (c != ']' || s->wants_value)
            return begin_value(s, c);
        s->state = SPLIT_END;
        return SPLIT_BETWEEN;
    case SPLIT_ARRAY_COMMA:
        s->wants_value = c == ',';
        s->state = c == ',' ? SPLIT_ARRAY : SPLIT_END;
        return c == ',' || c == ']' ? SPLIT_BETWEEN : SPLIT_BROKEN;
    case SPLIT_END:
        break;
    }
    return SPLIT_BROKEN;
}

enum split_event json_split_byte(struct json_split *s, char c)
{
    return s->in_value ? in_value(s, c) : between(s, c);
}

bool json_split_is_whole(const struct json_split *s)
{
    return !s->in_value && (s->state == SPLIT_START || s->state == SPLIT_VALUES || s->state == SPLIT_END);
}
