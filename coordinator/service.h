/* service.h - what a service manager hears while the server runs: status, more time to start or stop as long as that
 * goes on, and WATCHDOG=1 while every process that should live does, and answers (pulse.h). A loop that hangs says nothing, nor does one that
 * has lost its nursery or a shard for good: then the manager ends and restarts the whole. */
#ifndef COORDINATOR_SERVICE_H
#define COORDINATOR_SERVICE_H

#include <uv.h>

#include "coordinator/status.h"

struct server;

struct service {
    const struct server *server;
    uv_timer_t timer;
    uint64_t watchdog_ms;                           /* 0: none */
    uint64_t fed_at, looked_at, moved_at, asked_at; /* loop time */
    uint64_t progress, applied_bytes, rate;
    char told[STATUS_SIZE];
};

/* Before the loop runs, after everything of the server that it looks at is there. Nothing without NOTIFY_SOCKET. */
int service_start(struct service *v, const struct server *s);
void service_look(struct service *v); /* something has changed: tell it at once */

/* So much time at least is needed from now on, for something that does not let the loop run. */
void service_needs(uint64_t seconds);

#endif
