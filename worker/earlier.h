/* earlier.h - what operations of a job left of the documents that a later partial update of the same job changes.
 *
 * Only ids that stand in the job more than once are remembered, which is found out beforehand: elsewhere what counts is
 * what was committed before the job. Memory by malloc, as long as the worker lives. */
#ifndef WORKER_EARLIER_H
#define WORKER_EARLIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/batch.h"
#include "worker/regions.h"

struct earlier {
    uint64_t *hashes; /* of ids that stand in the job more than once, rising */
    struct left **left; /* by the place of its hash; ids that share one are a list */
    size_t count;
};

/* Looks through the operations that are to come. Without a partial update there is nothing to remember. */
void earlier_open(struct earlier *e, const struct regions *r);

/* The document's body after that operation; ptr NULL: it was deleted. A body in a region stays where it is, another is
 * copied if anybody will ask for it. */
void earlier_note(struct earlier *e, const struct operation *o, struct str body);

/* Whether an operation of the job was about it; *out as above. */
bool earlier_find(const struct earlier *e, const struct operation *o, struct str *out);

#endif
