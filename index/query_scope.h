/* query_scope.h - one segment while a query runs over it: what all its cursors and clauses share.  Runs in: shard, bench.
 *
 * A failure is sticky, and so is a deadline that has passed: everything ends then. */
#ifndef INDEX_QUERY_SCOPE_H
#define INDEX_QUERY_SCOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "index/kernels.h"
#include "index/query.h"
#include "index/query_tree.h"

struct scope {
    struct arena *arena;
    const struct query *query;
    const struct query_run *run;
    const struct segment *segment;
    uint32_t number; /* of the segment in the snapshot */
    const struct kernels *kernels;
    bool unscored; /* documents are counted only */
    bool asks;     /* for blocks before they are read (will_need.h) */
    const uint8_t *length_codes;
    uint32_t documents;
    uint32_t ticks;   /* work since the clock was last looked at */
    bool late;        /* the deadline has passed */
    int err;          /* the first failure */
    const char *part; /* what was damaged */
};

/* True when the scan must end, for whatever reason; the first form looks at the clock every thousand calls or so. */
bool scope_is_over(struct scope *s);
bool scope_is_over_now(struct scope *s);

void scope_fail(struct scope *s, int err, const char *part);

/* What was allocated; NULL is a failure (ERR_FULL). */
void *scope_take(struct scope *s, void *allocated);

/* By which the element's word is scored; 0 where nothing is. */
uint32_t scope_element_weight(const struct scope *s, const struct tree_element *e);

/* The segment's number of a field, and the weight that occurrences have there; false if the segment has no such field. */
bool scope_find_field(const struct scope *s, struct str name, uint32_t *out_field, uint32_t *out_weight);

#endif
