/* filter_value.h - values of documents and of filters, and their order.  Used by filter*.c only. */
#ifndef INDEX_FILTER_VALUE_H
#define INDEX_FILTER_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/json.h"
#include "common/str.h"

enum filter_type { FILTER_TYPE_BOOLEAN, FILTER_TYPE_NUMBER, FILTER_TYPE_STRING };

struct filter_value {
    enum filter_type type;
    bool is_whole; /* a number that `whole` holds; else `real` does */
    bool boolean;
    int64_t whole;
    double real;
    struct str text; /* of a string */
};

/* Of a scalar as a parse gives it; false for null. */
bool filter_value_of(enum json_type type, struct str text, struct filter_value *out);

/* Whether the text is a number as JSON has them. */
bool filter_number(struct str text, struct filter_value *out);

/* By type, then by value: numbers exactly, whatever they are made of, strings bytewise. */
int filter_compare(const struct filter_value *a, const struct filter_value *b);

#endif
