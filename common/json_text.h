/* json_text.h - the characters of JSON text, and what json.c and json_tree.c have between them. */
#ifndef COMMON_JSON_TEXT_H
#define COMMON_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/json.h"

/* At the first byte that means something in a string: a quotation mark, a backslash, a control character, or a byte
 * that is not ASCII. */
const char *json_plain_end(const char *at, const char *end);

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

/* json_parse, which leaves in the arena what events and the parse took. */
int json_parse_keeping(struct arena *arena, struct str text, const struct json_events *events, void *context,
                       struct json_error *error);

#endif
