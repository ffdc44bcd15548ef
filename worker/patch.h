/* patch.h - partial updates: what a document was before an operation, and what it is after it.
 *
 * What it was stands in the index as it was before the job, or among the earlier operations of the job. */
#ifndef WORKER_PATCH_H
#define WORKER_PATCH_H

#include "worker/before.h"
#include "worker/document.h"
#include "worker/earlier.h"

struct patcher {
    struct worker *worker;
    struct before *before;
    uint64_t first; /* operation of the job */
    struct earlier earlier;
    struct arena bodies; /* the document that is being changed */
};

void patcher_open(struct patcher *p, struct before *before, const struct regions *r);

/* The document that the operation leaves, in the scratch arena or in its region. ERR_INVALID if it is refused, with the
 * reason. Dies of damage, and of a lack of memory. */
int patch(struct patcher *p, const struct operation *o, struct str *out, struct refused *out_refused);

#endif
