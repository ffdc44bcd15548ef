/* job_policy.h - what a worker's death means for the operations it was to apply: pure, no process in sight.
 *
 * A killed worker says nothing about its operations and is followed by another, and so is one that the kernel ended
 * because the service or the machine had no memory left; but not for ever, since it may be why. One that crashed is
 * tried once more, then the operation it named is applied alone, after those before it; if it kills again, it is
 * quarantined. Where no operation is named, the range is halved until one is left. Whoever cannot write waits and tries
 * again for ever. One that hung is not tried twice among others: that takes long. */
#ifndef COORDINATOR_JOB_POLICY_H
#define COORDINATOR_JOB_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/last_words.h"

struct attempt { /* at applying next <= n < end; the worker of now is given next <= n < stop */
    uint64_t next, stop, end;
    uint64_t suspect; /* named by a worker that died; 0: none */
    unsigned failures, kills, writes;
};

struct death {
    enum exit_reason reason;
    enum child_stage stage;
    int signal;        /* 0: it exited */
    bool lost;         /* with its nursery, or on our demand */
    uint64_t sequence; /* in hand; 0: none */
};

bool death_is_of_memory(const struct death *d); /* its own: less to do may save the next one */
bool death_is_of_others(const struct death *d); /* somebody killed it, or memory was short elsewhere */

enum verdict { VERDICT_AGAIN, VERDICT_QUARANTINE /* `next` alone */, VERDICT_DAMAGED };

struct decision {
    enum verdict verdict;
    uint64_t delay_ms;
    const char *code; /* of the refusal, when quarantined */
};

struct attempt attempt_new(uint64_t first, uint64_t end);

/* Everything below applied_end is applied. */
void attempt_committed(struct attempt *a, uint64_t applied_end);
void attempt_quarantined(struct attempt *a);

struct decision attempt_died(struct attempt *a, const struct death *d);

#endif
