/* snapshot_file.h - an open segment that generations share, and how many of a term's documents are deleted in each.
 * Used by snapshot.c only.
 *
 * Deletions of a segment only ever grow. The file keeps them in a journal, in the order in which this process learnt of
 * them; a generation is a position in it. A count that was made at one position becomes that of another by looking up
 * the documents between the two. The journal and the counts are bounded; what is not there is counted again. */
#ifndef INDEX_SNAPSHOT_FILE_H
#define INDEX_SNAPSHOT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index/snapshot.h"

struct snapshot_file {
    uint32_t references;
    struct segment *segment;
    uint64_t first; /* position of the journal's first document */
    uint32_t *journal;
    size_t journal_count, journal_room;
    struct deleted_count *counts; /* buckets of a few; NULL before the first */
    size_t bucket_mask;
};

/* As snapshot_open_segment. */
int snapshot_file_open(const char *directory, const struct core_segment *core, bool for_ids, struct snapshot_file **out,
                       struct segment_fault *out_fault);
struct snapshot_file *snapshot_file_hold(struct snapshot_file *f);
void snapshot_file_release(struct snapshot_file *f); /* accepts NULL */

size_t snapshot_file_heap(const struct snapshot_file *f); /* bytes of malloc, the segment's with them */

/* The position of `after`, made from a generation that had `before` at `marks`. Later ones go into the journal. */
uint64_t snapshot_file_advance(struct snapshot_file *f, const struct core_segment *before, uint64_t marks,
                               const struct core_segment *after);

/* Deleted documents among the term's postings; negative on damage. */
int64_t snapshot_file_deleted(struct snapshot_file *f, const struct core_segment *core, uint64_t marks,
                              const struct term *term);

#endif
