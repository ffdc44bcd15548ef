#include "coordinator/pulse.h"

#include <signal.h>

#include "common/logger.h"

enum { ENDING_S = 3 /* from the kill until it should be gone */ };

static void end(struct child *c)
{
    log_error("%s has not answered for %u s: killing it pid=%d", c->name, c->silence, (int)c->pid);
    c->hangs++;
    c->killed_at = c->silence;
    kill(c->pid, SIGKILL);
}

bool pulse_beat(struct child *c, uint64_t limit_s, bool is_excused)
{
    if (c->state != CHILD_READY || c->stopping)
        return false;
    if (c->silence == 0) {
        c->silence = 1;
        return true;
    }
    if (!is_excused || !pulse_is_silent(c))
        c->silence++;
    if (limit_s && c->silence > limit_s && !is_excused && !c->killed_at)
        end(c);
    return false;
}

void pulse_answered(struct child *c)
{
    c->silence = 0;
}

bool pulse_is_silent(const struct child *c)
{
    return c->silence >= PULSE_SILENT;
}

bool pulse_is_stuck(const struct child *c)
{
    return c->killed_at && c->silence > c->killed_at + ENDING_S;
}
