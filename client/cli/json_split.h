/* json_split.h - where the values of an array, or values one after the other, begin and end. Does not validate them. */
#ifndef CLIENT_CLI_JSON_SPLIT_H
#define CLIENT_CLI_JSON_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

enum split_event {
    SPLIT_BETWEEN, /* belongs to no value */
    SPLIT_INSIDE,  /* belongs to the value in hand */
    SPLIT_LAST,    /* is its last byte */
    SPLIT_BEFORE,  /* the value ended before this byte, which is not taken */
    SPLIT_BROKEN,  /* cannot stand here */
};

struct json_split {
    enum { SPLIT_START, SPLIT_VALUES, SPLIT_ARRAY, SPLIT_ARRAY_COMMA, SPLIT_END } state;
    bool in_value, in_string, escaped, in_scalar;
    bool wants_value; /* behind a comma */
    size_t depth;
};

/* What the next byte is. */
enum split_event json_split_byte(struct json_split *s, char c);

/* Whether the input may end here. */
bool json_split_is_whole(const struct json_split *s);

#endif
