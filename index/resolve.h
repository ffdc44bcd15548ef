/* resolve.h - which versions of documents win, when a segment is committed; then the commit itself.  Runs in: worker.
 *
 * Of all versions of an id, and deletions of it, the highest stamp wins, in whatever order they are committed. Most is
 * looked up before core.mdb is locked, in segments that may have the ids (candidates.h); under the lock only what was committed since is looked at:
 * new segments (of builds and of merges, in which moved versions are found again by id) and tombstones. */
#ifndef INDEX_RESOLVE_H
#define INDEX_RESOLVE_H

#include <stddef.h>
#include <stdint.h>

#include "index/core.h"
#include "index/segment.h"
#include "index/snapshot.h"

/* What a build made. Several versions of an id may stand in the segment, puts and deletions of it mix: stamps decide.
 */
struct resolve_build {
    const char *directory;
    uint64_t epoch;
    struct core_range applied;
    const struct core_range *gaps; /* as those of core_change */
    size_t gap_count;
    const struct segment *segment;          /* opened after its writer finished; NULL: no document */
    const struct core_tombstone *deletions; /* by id, in any order */
    size_t deletion_count;
    bool is_settled; /* everything before the deletions is applied: they need not be remembered */
    const struct core_refusal *refusals;
    size_t refusal_count;
    uint64_t refusals_saved;
};

/* Commits it: 0 and the new generation; ERR_STALE if it was superseded (nothing changed). Memory by malloc: 38 bytes
 * for each document and deletion, 16 for each older version. On failure *out_fault (may be NULL) says
 * which segment is damaged, if one is. */
int resolve_build(struct core *c, const struct resolve_build *build, uint64_t *out_generation,
                  struct segment_fault *out_fault);

/* What a merge made of the live documents that `inputs` had in `merged`. */
struct resolve_merge {
    uint64_t epoch;
    const struct snapshot *merged;
    const uint64_t *inputs;
    size_t input_count;
    const struct segment *output; /* NULL: no document was live */
    uint64_t refusals_saved;
};

/* Commits it: what was deleted in the inputs meanwhile is deleted in the output, found by stamp. ERR_STALE as above. */
int resolve_merge(struct core *c, const struct resolve_merge *merge, uint64_t *out_generation);

#endif
