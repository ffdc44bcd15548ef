/* patch.h - partial updates: what a document was before an operation, and what it is after it.
 *
 * The coordinator begins a job with partial updates when everything before it is applied: what a document was stands in
 * the index, or among the earlier operations of the job. */
#ifndef WORKER_PATCH_H
#define WORKER_PATCH_H

#include "index/snapshot.h"
#include "worker/document.h"
#include "worker/earlier.h"
#include "worker/job.h"

struct patcher {
    struct worker *worker;
    struct core *core;
    const char *directory;
    struct snapshot *before; /* the index, as it was when the first partial update came; NULL: none came */
    struct earlier earlier;
    struct arena bodies; /* the document that is being changed */
};

void patcher_open(struct patcher *p, struct worker *w, struct core *core, const char *directory,
                  const struct regions *r);

/* The document that the operation leaves, in the scratch arena or in its region. ERR_INVALID if it is refused, with the
 * reason. Dies of damage, and of a lack of memory. */
int patch(struct patcher *p, const struct operation *o, struct str *out, struct refused *out_refused);

#endif
