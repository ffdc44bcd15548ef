/* json_text.h - the characters of JSON text: what yajl would let through, and escapes of code units. */
#ifndef COMMON_JSON_TEXT_H
#define COMMON_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/str.h"

/* NULL, or why no JSON has such characters (not UTF-8, half a surrogate pair, form feeds), found at *out_offset. */
const char *json_text_problem(struct str text, size_t *out_offset);

/* From behind the opening quote to the closing one; NULL if there is none. A quote behind an odd number of backslashes is
 * one of the text. */
const char *json_string_end(const char *at, const char *end);

/* One escape, from behind its backslash, to up to four bytes at *put; behind it, or NULL if it is none. They are never more
 * bytes than were written. */
const char *json_unescape_one(const char *at, const char *end, char **put);

/* The code unit of four hexadecimal digits, or -1. */
int json_unit(const char *at, const char *end);

static inline bool json_unit_is_high(int unit)
{
    return unit >= 0xd800 && unit <= 0xdbff;
}

static inline bool json_unit_is_low(int unit)
{
    return unit >= 0xdc00 && unit <= 0xdfff;
}

#endif
