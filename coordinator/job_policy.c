#include "coordinator/job_policy.h"

#include <signal.h>

#include "proto/message.h"

enum { FIRST_DELAY_MS = 50, MAX_WRITE_DELAY_MS = 10000, MAX_KILLS = 5, MAX_CORRUPT = 3 };

struct attempt attempt_new(uint64_t first, uint64_t end)
{
    return (struct attempt){.next = first, .stop = end, .end = end};
}

static uint64_t delay(unsigned times, uint64_t most)
{
    uint64_t ms = (uint64_t)FIRST_DELAY_MS << (times > 10 ? 10 : times);
    return ms < most ? ms : most;
}

static bool is_suspect_left(const struct attempt *a)
{
    return a->suspect >= a->next && a->suspect < a->end;
}

/* After a success the range grows again, but the suspect stays alone. */
void attempt_committed(struct attempt *a, uint64_t applied_end)
{
    uint64_t width = a->stop - a->next;
    a->next = applied_end > a->end ? a->end : applied_end;
    a->kills = a->writes = a->failures = 0;
    a->stop = width < (a->end - a->next) / 2 && a->stop < a->end ? a->next + 2 * width : a->end;
    if (!is_suspect_left(a))
        return;
    a->stop = a->suspect == a->next ? a->next + 1 : a->suspect;
    if (a->suspect == a->next)
        a->failures = 1; /* it had its first try among others */
}

void attempt_quarantined(struct attempt *a)
{
    a->suspect = 0;
    a->failures = a->kills = 0;
    a->stop = a->end;
}

/* The range is cut so that the next worker knows more. */
static void narrow(struct attempt *a, const struct death *d)
{
    bool named = d->stage == STAGE_INDEXING && d->sequence >= a->next && d->sequence < a->stop;
    if (named) {
        a->suspect = d->sequence;
        a->stop = d->sequence == a->next ? a->next + 1 : d->sequence;
    } else {
        a->stop = a->next + (a->stop - a->next) / 2;
    }
    a->failures = 1;
}

bool death_is_of_memory(const struct death *d)
{
    return d->reason == EXIT_REASON_CAP || d->reason == EXIT_REASON_KERNEL_CAP || d->reason == EXIT_REASON_OOM_KILLED;
}

bool death_is_of_others(const struct death *d)
{
    return d->reason == EXIT_REASON_STARVED || (d->reason == EXIT_REASON_NONE && d->signal == SIGKILL);
}

static struct decision again(uint64_t delay_ms)
{
    return (struct decision){.verdict = VERDICT_AGAIN, .delay_ms = delay_ms};
}

static struct decision poisoned(struct attempt *a, const struct death *d)
{
    bool memory = death_is_of_memory(d), alone = a->stop - a->next == 1;
    a->failures++;
    if (!alone) {
        bool certain = memory || d->reason == EXIT_REASON_TIMEOUT; /* to happen again, and dear */
        if (certain || a->failures >= 2)
            narrow(a, d);
        return again(memory ? 0 : FIRST_DELAY_MS);
    }
    if (d->reason == EXIT_REASON_CAP || (a->failures >= 2 && (memory || d->stage == STAGE_INDEXING)))
        return (struct decision){.verdict = VERDICT_QUARANTINE,
                                 .code = memory ? CODE_TOO_MUCH_MEMORY : CODE_QUARANTINED};
    if (a->failures >= MAX_CORRUPT) /* not while it had this operation in hand: it is not the operation's fault */
        return (struct decision){.verdict = VERDICT_DAMAGED};
    return again(delay(a->failures, MAX_WRITE_DELAY_MS));
}

struct decision attempt_died(struct attempt *a, const struct death *d)
{
    if (d->lost || d->reason == EXIT_REASON_ORPHANED)
        return again(FIRST_DELAY_MS);
    if (d->reason == EXIT_REASON_WRITE || d->reason == EXIT_REASON_DISK_FULL)
        return again(delay(++a->writes, MAX_WRITE_DELAY_MS));
    if (death_is_of_others(d) && a->kills < MAX_KILLS)
        return again(delay(a->kills++, MAX_WRITE_DELAY_MS));
    if (d->reason == EXIT_REASON_CORRUPT && d->stage != STAGE_INDEXING) {
        if (++a->failures >= MAX_CORRUPT)
            return (struct decision){.verdict = VERDICT_DAMAGED};
        return again(delay(a->failures, MAX_WRITE_DELAY_MS));
    }
    return poisoned(a, d);
}
