/* nursery.h - the coordinator's side of the nursery: jobs go out with their descriptors, news of workers comes back. */
#ifndef COORDINATOR_NURSERY_H
#define COORDINATOR_NURSERY_H

#include <stddef.h>
#include <stdint.h>

#include "coordinator/child.h"

/* What happened to a worker. After `on_lost` nothing is heard of any job sent before. */
struct nursery_events {
    void (*on_ready)(void *context);
    void (*on_forked)(void *context, uint64_t job, int pid, int pidfd); /* the descriptor is the callee's */
    void (*on_reaped)(void *context, uint64_t job, int status);
    void (*on_refused)(void *context, uint64_t job, int err);
    void (*on_lost)(void *context);
    void (*on_failed)(void *context); /* crash loop */
    void *context;
};

struct nursery {
    struct child child;
    uv_poll_t *poll;
    struct nursery_events events;
};

int nursery_init(struct nursery *n, uv_loop_t *loop, const char *libexec, const char *directory, int lock,
                 const struct nursery_events *events);
void nursery_start(struct nursery *n);
void nursery_beat(struct nursery *n, uint64_t limit_s); /* once a second: pulse.h */
void nursery_stop(struct nursery *n, uint64_t limit_ms);

enum { NURSERY_MAX_REGIONS = 240 };

struct nursery_ticket {
    uint64_t job;
    const int *fds; /* job, last words, lifeline, regions, with `has_group` the entrance to the worker's group; the caller's */
    size_t count;
    bool has_group, urgent;
    uint64_t ahead_memory; /* not 0: the worker waits for its job, may then take so much, and there is no job and no region yet */
};

/* 0, -EAGAIN (later), or that it is not there. */
int nursery_send(struct nursery *n, const struct nursery_ticket *ticket);

#endif
