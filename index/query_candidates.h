/* query_candidates.h - the terms that a word of a query stands for, while round 1 finds them.  Runs in: shard, bench.
 *
 * A word is its stem (query_prepare.c), the words that begin with it (query_prefixed.c) and, where nobody has it, those
 * that are a few edits away (query_typos.c). Each part adds what it found in each segment; query_prepare.c sorts it and
 * adds it up. */
#ifndef INDEX_QUERY_CANDIDATES_H
#define INDEX_QUERY_CANDIDATES_H

#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "index/query.h"
#include "index/query_tree.h"

struct query_preparation {
    struct arena *arena;
    struct snapshot *snapshot;
    struct query_fault *fault;
    struct tree_word *word;
    struct query_candidate *found; /* of all segments, then sorted and added up */
    size_t found_count, found_room;
};

/* By (edits, distance, length, key). */
static inline int query_candidate_order(const struct query_candidate *a, const struct query_candidate *b)
{
    if (a->edits != b->edits)
        return a->edits < b->edits ? -1 : 1;
    if (a->distance != b->distance)
        return a->distance < b->distance ? -1 : 1;
    if (a->key.len != b->key.len)
        return a->key.len < b->key.len ? -1 : 1;
    return str_compare(a->key, b->key);
}

/* One more; ERR_FULL. */
int query_candidate_add(struct query_preparation *p, struct query_candidate candidate);

/* Notes where it was, and returns `err`. */
int query_prepare_failed(struct query_preparation *p, size_t segment, const char *part, int64_t err);

/* Add the candidates of p->word that live documents have: the first QUERY_CANDIDATES of them at least, with all of
 * their documents. An error of common/err.h, in p->fault where it is of a segment. */
int query_prepare_prefix(struct query_preparation *p);
int query_prepare_typos(struct query_preparation *p);

#endif
