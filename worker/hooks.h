/* hooks.h - what a test makes a worker do when it has a certain document in hand; only in builds for tests. */
#ifndef WORKER_HOOKS_H
#define WORKER_HOOKS_H

#include "common/str.h"

#ifdef MAYFLY_TEST_HOOKS
/* By environment: MAYFLY_TEST_KILL_ID names a document that crashes its worker, MAYFLY_TEST_HOG_ID one at which it
 * takes memory without end, as MAYFLY_TEST_HOG says: `heap`, `private` or `shared` mappings, or `none`, and then it
 * hangs. */
void hooks_obey(struct str id);
#else
static inline void hooks_obey(struct str id)
{
    (void)id;
}
#endif

#endif
