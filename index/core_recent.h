/* core_recent.h - deletion marks that stand with the meta value of core.mdb and not yet in their segments' values.  Used
 * by core*.c only.
 *
 * A small commit writes that value anyway, where a segment's value, or its image, and a chunk of its deletions would be
 * pages of their own. When there are many, all go to their segments at once (core_marks.c). A view has both, so nobody
 * else tells one from the other: what a mark changed has the generation of its commit, wherever it stands. */
#ifndef INDEX_CORE_RECENT_H
#define INDEX_CORE_RECENT_H

#include <stddef.h>
#include <stdint.h>

#include "index/core.h"

enum { CORE_RECENT_MOST = 48 }; /* their value stays well below half a page, so in a leaf */

struct core_recent {
    uint64_t segment, generation; /* of the commit that made it */
    uint32_t document, length;    /* as core_mark */
};

struct core_recents { /* rising by segment and document */
    size_t count;
    struct core_recent items[CORE_RECENT_MOST];
};

/* A run of them, in the list. */
struct recent_run {
    const struct core_recent *at;
    size_t count;
};
struct recent_run recents_of_segment(const struct core_recents *r, uint64_t segment);
struct recent_run recents_of_chunk(const struct recent_run *of_segment, size_t chunk);
uint64_t recent_newest(const struct recent_run *run, uint64_t generation); /* the highest, and that */

/* Into the counts of a segment. ERR_CORRUPT if they cannot be. */
int recent_count(const struct recent_run *of_segment, struct core_segment *s);
/* Into a chunk's bits. ERR_CORRUPT if one is there already. */
int recent_mark(const struct recent_run *of_chunk, struct deletion_chunk *chunk);

void recents_add(struct core_recents *r, const struct core_recent *mark); /* there is room; one that is there stays */
void recents_drop(struct core_recents *r, uint64_t segment);

#endif
