#include "worker/idling.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>

#include "common/clock.h"
#include "common/slice.h"

enum { NICE = 10, YIELD_US = 250, LOOK_US = 100 * 1000, LEAST_SHARE = 4 };

static uint64_t used_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static bool starves(struct idling *i)
{
    struct idling before = *i;
    if (clock_ns() - before.wall_ns < LOOK_US * 1000)
        return false;
    i->wall_ns = clock_ns();
    i->used_ns = used_ns();
    return i->used_ns - before.used_ns < (i->wall_ns - before.wall_ns) / LEAST_SHARE;
}

static bool set_timer(struct idling *i, long period_us)
{
    const struct timespec period = {.tv_nsec = period_us * 1000};
    const struct itimerspec from = {.it_value = period, .it_interval = period};
    return timer_settime(i->timer, 0, &from, NULL) == 0;
}

/* A signal, since whatever the worker is at may take long. */
static void on_time(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    struct idling *i = info->si_value.sival_ptr;
    int kept = errno;
    if (!slice_is_idle()) {
        (void)set_timer(i, 0); /* it never comes back to that */
    } else {
        (void)sched_yield();
        if (starves(i))
            idling_end();
    }
    errno = kept;
}

static bool watch(struct idling *i)
{
    struct sigaction action = {.sa_sigaction = on_time, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM, .sigev_value = {.sival_ptr = i}};
    return sigaction(SIGALRM, &action, NULL) == 0 && timer_create(CLOCK_MONOTONIC, &event, &i->timer) == 0 &&
           set_timer(i, YIELD_US);
}

void idling_begin(struct idling *i)
{
    slice_ask_as_batch(SLICE_LONG_US, NICE);
    i->wall_ns = clock_ns();
    i->used_ns = used_ns();
    if (slice_be_idle(NICE) && !watch(i))
        idling_end();
}

void idling_end(void)
{
    if (slice_is_idle())
        slice_ask_as_batch(SLICE_LONG_US, NICE);
}
