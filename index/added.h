/* added.h - what core.mdb is to say of a new segment, and which of its documents are deleted from birth.  Runs in:
 * worker. */
#ifndef INDEX_ADDED_H
#define INDEX_ADDED_H

#include "index/core.h"
#include "index/segment.h"

struct added {
    struct core_segment core;
    const struct segment *segment;
};

int added_open(const struct segment *segment, struct added *out); /* -ENOMEM; ERR_INVALID if it has no document */
void added_close(struct added *a);                                /* accepts a zeroed one */

int added_delete(struct added *a, uint32_t document); /* once or more often; -ENOMEM */

#endif
