/* delete_matching.h - deletions by filter: which documents one of them deletes.
 *
 * It is alone in its job, and everything before it is applied. What it finds is deleted as if it had been named, with
 * the operation's own stamp: what comes after it stays, and so does what was changed meanwhile. */
#ifndef WORKER_DELETE_MATCHING_H
#define WORKER_DELETE_MATCHING_H

#include "proto/batch.h"
#include "worker/before.h"
#include "worker/document.h"

struct delete_sink {
    /* Of a document that was found; its id stands in the index, and is there as long as the worker. */
    void (*found)(void *context, uint64_t hash, struct str id);
    /* What was found since the last time is as much as there is memory for: to be committed. */
    void (*full)(void *context);
    void *context;
};

/* 0, or ERR_INVALID: it is refused, for the reason given. Dies of damage, and of a lack of memory. */
int delete_matching(struct before *before, const struct operation *o, const struct delete_sink *sink,
                    struct refused *out_refused);

#endif
