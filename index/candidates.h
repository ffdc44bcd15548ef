/* candidates.h - which of some ids may be in a segment, found out without opening it.  Runs in: worker. */
#ifndef INDEX_CANDIDATES_H
#define INDEX_CANDIDATES_H

#include <stddef.h>
#include <stdint.h>

#include "index/core.h"

struct candidates {
    struct core *core;
    const uint64_t *hashes; /* of the ids, rising */
    size_t count;
    uint32_t *places; /* of those that may be there, among the hashes; room for all */
    size_t found;
};

/* By the filter that core.mdb has of a file (core_may_have), or by the hashes in an image, which are exact. Of a damaged
 * image all are candidates: who opens it learns what is wrong. */
int candidates_find(struct candidates *c, const struct core_segment *s);

#endif
