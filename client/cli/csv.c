#include "client/cli/csv.h"

#include <stdlib.h>
#include <string.h>

bool csv_ends_record(struct csv *t, char c)
{
    if (t->state == CSV_QUOTED) {
        if (c == '"')
            t->state = CSV_QUOTE_SEEN;
        return false;
    }
    if (c == '"' && (t->state == CSV_FIELD_START || t->state == CSV_QUOTE_SEEN))
        t->state = CSV_QUOTED;
    else
        t->state = c == ',' || c == '\n' ? CSV_FIELD_START : CSV_PLAIN;
    return c == '\n';
}

bool csv_is_whole(const struct csv *t)
{
    return t->state != CSV_QUOTED;
}

/* The inside of a quoted field to t->field, with doubled quotes made one; behind its closing quote, NULL if none. */
static const char *take_quoted(struct csv *t, const char *at, const char *end)
{
    for (; at < end; at++) {
        if (*at == '"' && (++at == end || *at != '"'))
            return at;
        buf_append(&t->field, at, 1);
    }
    return NULL;
}

/* One field to t->field. Advances *rest behind its comma; *more is whether there was one. False if it is malformed. */
static bool take_field(struct csv *t, struct str *rest, bool *more)
{
    const char *at = rest->ptr, *end = at + rest->len;
    t->field.len = 0;
    if (at < end && *at == '"') {
        at = take_quoted(t, at + 1, end);
        if (!at || (at < end && *at != ','))
            return false;
    } else {
        const char *comma = rest->len ? memchr(at, ',', rest->len) : NULL, *stop = comma ? comma : end;
        if (stop > at)
            buf_append(&t->field, at, (size_t)(stop - at));
        at = stop;
    }
    *more = at < end;
    *rest = (struct str){.ptr = *more ? at + 1 : at, .len = (size_t)(end - at) - *more};
    return true;
}

static struct str without_line_end(struct str record)
{
    while (record.len && (record.ptr[record.len - 1] == '\n' || record.ptr[record.len - 1] == '\r'))
        record.len--;
    return record;
}

/* "price:number" is the column price. */
static struct csv_column column_of(struct str name)
{
    static const struct {
        struct str suffix;
        enum csv_type type;
    } types[] = {{{":number", 7}, CSV_NUMBER}, {{":boolean", 8}, CSV_BOOLEAN}, {{":string", 7}, CSV_STRING}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct str suffix = types[i].suffix;
        if (name.len > suffix.len && memcmp(name.ptr + name.len - suffix.len, suffix.ptr, suffix.len) == 0)
            return (struct csv_column){.name = {name.ptr, name.len - suffix.len}, .type = types[i].type};
    }
    return (struct csv_column){.name = name};
}

static const char *name_columns(struct csv *t, size_t count)
{
    const char *at = t->header.data;
    t->columns = calloc(count, sizeof *t->columns);
    if (!t->columns)
        return "out of memory";
    t->count = count;
    for (size_t i = 0; i < count; i++, at += strlen(at) + 1) {
        t->columns[i] = column_of(str_of(at));
        for (size_t k = 0; k < i; k++)
            if (str_equal(t->columns[k].name, t->columns[i].name))
                return "two columns have the same name";
    }
    return NULL;
}

const char *csv_begin(struct csv *t, struct str record)
{
    struct str rest = without_line_end(record);
    size_t count = 0;
    for (bool more = true; more; count++) {
        if (!take_field(t, &rest, &more))
            return "the first line does not name columns: a quote is not closed";
        if (t->field.len == 0 || memchr(t->field.data, 0, t->field.len))
            return "the first line does not name columns: a name is empty";
        if (count == 4096)
            return "more than 4096 columns";
        buf_append(&t->header, t->field.data, t->field.len);
        buf_append(&t->header, "", 1);
    }
    return t->header.err ? "out of memory" : name_columns(t, count);
}

static bool is_digits(struct str s, size_t *at)
{
    size_t begin = *at;
    while (*at < s.len && s.ptr[*at] >= '0' && s.ptr[*at] <= '9')
        ++*at;
    return *at > begin;
}

/* As JSON writes numbers. */
static bool is_number(struct str s)
{
    size_t at = s.len && s.ptr[0] == '-', first = at;
    if (!is_digits(s, &at) || (s.ptr[first] == '0' && at > first + 1))
        return false;
    if (at < s.len && s.ptr[at] == '.' && (++at, !is_digits(s, &at)))
        return false;
    if (at < s.len && (s.ptr[at] | 32) == 'e') {
        at++;
        at += at < s.len && (s.ptr[at] == '+' || s.ptr[at] == '-');
        if (!is_digits(s, &at))
            return false;
    }
    return at == s.len;
}

static const char *append_member(struct csv *t, const struct csv_column *column)
{
    struct str value = {.ptr = t->field.data, .len = t->field.len};
    if (column->type != CSV_STRING && value.len == 0)
        return NULL;
    if (column->type == CSV_NUMBER && !is_number(value))
        return "not a number in a column of numbers";
    if (column->type == CSV_BOOLEAN && !str_equal(value, STR("true")) && !str_equal(value, STR("false")))
        return "neither true nor false in a column of booleans";
    if (t->json.len > 1)
        buf_append_str(&t->json, STR(","));
    buf_append_json(&t->json, column->name);
    buf_append_str(&t->json, STR(":"));
    if (column->type == CSV_STRING)
        buf_append_json(&t->json, value);
    else
        buf_append_str(&t->json, value);
    return NULL;
}

const char *csv_to_json(struct csv *t, struct str record)
{
    struct str rest = without_line_end(record);
    bool more = true;
    t->json.len = 0;
    buf_append_str(&t->json, STR("{"));
    for (size_t i = 0; i < t->count; i++) {
        if (!more)
            return "fewer fields than columns";
        if (!take_field(t, &rest, &more))
            return "text behind a closing quote, or a quote that is not closed";
        const char *problem = append_member(t, &t->columns[i]);
        if (problem)
            return problem;
    }
    buf_append_str(&t->json, STR("}"));
    if (t->json.err || t->field.err)
        return "out of memory";
    return more ? "more fields than columns" : NULL;
}

void csv_finish(struct csv *t)
{
    free(t->columns);
    buf_finish(&t->header);
    buf_finish(&t->json);
    buf_finish(&t->field);
    *t = (struct csv){0};
}
