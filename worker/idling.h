/* idling.h - a bulk worker has the processor when nobody else wants it (SCHED_IDLE), so that searches and single updates
 * never wait for it.
 *
 * The kernel alone does not see to that: once it runs, it may keep the processor to the next tick of the clock, 4 ms, before
 * one that was there first (seen with Linux 6.18; EEVDF runs whom it owes time, however little that is). So
 * it yields four times a millisecond. Not at any price:
 *
 *   while it commits    somebody may wait for the lock that it holds
 *   when it starves     with less than a quarter of the time of late, it goes on as others do, with a high nice value
 *
 * Where the kernel would not let it come back, it does so from the beginning. */
#ifndef WORKER_IDLING_H
#define WORKER_IDLING_H

#include <stdint.h>
#include <time.h>

struct idling {
    timer_t timer;
    uint64_t wall_ns, used_ns; /* when it was looked at last */
};

void idling_begin(struct idling *i); /* it lasts as long as the process */
void idling_end(void);

#endif
