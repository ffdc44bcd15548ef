/* snapshot.h - one generation of one shard of an index, open for reading: the core view and its segments, files mapped.
 *
 * Reference-counted; a newer snapshot shares the segments that both have. Queries hold a snapshot, not a transaction.
 * Runs in: shard; worker, to resolve versions and to merge. */
#ifndef INDEX_SNAPSHOT_H
#define INDEX_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/str.h"
#include "index/core.h"
#include "index/segment.h"

struct snapshot_segment {
    struct segment *segment;
    const struct core_segment *core; /* counts and deletions at this generation */
    struct snapshot_file *file;      /* shared by generations: the mapping, live document frequencies */
    uint64_t marks;                  /* deletions of the file's journal that this generation has */
};

/* All of its documents are deleted. Until a merge takes it away there is nothing that a query finds in it. */
static inline bool snapshot_is_dead(const struct snapshot_segment *s)
{
    return s->core->deleted == s->core->documents;
}

struct snapshot {
    uint32_t references;
    struct core_view *view;
    struct snapshot_segment *segments; /* in the order of view->segments; all, but for snapshot_open_only */
    size_t segment_count;
    unsigned asks; /* enum asks (will_need.h), set by who queries it: what a query will read is asked for first */
};

/* From a view (one reference is taken over on success), sharing with `previous` where that has the same segments (may
 * be NULL). On failure *out_fault says which one could not be opened, and where it is damaged. */
int snapshot_open(const char *directory, struct core_view *view, struct snapshot *previous, struct snapshot **out,
                  struct segment_fault *out_fault);

/* The same, to look up ids: whoever finds one calls segment_check_document before it looks at its stamp. */
int snapshot_open_for_ids(const char *directory, struct core_view *view, struct snapshot *previous,
                          struct snapshot **out, struct segment_fault *out_fault);

/* One segment alone: its file, or the image that `core` has. ERR_CORRUPT also if it is not the one that `core` speaks of.
 * `for_ids` as in segment_open_for_ids; *out_fault is set in any case. */
int snapshot_open_segment(const char *directory, const struct core_segment *core, bool for_ids, struct segment **out,
                          struct segment_fault *out_fault);

/* Only those segments of the view, in its order, that are among `ids`. */
int snapshot_open_only(const char *directory, struct core_view *view, const uint64_t *ids, size_t count,
                       struct snapshot **out, struct segment_fault *out_fault);
struct snapshot *snapshot_hold(struct snapshot *s);
void snapshot_release(struct snapshot *s); /* accepts NULL; the last one unmaps what no other snapshot has */

/* What a process holds for it. Deletions and files that other generations share count in each. */
struct footprint {
    uint64_t mapped; /* bytes of its segment files: address space, and no memory until they are read */
    uint64_t heap;   /* bytes of malloc: images, resolved places, deletions, counts */
};
void snapshot_footprint(const struct snapshot *s, struct footprint *out);

/* This process has none of its pages any more; the kernel keeps them in its cache, from where the next query has them
 * back without reading from the disk. */
void snapshot_trim(const struct snapshot *s);

/* seg-<id>.mdb in the directory. */
enum { SNAPSHOT_PATH_MAX = 4096 };
void snapshot_segment_path(const char *directory, uint64_t segment, char *out, size_t size);

/* Live documents with a term that is at hand, of that segment: exact, counted when first asked for and kept with the file
 * for later generations, of which each new deletion costs a probe. Negative on damage. */
int64_t snapshot_live(struct snapshot_segment *s, const struct term *t);

/* The same of the term that has this key, and the term; its documents are 0 where it is not there. */
int64_t snapshot_term(struct snapshot_segment *s, struct str key, struct term *out);

/* The live version of an id: false if there is none, or *err, of what was found in *out_segment. */
bool snapshot_find(const struct snapshot *s, uint64_t hash, struct str id, size_t *out_segment, uint32_t *out_document,
                   int *err);

#endif
