/* Sessions that write: who sends documents as fast as they are read goes on by turns (turns.h), who waits for room when it is there. */
#include "coordinator/session_state.h"

#include "common/clock.h"
#include "coordinator/requests.h"

enum { AT_ONCE = TURN_BYTES / READ_BUFFER };

/* It is seen in the turn's prepare handle, for which the loop has to turn. */
static void on_time(uv_timer_t *timer)
{
    (void)timer;
}

static void wake_in(struct sessions *all, uint64_t ms)
{
    if (all->waiting && !uv_is_active((uv_handle_t *)&all->turn_timer))
        uv_timer_start(&all->turn_timer, on_time, ms, 0);
}

bool session_has_turn(const struct session *s)
{
    return !s->greedy || s->all->turns.left > 0;
}

/* Who has filled the buffer has more; a single update does not, and waits for nobody's turn. */
void session_took(struct session *s, size_t bytes)
{
    s->greedy = s->wrote && bytes == READ_BUFFER;
    if (s->greedy)
        turns_take(&s->all->turns, bytes);
}

void session_await_turn(struct session *s)
{
    struct session **end = &s->all->waiting;
    uv_read_stop(&s->handle.stream);
    while (*end)
        end = &(*end)->next_waiting;
    *end = s;
    s->next_waiting = NULL;
    s->awaits_turn = true;
}

void session_leave_turns(struct session *s)
{
    struct session **at = &s->all->waiting;
    while (*at && *at != s)
        at = &(*at)->next_waiting;
    if (*at)
        *at = s->next_waiting;
    s->awaits_turn = false;
}

static uint64_t period_of(const struct server *server)
{
    return turns_period((struct turns_wanted){.searching = server->searching > 0,
                                              .updating = oplog_is_hurried(server->log),
                                              .ahead_bytes = ingest_bytes(server->ingest),
                                              .budget = server->config.region_memory});
}

void sessions_give_turns(struct sessions *all)
{
    if (all->stop_streams)
        return; /* what they go on with is not read here any more */
    uint64_t period_us = period_of(all->server);
    if (!turns_begin(&all->turns, period_us, clock_us())) {
        wake_in(all, period_us / 1000);
        return;
    }
    for (size_t given = 0; given < AT_ONCE && all->waiting;) {
        struct session *s = all->waiting;
        session_leave_turns(s);
        if (s->paused)
            continue;
        session_start_reading(s);
        given++;
    }
    wake_in(all, 0);
}

void sessions_resume_writers(struct sessions *all)
{
    for (struct session *s = all->first; s; s = s->next)
        if (s->paused && s->queued < RESUME_BELOW)
            session_start_reading(s);
}

void sessions_open_index(struct sessions *all)
{
    struct session *next;
    for (struct session *s = all->first; s; s = next) {
        next = s->next;
        if (s->holds)
            write_give_held(s);
    }
    sessions_resume_writers(all);
}
