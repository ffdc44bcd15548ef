#include "common/slice.h"

#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/sched/types.h's struct sched_attr, version 0, which libc has since 2.41 only. */
struct scheduling {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

static int set(unsigned slice_us, int policy, int nice)
{
    struct scheduling s = {.size = sizeof s,
                           .policy = (uint32_t)policy,
                           .nice = nice,
                           .runtime = (uint64_t)slice_us * 1000};
    return (int)syscall(SYS_sched_setattr, 0, &s, 0);
}

void slice_ask(unsigned slice_us)
{
    int policy = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
    if (policy == SCHED_OTHER || policy == SCHED_BATCH)
        (void)set(slice_us, policy, getpriority(PRIO_PROCESS, 0));
}

/* A sandbox may forbid the one call, and allow those that there were before it. */
static int set_policy(unsigned slice_us, int policy, int nice)
{
    const struct sched_param none = {.sched_priority = 0};
    if (set(slice_us, policy, nice) == 0)
        return 0;
    int rc = sched_setscheduler(0, policy, &none);
    (void)setpriority(PRIO_PROCESS, 0, nice);
    return rc;
}

void slice_ask_as_batch(unsigned slice_us, int nice)
{
    (void)set_policy(slice_us, SCHED_BATCH, nice);
}

/* To leave SCHED_IDLE is allowed to whoever may lower his nice value. */
static bool may_lower(int nice)
{
    bool may = setpriority(PRIO_PROCESS, 0, nice) == 0 && setpriority(PRIO_PROCESS, 0, nice - 1) == 0;
    (void)setpriority(PRIO_PROCESS, 0, nice);
    return may;
}

bool slice_be_idle(int nice)
{
    return may_lower(nice) && set_policy(0, SCHED_IDLE, nice) == 0;
}

bool slice_is_idle(void)
{
    return (sched_getscheduler(0) & ~SCHED_RESET_ON_FORK) == SCHED_IDLE;
}
