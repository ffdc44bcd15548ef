/* query_scan.h - the two ways through one segment: all of what is required, or any of what is there.
 * Runs in: shard, bench. */
#ifndef INDEX_QUERY_SCAN_H
#define INDEX_QUERY_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "index/core.h"
#include "index/query_leaf.h"
#include "index/query_match.h"
#include "index/query_plan.h"
#include "index/query_top.h"

enum { SCAN_WINDOW = 4096 }; /* documents that a union sums up at a time */

struct scan_window {
    int64_t sums[SCAN_WINDOW]; /* all zero between windows, unless leaves stand only inside of groups */
    uint64_t seen[SCAN_WINDOW / 64];
    int32_t scratch[SCAN_WINDOW];
};

/* One segment's turn, and what all of them share: the hits, and how many documents match with each number of words
 * dropped. */
struct scan {
    struct scope scope;
    const struct plan *plan;
    const struct core_segment *core;
    uint32_t segment;            /* its place in the snapshot */
    struct leaf_cursor *scorers; /* one per leaf; those that are not scored stay closed */
    struct top *top;
    uint64_t *counts;
    struct scan_window *window; /* unions only */
    struct prune *prune;   /* pruning scans only */
};

/* A hit, if it is among the best so far. */
void scan_offer(struct scan *s, uint32_t dropped, uint64_t score, uint32_t document);

/* Rungs that a document must have to be among the best, as far as that is known: `must` or more. */
size_t scan_rungs_needed(const struct scan *s, size_t must);

/* Matchers with cursors of their own; NULL past the arena's cap (the scope's err says so). */
struct matcher **scan_matchers(struct scan *s, const struct tree_node **nodes, size_t count);

/* Opens the cursors of all scored leaves. */
void scan_open(struct scan *s);

/* Documents with everything required and at least `must` rungs. With `incomplete_only` those that have all rungs are
 * left out: they have been counted. */
void scan_conjunction(struct scan *s, size_t must, bool incomplete_only);

/* Documents with any item; nothing is dropped. */
void scan_union(struct scan *s);

#endif
