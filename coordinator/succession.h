/* succession.h - what happens when another mayflyd takes this one's place (handover.h), so that no search waits:
 *
 *   the heir is here       writes are read no more, those that come are kept for it; workers end, or are ended; the log takes
 *                          what came, the catalog what ended; the nursery goes, LOCK with it. From here on nothing is written
 *                          or unlinked. Shards stay, at the generations that they have, and so do the sockets: what only
 *                          reads is answered, whoever asks
 *   the heir is ready      it has recovered, and all of its shards answer. Nobody is accepted here any more, connections go
 *                          over to it, each when what was asked on it is answered; only then does it listen
 *   all are gone           this one ends
 *
 * So whoever has an answer from the heir is answered by it from then on: no request is read here after the heir has read one.
 * If the heir dies before it is ready, this one stops, with an error: the data is not its own any more. */
#ifndef COORDINATOR_SUCCESSION_H
#define COORDINATOR_SUCCESSION_H

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

#include "coordinator/handover.h"
#include "coordinator/recover.h"
#include "coordinator/server.h"

enum succession_stage { SUCCESSION_NONE, SUCCESSION_BEGUN, SUCCESSION_WRITING, SUCCESSION_SAVING, SUCCESSION_GIVEN_UP };

struct succession {
    struct server *server;
    char *const *argv;
    char program[HANDOVER_PATH]; /* that this is; empty: not known */
    int *lock;
    struct recovery **recovery;                /* NULL, or under way */
    void (*stop)(void *context, bool orderly); /* what is left to do is to let clients go, and to end */
    void *context;
    uv_timer_t timer;
    struct handover *handover;
    enum succession_stage stage;
    uint64_t began_ms, limit_ms; /* loop time */
    bool jobs_stopped, saving;
};

int succession_init(struct succession *c);
void succession_begin(struct succession *c); /* SIGUSR2 */
void succession_end(struct succession *c);   /* this one stops now, however far it has come */

static inline bool succession_has_heir(const struct succession *c)
{
    return c->stage > SUCCESSION_BEGUN;
}

#endif
