/* editions_state.h - an edition that is being made, from the inside: editions.c begins it and brings it, pass by pass, to what
 * the index is; editions_close.c lets writes wait for one with other streams; editions_end.c has it take the index's
 * place, or come to nothing. */
#ifndef COORDINATOR_EDITIONS_STATE_H
#define COORDINATOR_EDITIONS_STATE_H

#include "coordinator/editions.h"
#include "coordinator/jobs.h"

enum { MAKING_RETRY_MS = 1000, MAKING_SLOW_ABOVE = 16 << 20 /* bytes that wait for workers */ };

enum stage { MAKING_ANALYZING, MAKING_CATCHING_UP, MAKING_CLOSING, MAKING_PAUSING, MAKING_SWITCHING, MAKING_STAGES };

struct making {
    struct server *server;
    struct index *index;   /* held: it answers */
    struct index *edition; /* its next one */
    struct reanalysis **streams;
    uint32_t left; /* streams whose pass is not over */
    enum stage stage;
    bool reshards;      /* it has another number of shards */
    uint64_t task;      /* by which its settings come; 0: none do */
    bool was_behind;    /* clients that write much waited for the others to be let wait for less */
    unsigned thinnings; /* passes for that */
    char refused[300];  /* where none do no document is: why it was all the same */
    bool canceled;      /* while the transaction was on its way */
    unsigned passes;
    uint64_t before;              /* differences of the pass before this one */
    uint64_t begun_us, paused_us; /* since when it is made; since when builds pause, or clients wait */
    uv_timer_t retry;             /* of the transaction; of a pass; of closing */
};

struct task *making_task(const struct making *m);

/* All shards are gone through once more: now, in a while, or for the last time, once builds pause. */
void making_pass(struct making *m);
void making_pass_in(struct making *m, uint64_t ms);
void making_pause(struct making *m);

/* Writes wait, as short as can be, until all that was accepted is applied; then builds pause. */
void making_close_index(struct making *m);
void making_open_index(struct server *s, struct index *i);

/* The edition takes the index's place. */
void making_switch(struct making *m);

/* What has been made of it is nobody's; with the second its task and whoever wanted it are told why. */
void making_discard(struct making *m);
void making_fail(struct making *m, int err, const char *why);

#endif
