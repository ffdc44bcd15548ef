/* idling.h - a bulk worker has the processor when nobody else wants it (SCHED_IDLE), so that searches and single updates
 * never wait for it. Not at any price:
 *
 *   while it commits    somebody may wait for the lock that it holds
 *   when it starves     with less than a quarter of the time of late, it goes on as others do, with a high nice value
 *
 * Where the kernel would not let it come back, it does so from the beginning. */
#ifndef WORKER_IDLING_H
#define WORKER_IDLING_H

#include <stdint.h>

struct idling { /* when it was looked at last */
    uint64_t wall_ns, used_ns;
};

void idling_begin(struct idling *i); /* it lasts as long as the process */
void idling_end(void);

#endif
