#include "worker/idling.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>

#include "common/clock.h"
#include "common/slice.h"

enum { NICE = 10, LOOK_MS = 100, LEAST_SHARE = 4 };

static uint64_t used_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static bool starves(struct idling *i)
{
    struct idling before = *i;
    *i = (struct idling){.wall_ns = clock_ns(), .used_ns = used_ns()};
    return i->used_ns - before.used_ns < (i->wall_ns - before.wall_ns) / LEAST_SHARE;
}

/* A signal, since whatever the worker is at may take long. */
static void on_look(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    int kept = errno;
    if (slice_is_idle() && starves(info->si_value.sival_ptr))
        idling_end();
    errno = kept;
}

static bool watch(struct idling *i)
{
    timer_t timer;
    struct sigaction action = {.sa_sigaction = on_look, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM, .sigev_value = {.sival_ptr = i}};
    const struct timespec every = {.tv_nsec = LOOK_MS * 1000000};
    const struct itimerspec from = {.it_value = every, .it_interval = every};
    return sigaction(SIGALRM, &action, NULL) == 0 && timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 &&
           timer_settime(timer, 0, &from, NULL) == 0;
}

void idling_begin(struct idling *i)
{
    slice_ask_as_batch(SLICE_LONG_US, NICE);
    *i = (struct idling){.wall_ns = clock_ns(), .used_ns = used_ns()};
    if (watch(i))
        (void)slice_be_idle(NICE);
}

void idling_end(void)
{
    if (slice_is_idle())
        slice_ask_as_batch(SLICE_LONG_US, NICE);
}
