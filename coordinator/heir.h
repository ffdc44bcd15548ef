/* heir.h - this mayflyd takes the place of another, which started it: handover.h from the other side. */
#ifndef COORDINATOR_HEIR_H
#define COORDINATOR_HEIR_H

#include "common/str.h"

struct uv_loop_s;
struct heir;

struct heir_events {
    void (*listen)(void *context); /* once, after heir_is_ready: nobody else accepts any more */
    /* A client's connection, which the callee takes over, and what it has sent and was not answered. */
    void (*connection)(void *context, int fd, unsigned flags, struct str unanswered);
    void *context;
};

/* Before it waits for LOCK: it is here. The descriptor by which it was said; -1 where nobody is followed. */
int heir_say_here(void);

/* Takes over the descriptor. */
int heir_open(struct uv_loop_s *loop, int fd, const struct heir_events *events, struct heir **out);

/* Everything can be answered. Who is followed has a few seconds to stop accepting. */
void heir_is_ready(struct heir *h);

#endif
