/* merge_policy.h - which segments of a stream should become one. Pure. */
#ifndef COORDINATOR_MERGE_POLICY_H
#define COORDINATOR_MERGE_POLICY_H

#include <stddef.h>
#include <stdint.h>

#include "coordinator/index.h"

enum { MERGE_FANOUT = 8, MERGE_MOST = 64, MERGE_DELETED_PERCENT = 20 };

/* Tiered: segments are of one tier if their live bytes are within a factor of 8, from 1 MiB up; 8 of one tier are merged.
 * Else one with more than 20 % deleted. Ids of the inputs, or 0 for none. Those that are merging are left alone. */
size_t merge_policy_choose(const struct stream_segment *segments, size_t count, uint64_t out_ids[MERGE_MOST]);

/* All of them, for `index optimize`; 0 if there is one without deletions or none. At most MERGE_MOST, the smallest. */
size_t merge_policy_all(const struct stream_segment *segments, size_t count, uint64_t out_ids[MERGE_MOST]);

#endif
