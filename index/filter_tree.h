/* filter_tree.h - a filter from the inside.  Used by filter*.c only. */
#ifndef INDEX_FILTER_TREE_H
#define INDEX_FILTER_TREE_H

#include "index/filter.h"
#include "index/filter_value.h"

enum filter_test {
    FILTER_IS_ONE_OF, /* `values`, which are sorted */
    FILTER_IS_BETWEEN,
    FILTER_EXISTS,
    FILTER_IS_NULL,
    FILTER_IS_EMPTY,
    FILTER_STARTS_WITH,
    FILTER_CONTAINS,
};

struct filter_bound {
    bool is_set, is_inclusive;
    struct filter_value value;
};

struct filter_condition {
    enum filter_test test;
    uint32_t field;
    struct filter_value *values; /* of STARTS_WITH and CONTAINS: one string */
    size_t count;
    struct filter_bound low, high; /* of one type */
    bool holds;                    /* in the document in hand */
};

enum filter_node_kind { FILTER_NODE_CONDITION, FILTER_NODE_AND, FILTER_NODE_OR, FILTER_NODE_NOT };

struct filter_node {
    enum filter_node_kind kind;
    uint32_t condition;
    struct filter_node *first, *next; /* operands */
};

struct filter {
    struct filter_node *root;
    struct filter_condition conditions[FILTER_MAX_CONDITIONS];
    struct str fields[FILTER_MAX_CONDITIONS]; /* paths, each once */
    uint32_t condition_count, field_count;
};

#endif
