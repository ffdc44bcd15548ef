/* merge_policy.h - which segments of a stream should become one. Pure. */
#ifndef COORDINATOR_MERGE_POLICY_H
#define COORDINATOR_MERGE_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coordinator/index.h"

enum {
    MERGE_FANOUT = 8,
    MERGE_MOST = 64,
    MERGE_DELETED_PERCENT = 20,
    MERGE_FIRST_TIER = 128 << 10,
    FOLD_SMALL_BYTES = 12 << 10,
    FOLD_SMALL = 12,
    /* What core.mdb takes (index/core.h) is more: the rest fills while these become a file. */
    FOLD_IMAGES = 24,
    FOLD_BYTES = 512 << 10,
};

/* Images: all of them, when there are 24 or they are 512 KiB together, to become a file. Else those below 12 KiB, when
 * there are 12 (`out_again`: to become one image). Ids of the inputs, or 0 for none. Those that are merging are left alone,
 * here and below. */
size_t merge_policy_fold(const struct stream_segment *segments, size_t count, uint64_t out_ids[MERGE_MOST],
                         bool *out_again);

/* Of files. Tiered: segments are of one tier if their live bytes are within a factor of 8, from 128 KiB up; 8 of one
 * tier are merged. Else one with more than 20 % deleted. */
size_t merge_policy_choose(const struct stream_segment *segments, size_t count, uint64_t out_ids[MERGE_MOST]);

/* All of them, for `index optimize`; 0 if there is one file without deletions or none. At most MERGE_MOST, the smallest. */
size_t merge_policy_all(const struct stream_segment *segments, size_t count, uint64_t out_ids[MERGE_MOST]);

#endif
