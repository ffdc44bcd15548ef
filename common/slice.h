/* slice.h - how long a process may keep the processor from those that wake up.  Runs in: all.
 *
 * From Linux 6.12 on whoever wakes up and asked for a shorter slice than the one that runs need not wait until that one is
 * used up. Kernels before do not look at it; nothing else changes. See sched_setattr(2), `sched_runtime`. */
#ifndef COMMON_SLICE_H
#define COMMON_SLICE_H

#include <stdbool.h>

enum { SLICE_SHORT_US = 300, SLICE_LONG_US = 100 * 1000 }; /* the kernel's own is about 3 ms, its bounds are 100 us and 100 ms */

/* Of the calling thread, which keeps policy and nice value; what it starts from now on inherits it. */
void slice_ask(unsigned slice_us);

/* With SCHED_IDLE: whoever else wants the processor has it at once, and one on which nothing else runs counts as free. Only
 * where the kernel lets the thread leave that again, which takes RLIMIT_NICE or a privilege; else false. */
bool slice_be_idle(int nice);
bool slice_is_idle(void);

/* With SCHED_BATCH and this nice value. Where the kernel says no, it goes without. */
void slice_ask_as_batch(unsigned slice_us, int nice);

#endif
