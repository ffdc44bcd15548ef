/* query_leaf.h - the documents of one leaf of a query in one segment, one after the other, with what each adds to the
 * score: for scans that look at every document (query_scan.h), and for what only restricts (query_match.h). Scans that
 * prune score by clauses (query_clause.h).  Runs in: shard, bench. */
#ifndef INDEX_QUERY_LEAF_H
#define INDEX_QUERY_LEAF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index/postings.h"
#include "index/query_scope.h"

/* One term's postings. Positions are read when a phrase or a field needs them. */
struct leaf_term {
    struct postings postings;
    uint32_t documents;
    uint32_t weight;
    struct str key;
    uint32_t *positions; /* of the document `positions_of` */
    size_t position_room;
    uint32_t positions_of;
};

enum leaf_kind {
    LEAF_NOTHING, /* no such word or field in this segment */
    LEAF_WORD,    /* a document with any of the terms; the largest contribution counts */
    LEAF_PHRASE,  /* also one word in a field */
};

struct leaf_cursor {
    struct scope *scope;
    enum leaf_kind kind;
    uint32_t document;       /* POSTINGS_END at the end */
    uint64_t cost;           /* at most so many documents */
    struct leaf_term *terms; /* of a phrase: each word once, rarest first */
    size_t term_count;
    const struct tree_leaf *leaf;
    uint32_t *element_terms; /* phrase: the term of each element */
    size_t *element_at;      /* phrase: place in that term's positions */
    bool in_field;
    uint32_t field;
    uint32_t field_weight;
    struct field_ranges ranges; /* of the document whose positions were read last */
};

/* Stands on the first document. Failures are in the scope's err. */
void leaf_open(struct scope *s, const struct tree_leaf *leaf, struct leaf_cursor *out);

/* To the first document at or after `document`; never back. */
void leaf_seek(struct leaf_cursor *c, uint32_t document);

/* What the leaf adds to the document it stands on. */
int64_t leaf_score(struct leaf_cursor *c);

/* Adds the contributions of all documents in [base, end) to sums[document - base] and marks them in `seen`, unless that
 * is NULL; goes on to `end`. `scratch` is zeroed room for end - base contributions, and is left zeroed. */
void leaf_accumulate(struct leaf_cursor *c, uint32_t base, uint32_t end, int64_t *sums, uint64_t *seen,
                     int32_t *scratch);

/* The same without sums, for those who only count. */
void leaf_mark(struct leaf_cursor *c, uint32_t base, uint32_t end, uint64_t *seen);

#endif
