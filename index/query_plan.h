/* query_plan.h - which way a query is executed.  Runs in: shard, bench. */
#ifndef INDEX_QUERY_PLAN_H
#define INDEX_QUERY_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index/query_tree.h"

/* The top level of a query, ordered for execution. */
struct plan {
    uint32_t *ladder; /* leaves that may be dropped, the last one first */
    size_t rungs;
    size_t floor; /* rungs that no document may lack */
    const struct tree_node **required;
    size_t required_count;
    const struct tree_node **excluded;
    size_t excluded_count;
    bool is_union; /* any item makes a hit; nothing is dropped */
    bool prunes;   /* every scored leaf is an item by itself: query_prune.h has the scans for it */
};

/* ERR_FULL past the arena's cap. */
int plan_make(struct arena *a, const struct query *q, const struct query_run *run, struct plan *out);

#endif
