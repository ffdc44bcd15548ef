/* query_prune.h - what the two pruning scans of a segment share: candidates in batches, and what a hit must score to get
 * in.  Runs in: shard, bench.
 *
 * They are for queries whose items are leaves; query_scan.h has the scan for all others, which looks at every document that
 * matches. Both give the same hits. */
#ifndef INDEX_QUERY_PRUNE_H
#define INDEX_QUERY_PRUNE_H

#include "index/query_clause.h"
#include "index/query_scan.h"

struct batch {
    size_t count;
    uint32_t documents[WINDOW + KERNEL_OVERWRITE];
    int32_t scores[WINDOW + KERNEL_OVERWRITE];
    int32_t added[WINDOW + KERNEL_OVERWRITE];
    uint16_t kept[WINDOW]; /* rungs of the ladder, where there is one */
};

struct prune { /* once for a query, over all segments */
    struct batch batch;
    bool is_window_clear; /* it was used: all zero between windows */
    struct window window;
    uint64_t seen[CHUNK_DOCUMENTS / 64]; /* of those who only count */
    uint64_t tried, found;               /* candidates whatever their score, and how many of them were hits */
    uint64_t live, kept;                 /* candidates that were not deleted, and how many of them nothing excluded */
};

struct prune *prune_new(struct arena *a); /* NULL past the arena's cap */

/* Cleared when it is first asked for: most queries need none. */
struct window *prune_window(const struct scan *s);

/* The least score that still gets in for documents at or after `document`, none of whose words is dropped: equal scores
 * are ordered by stamp, and stamps rise with documents. 0: any. */
int32_t prune_least(const struct scan *s, uint32_t document);

/* All of the batch, none of whose words is dropped, as hits. */
void prune_offer(struct scan *s, struct batch *b);

/* Tells the others who run the query what a hit must have now. */
void prune_share(const struct scan *s);

/* Those that are hopeless or, if `required`, absent leave the batch; the others get what was added, and leave if that is
 * less than `least`. */
void prune_add(const struct scan *s, struct batch *b, bool required, int32_t least);

/* Documents that are deleted, or that an excluded item has, leave the batch. */
void prune_exclude(const struct scan *s, struct batch *b, struct matcher **excluded);

/* Of `matching` documents of a union, deleted and excluded ones among them, those that are hits: at least those that were
 * counted, and as many as if the others were deleted and excluded as often as what was looked at. */
uint64_t prune_estimate(const struct scan *s, double matching, uint64_t counted);

bool prune_is_excluded(const struct scan *s, struct matcher **excluded, uint32_t document);

/* Any item, and all of what is required with at least `must` rungs (query_scan.h). */
void prune_any(struct scan *s);
void prune_word(struct scan *s, struct clause *c); /* the only clause that the segment has, a word: in any order */
void prune_count_any(struct scan *s); /* no hits are wanted */
void prune_all(struct scan *s, size_t must, bool incomplete_only);

/* How many documents have both words, deleted ones among them. */
uint64_t prune_count_both(const struct scan *s, struct scored_list *a, struct scored_list *b);

#endif
