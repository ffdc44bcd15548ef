/* regions.h - the operations of a job, read one after the other from its sealed regions. */
#ifndef WORKER_REGIONS_H
#define WORKER_REGIONS_H

#include <stdbool.h>

#include "index/core.h"
#include "proto/batch.h"
#include "worker/job.h"

struct regions {
    struct batch {
        struct batch_header header;
        struct str operations;
    } * batches; /* mapped as long as the worker lives */
    size_t count;
    uint64_t first, end; /* the sequence numbers that are asked for: resume, stop */
    uint64_t operations; /* that are */
    size_t largest;      /* body, of those */

    size_t at;       /* batch in hand */
    struct str rest; /* of its operations */
    uint64_t next;   /* sequence number of the next operation */
};

/* Maps and checks all of them against the job: dies of what does not hold. */
void regions_open(struct regions *r, struct worker *w);

/* The next operation that is asked for, and the task it belongs to; false at the end. */
bool regions_next(struct regions *r, struct operation *out, uint64_t *out_task);

/* What is below `end` between the regions, and is others': at most as many as there are regions. */
size_t regions_gaps(const struct regions *r, uint64_t end, struct core_range *out);

#endif
