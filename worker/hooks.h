/* hooks.h - what a test makes a worker do: with a certain document in hand, or otherwise than in earnest; only in builds
 * for tests. */
#ifndef WORKER_HOOKS_H
#define WORKER_HOOKS_H

#include <stdint.h>

#include "common/str.h"

#ifdef MAYFLY_TEST_HOOKS
/* By environment: MAYFLY_TEST_KILL_ID names a document that crashes its worker, MAYFLY_TEST_HOG_ID one at which it
 * takes memory without end, as MAYFLY_TEST_HOG says: `heap`, `private` or `shared` mappings, or `none`, and then it
 * hangs. */
void hooks_obey(struct str id);

/* MAYFLY_TEST_PAIRS: from how many documents on a merged segment gets lists of pairs; 0: as in earnest. */
uint32_t hooks_pairs(void);
#else
static inline void hooks_obey(struct str id)
{
    (void)id;
}

static inline uint32_t hooks_pairs(void)
{
    return 0;
}
#endif

#endif
