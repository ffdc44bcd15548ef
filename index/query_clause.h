/* query_clause.h - a scored leaf of a query in one segment, for batches of candidates: a word, a group of words of which
 * the largest contribution counts, or a phrase (also one word in a field).  Runs in: shard, bench.
 *
 * Goes forwards only, as its lists do. */
#ifndef INDEX_QUERY_CLAUSE_H
#define INDEX_QUERY_CLAUSE_H

#include <stddef.h>
#include <stdint.h>

#include "index/query_scored.h"

enum clause_kind { CLAUSE_NOTHING, CLAUSE_WORD, CLAUSE_GROUP, CLAUSE_PHRASE };

struct clause {
    struct scope *scope;
    const struct tree_leaf *leaf;
    enum clause_kind kind;
    int32_t bound; /* it adds no more to any document */
    uint64_t cost; /* at most so many documents */
    struct scored_list *lists; /* of a phrase: each word once, rarest first */
    size_t list_count;
    struct phrase *phrase;
    struct window *found;  /* of a group: what it adds in a window, once many were looked up there; NULL: nowhere yet */
    uint32_t found_at;     /* the window's first document; NO_WINDOW: none */
    uint32_t asked_at;     /* the window where candidates were looked up last, list by list */
    uint64_t asked;        /* how many there, until now */
};

/* What a union sums up: all zero between windows, but for what the group in hand has put together. */
struct window {
    int32_t sums[WINDOW];
    uint64_t seen[WINDOW / 64];
    int32_t group[WINDOW]; /* of anything until a group begins */
};
enum { NO_WINDOW = WINDOW - 1 };

/* False if it is nothing in this segment, as far as the dictionary tells. */
bool clause_may_be(struct scope *s, const struct tree_leaf *leaf);

/* Failures are in the scope's err; the clause is nothing then. */
void clause_open(struct scope *s, const struct tree_leaf *leaf, struct clause *out);

/* To where it was when it was opened. */
void clause_rewind(struct clause *c);

/* No document in [from, end) gets more; ABSENT: none gets anything. */
int32_t clause_bound(struct clause *c, uint32_t from, uint32_t end);

/* For each of `windows` windows from the `first`-th on the most that a document there gets; ABSENT: none gets anything. */
void clause_window_bounds(struct clause *c, uint32_t first, uint32_t windows, int32_t *out);

/* A document at or before its first one at or after `document`; POSTINGS_END: there is none. */
uint32_t clause_reach(struct clause *c, uint32_t document);

/* As scored_look_up; at most WINDOW candidates, ordinals are not asked for. */
void clause_look_up(struct clause *c, const struct candidates *candidates);

/* Adds what documents in [base, end) get to the window, marks them, and goes on to `end`. */
void clause_accumulate(struct clause *c, uint32_t base, uint32_t end, struct window *w);

/* Marks documents in [base, end) that may have it: all that have it, and of a phrase some that have not. */
void clause_mark(struct clause *c, uint32_t base, uint32_t end, uint64_t *seen);

#endif
