/* added.h - what core.mdb is to say of a new segment, and which of its documents are deleted from birth.  Runs in:
 * worker. */
#ifndef INDEX_ADDED_H
#define INDEX_ADDED_H

#include "index/core.h"
#include "index/id_filter.h"
#include "index/segment.h"

struct added {
    struct core_segment core;
    const struct segment *segment;
};

int added_open(const struct segment *segment, struct added *out); /* -ENOMEM; ERR_INVALID if it has no document */
void added_close(struct added *a);                                /* accepts a zeroed one */

/* The filter of its ids, for the commit, where it has a file and is not too large; else *out is zeroed. */
enum { ADDED_IDS_MOST = 4 << 20 }; /* documents: a filter of 9 MB, written under the lock */
int added_ids(const struct added *a, struct id_filter *out);

int added_delete(struct added *a, uint32_t document); /* once or more often; -ENOMEM */

#endif
