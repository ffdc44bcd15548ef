/* bundle.h - a batch region on its way: filled by ingest, logged, applied by a job.
 *
 * Made by ingest.c (or recover.c from the log), handed to jobs.c when its record is durable and given back through
 * `on_applied` when every operation of it is applied or refused; then the region is closed and the log is told. */
#ifndef COORDINATOR_BUNDLE_H
#define COORDINATOR_BUNDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/region.h"
#include "coordinator/index.h"

enum bundle_state { BUNDLE_OPEN, BUNDLE_LOGGING, BUNDLE_LOGGED, BUNDLE_QUEUED, BUNDLE_RUNNING, BUNDLE_APPLIED };

struct refusal { /* owned by whoever passes it; copy what must stay */
    uint64_t sequence, task, position;
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
    uint64_t log_end;    /* log position after its last record */
    bool small;          /* a job of its own, in the slot kept for small ones */

    /* Exactly once, when the whole range is applied; the bundle is the callee's again. */
    void (*on_applied)(struct bundle *b, void *context);
    /* Any number of times before it: operations of this bundle that were refused. */
    void (*on_refused)(struct bundle *b, const struct refusal *refused, size_t count, void *context);
    void *context;
};

#endif
