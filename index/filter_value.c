#include "index/filter_value.h"

#include <stdlib.h>

/* ---------------------------------------------------------------------------------------------------------- numbers */

static const char *digits(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

/* Behind a number as RFC 8259 writes it; NULL if there is none. Says whether it has neither fraction nor exponent. */
static const char *number_end(const char *at, const char *end, bool *is_whole)
{
    at += at < end && *at == '-';
    const char *from = at;
    at = digits(at, end);
    if (at == from || (*from == '0' && at > from + 1))
        return NULL;
    *is_whole = at == end;
    if (at < end && *at == '.') {
        from = ++at;
        at = digits(at, end);
        if (at == from)
            return NULL;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        at += at < end && (*at == '+' || *at == '-');
        from = at;
        at = digits(at, end);
        if (at == from)
            return NULL;
    }
    return at;
}

enum { DIGITS = 1100 /* more than any double has; what is longer is taken for no number */ };

static double real_of(struct str text)
{
    char copy[DIGITS + 1];
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    return strtod(copy, NULL);
}

static bool whole_of(struct str text, int64_t *out)
{
    struct json number = {.type = JSON_NUMBER, .text = text};
    return json_int(&number, out);
}

bool filter_number(struct str text, struct filter_value *out)
{
    bool is_whole = false;
    if (!text.len || text.len > DIGITS || number_end(text.ptr, text.ptr + text.len, &is_whole) != text.ptr + text.len)
        return false;
    *out = (struct filter_value){.type = FILTER_TYPE_NUMBER};
    out->is_whole = is_whole && whole_of(text, &out->whole);
    if (!out->is_whole)
        out->real = real_of(text);
    return true;
}

/* Rounding one to the other's kind would make different ones equal. */
static int compare_mixed(int64_t whole, double real)
{
    static const double beyond = 9223372036854775808.0; /* 2^63 */
    if (real >= beyond)
        return -1;
    if (real < -beyond)
        return 1;
    int64_t near = (int64_t)real; /* towards 0 */
    double rest = real - (double)near;
    if (whole != near)
        return whole < near ? -1 : 1;
    return (rest < 0) - (rest > 0);
}

static int compare_numbers(const struct filter_value *a, const struct filter_value *b)
{
    if (a->is_whole && b->is_whole)
        return (a->whole > b->whole) - (a->whole < b->whole);
    if (a->is_whole)
        return compare_mixed(a->whole, b->real);
    if (b->is_whole)
        return -compare_mixed(b->whole, a->real);
    return (a->real > b->real) - (a->real < b->real);
}

/* ----------------------------------------------------------------------------------------------------------- values */

bool filter_value_of(enum json_type type, struct str text, struct filter_value *out)
{
    switch (type) {
    case JSON_TRUE:
    case JSON_FALSE:
        *out = (struct filter_value){.type = FILTER_TYPE_BOOLEAN, .boolean = type == JSON_TRUE};
        return true;
    case JSON_NUMBER:
        return filter_number(text, out);
    case JSON_STRING:
        *out = (struct filter_value){.type = FILTER_TYPE_STRING, .text = text};
        return true;
    case JSON_NULL:
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    return false;
}

int filter_compare(const struct filter_value *a, const struct filter_value *b)
{
    if (a->type != b->type)
        return a->type < b->type ? -1 : 1;
    switch (a->type) {
    case FILTER_TYPE_BOOLEAN:
        return a->boolean - b->boolean;
    case FILTER_TYPE_NUMBER:
        return compare_numbers(a, b);
    case FILTER_TYPE_STRING:
        return str_compare(a->text, b->text);
    }
    return 0;
}
