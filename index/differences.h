/* differences.h - which live documents one snapshot has and another one lacks, by stamp: versions are told apart by
 * nothing else.  Runs in: worker (re-analysis). */
#ifndef INDEX_DIFFERENCES_H
#define INDEX_DIFFERENCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index/snapshot.h"

struct difference {
    bool is_surplus; /* `to` has it, and `from` has not; else the other way round */
    size_t snapshot; /* which of those that `from` is has it; 0: also where `to` has it */
    size_t segment;  /* of the snapshot that has it: its place there */
    uint32_t document;
    uint64_t stamp;
};

struct differences { /* open: all snapshots stay */
    struct difference_source *heap; /* segments that are not at their end, the lowest stamp on top */
    size_t count;
};

/* Those at or above a stamp; `from` is `count` snapshots of different shards. -ENOMEM; ERR_CORRUPT: a segment's stamps
 * cannot be read, *out_fault says whose. */
int differences_open(struct differences *d, const struct snapshot *const *from, size_t count,
                     const struct snapshot *to, uint64_t first, struct segment_fault *out_fault);
void differences_close(struct differences *d); /* accepts a zeroed one */

/* By rising stamp; false at the end. */
bool differences_next(struct differences *d, struct difference *out);

#endif
