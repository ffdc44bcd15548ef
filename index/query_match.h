/* query_match.h - the documents of an expression in one segment.  Runs in: shard, bench.
 *
 * All matchers only move forwards. Each leaf has a cursor of its own, except where the caller gives one. */
#ifndef INDEX_QUERY_MATCH_H
#define INDEX_QUERY_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index/query_leaf.h"

enum match_kind { MATCHER_LEAF, MATCHER_ALL_OF, MATCHER_ANY_OF };

struct matcher {
    enum match_kind kind;
    bool placed;
    uint32_t document; /* once placed; POSTINGS_END at the end. A leaf's is in its cursor. */
    uint64_t cost;
    struct scope *scope;
    struct leaf_cursor *leaf;
    struct matcher **wanted; /* cheapest first; ALL_OF without any: all documents */
    size_t wanted_count;
    struct matcher **excluded; /* ALL_OF */
    size_t excluded_count;
};

/* NULL past the arena's cap (the scope's err says so). It stands on no document before the first seek. */
struct matcher *matcher_of_node(struct scope *s, const struct tree_node *n);
struct matcher *matcher_of_leaf(struct scope *s, struct leaf_cursor *shared);
struct matcher *matcher_all_of(struct scope *s, struct matcher **wanted, size_t wanted_count, struct matcher **excluded,
                               size_t excluded_count);

/* To the first document at or after `document`, which it returns. */
uint32_t matcher_seek(struct matcher *m, uint32_t document);

#endif
