/* query_scored.h - one term's postings in one segment, with what each adds to a score, for batches of candidates.
 * Runs in: shard, bench.
 *
 * All of it goes forwards: `documents` of one call are not below those of the call before. Failures are in the scope's
 * err, and nothing is found from then on. */
#ifndef INDEX_QUERY_SCORED_H
#define INDEX_QUERY_SCORED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index/postings.h"
#include "index/query_scope.h"

enum { WINDOW = 4096 }; /* documents that are handled at a time; a chunk of deletion marks has whole windows */

/* What a candidate gets that is not a contribution (those are 0 or above). */
enum {
    ABSENT = -1,   /* the document does not have it */
    HOPELESS = -2, /* whatever it has, its score would stay below what was asked for */
};

struct scored_list {
    struct scope *scope;
    struct posting_list list;
    struct str key;
    uint32_t weight;
    int32_t bound;          /* no posting adds more; 0 where nothing is scored */
    int32_t *bounds;        /* of each block, once its group was asked for; one block, or unscored: NULL */
    int32_t *group_bounds;  /* of each group */
    uint64_t *groups_known; /* bits: whose blocks' bounds are filled in */
    struct posting_block block;
    uint32_t place_base;    /* added to positions: 0 unless the owner sets it */
    uint32_t bound_from;    /* block where the last bound's range began */
    uint32_t next; /* place in the block of the first posting that was not taken */
    bool is_block_scored;
    int32_t scores[POSTING_BLOCK + KERNEL_OVERWRITE]; /* of the block */
};

/* So many, to be opened; NULL past the arena's cap. */
struct scored_list *scored_array(struct arena *a, size_t count);

/* How many documents of the segment have the term: far cheaper than to open it. */
uint32_t scored_documents(struct scope *s, struct str key);

/* False if the segment has no such term, or on failure. */
bool scored_open(struct scope *s, struct str key, uint32_t weight, struct scored_list *out);

/* The rest of opening: a list's bounds, or that of its only block, which is scored. */
bool scored_open_bounds(struct scored_list *l);

/* No posting of documents in [from, end) adds more; `from` does not fall from call to call. -1: there is none. */
int32_t scored_bound(struct scored_list *l, uint32_t from, uint32_t end);
int32_t scored_block_bound(struct scored_list *l, uint32_t block);

/* To where it was when it was opened. */
void scored_rewind(struct scored_list *l);

/* For each of `windows` runs of WINDOW documents, the first of them the `first`-th, raises bounds[i] to the most that the
 * term adds there; a window without any of its postings may be left as it is. */
void scored_window_bounds(struct scored_list *l, uint32_t first, uint32_t windows, int32_t *bounds);

/* The first document at or after `document`, or POSTINGS_END: then the block is entered and `next` is its place. */
uint32_t scored_seek(struct scored_list *l, uint32_t document);

/* Enters a block; in the second way a bitset's documents are not expanded. */
bool scored_enter(struct scored_list *l, uint32_t block);
bool scored_enter_as_it_is(struct scored_list *l, uint32_t block);
void scored_score_block(struct scored_list *l);

/* Positions of some candidates, one after the other. */
struct places {
    struct arena *arena;
    uint32_t *at;
    size_t count, room;
};

/* Candidates that are looked up, and what becomes of each. */
struct candidates {
    const uint32_t *documents; /* rising; KERNEL_OVERWRITE more can be read behind them */
    size_t count;
    const int32_t *scores; /* what they have so far; NULL: none is hopeless */
    int32_t least;         /* with less a candidate is of no use */
    int32_t *out;          /* what the term adds, or ABSENT, or HOPELESS where `scores` and the bound are below `least` */
    uint32_t *ordinals;    /* where it is not absent: which posting of the list it is; may be NULL */
    bool raises;           /* `out` has something already, and what the term adds only replaces less: several are one */

    /* NULL, or where the positions go of those that the list has and that are not hopeless by what it adds: candidate i's
     * are places->at[place_starts[i]] and on, place_counts[i] of them. They are read best while the block is in hand. */
    struct places *places;
    uint32_t *place_starts, *place_counts;
};
void scored_look_up(struct scored_list *l, const struct candidates *c);

/* Documents in [from, end) to which the term adds `least` or more, with that, in order; blocks that cannot have such are
 * passed over. How many; `out_documents` and `out_scores` have room for all and KERNEL_OVERWRITE more. *out_seen is raised
 * by the number of those that were looked at. */
size_t scored_keep(struct scored_list *l, uint32_t from, uint32_t end, int32_t least, uint32_t *out_documents,
                   int32_t *out_scores, uint64_t *out_seen);

/* Appends the positions of a posting, each plus l->place_base, with KERNEL_OVERWRITE elements more that can be read; how
 * many they are. 0 on failure. */
uint32_t scored_positions(struct scored_list *l, uint32_t ordinal, struct places *places);

/* The same of several postings in order: those of the i-th are places->at[starts[i]] and on, counts[i] of them. */
void scored_positions_of(struct scored_list *l, const uint32_t *ordinals, size_t count, struct places *places,
                         uint32_t *starts, uint32_t *counts);

/* Marks the documents in [base, base + 4096) and goes on behind them. */
void scored_mark(struct scored_list *l, uint32_t base, uint32_t end, uint64_t *seen);

/* How many of the documents that are marked, in such a window, it has; goes on behind it, too. */
uint64_t scored_count_marked(struct scored_list *l, uint32_t base, uint32_t end, const uint64_t *seen);

#endif
