/* edition_policy.h - how an edition that is being made catches up with the one that answers. Pure. */
#ifndef COORDINATOR_EDITION_POLICY_H
#define COORDINATOR_EDITION_POLICY_H

#include <stdbool.h>
#include <stdint.h>

/* After a pass over all shards: whether the next one is the last, for which builds pause. It is once little was left to
 * do, and also when passes do not get shorter: then only a pause brings them to an end. `before` is what the pass before
 * it came to, UINT64_MAX for the first one. */
bool edition_is_last_next(unsigned passes, uint64_t differences, uint64_t before);

#endif
