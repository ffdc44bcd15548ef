/* workspace.h - an arena and a timer for one search. Those of searches that are over wait for the next ones: to map and
 * unmap memory each time would cost more than most searches do. */
#ifndef COORDINATOR_WORKSPACE_H
#define COORDINATOR_WORKSPACE_H

#include <uv.h>

#include "common/arena.h"

enum { WORKSPACE_MEMORY = 256 << 20 }; /* address space; what is touched is bounded by the shards' answers */

struct workspace {
    struct workspace *next; /* that waits */
    struct arena arena;
    uv_timer_t timer; /* its data is the user's */
};

struct workspaces { /* zeroed: none */
    struct workspace *first;
    uint32_t count;
    uint32_t least; /* of them that have waited all the time since the last sweep */
};

/* With an empty arena and a timer that does not run; NULL: no memory. */
struct workspace *workspace_take(struct workspaces *spare, uv_loop_t *loop);

/* Stops the timer. What the arena had of memory beyond a little goes back to the kernel at once. */
void workspace_give_back(struct workspaces *spare, struct workspace *w);

/* Once a second: those go that nobody has wanted since the last time. */
void workspaces_sweep(struct workspaces *spare);

#endif
