/* bundle.h - a batch region on its way: filled by ingest, logged, applied by a job.
 *
 * Made by ingest.c (or recover.c from the log), handed to jobs.c when its record is durable and given back through
 * `on_applied` when every operation of it is applied or refused; then the region is closed and the log is told. While it
 * waits for a job its region may be dropped from memory: the log has it. */
#ifndef COORDINATOR_BUNDLE_H
#define COORDINATOR_BUNDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/region.h"
#include "coordinator/index.h"

enum bundle_state {
    BUNDLE_OPEN,
    BUNDLE_LOGGING,
    BUNDLE_LOGGED,
    BUNDLE_QUEUED, /* its owner may drop the region: region.fd is -1 then */
    BUNDLE_FETCHING,
    BUNDLE_FETCHED, /* for a job: the region must stay */
    BUNDLE_RUNNING,
    BUNDLE_APPLIED
};

struct refusal { /* owned by whoever passes it; copy what must stay */
    uint64_t sequence, task, position;
    uint64_t generation; /* of the commit that holds it; 0: none does */
    const char *id, *code, *message;
};

struct bundle {
    struct bundle *next;   /* in whatever queue it stands */
    struct stream *stream; /* holds a reference on its index */
    struct region region;
    enum bundle_state state;
    uint64_t task;
    uint64_t first, end; /* sequence numbers */
    uint64_t bytes;      /* of operations */
    bool small;          /* a job of its own, in the slot kept for small ones */
    bool ordered;        /* everything of the stream before it is applied first */
    bool alone;          /* in a job of its own */

    /* Exactly once, when the whole range is applied; the bundle is the callee's again. */
    void (*on_applied)(struct bundle *b, void *context);
    /* Any number of times before it: operations of this bundle that were refused. */
    void (*on_refused)(struct bundle *b, const struct refusal *refused, size_t count, void *context);
    /* A job needs the region that was dropped: jobs_fetched follows, later, when it is there or cannot be had. */
    void (*on_wanted)(struct bundle *b, void *context);
    void *context;
};

#endif
