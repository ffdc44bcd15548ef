#include "coordinator/succession.h"

#include "common/err.h"
#include "common/fd.h"
#include "common/logger.h"
#include "coordinator/backup.h"
#include "coordinator/editions.h"
#include "coordinator/ingest_state.h"
#include "coordinator/ingest_trim.h"
#include "coordinator/jobs_state.h"
#include "coordinator/notify.h"
#include "coordinator/session.h"
#include "coordinator/shards_start.h"
#include "coordinator/tasks_state.h"

enum {
    TURN_MS = 5,
    STREAMS_MS = 200, /* small ones under way come to their end by then */
    WORKERS_MS = 1000,
    NURSERY_MS = 1000,
};

/* -------------------------------------------------------------------------------------------------------- giving it up */

static void on_jobs_stopped(void *context, int err, const char *why)
{
    struct succession *c = context;
    (void)err, (void)why;
    c->jobs_stopped = true;
}

/* A nursery that stands still has jobs that do not even begin. */
static bool writes_have_ended(struct succession *c)
{
    struct server *s = c->server;
    uint64_t ms = uv_now(s->loop) - c->began_ms;
    if (ms >= STREAMS_MS)
        sessions_stop_streams(s->sessions);
    if (ms >= WORKERS_MS + NURSERY_MS && !c->jobs_stopped && !s->nursery.child.stopping)
        nursery_stop(&s->nursery, NURSERY_MS);
    return c->jobs_stopped && ingest_is_idle(s->ingest) && !oplog_is_writing(s->log);
}

static void begin_saving(struct succession *c)
{
    struct server *s = c->server;
    c->stage = SUCCESSION_SAVING;
    if (*c->recovery)
        recover_end(*c->recovery);
    jobs_hold_removals(s->jobs, true);
    nursery_stop(&s->nursery, NURSERY_MS);
    ingest_flush(s->ingest);
}

static bool is_saved(const struct server *s)
{
    return s->nursery.child.state == CHILD_STOPPED && jobs_are_idle(s->jobs) && !s->ingest->flushing &&
           catalog_is_idle(s->catalog) && oplog_is_idle(s->log) && backup_is_idle(s);
}

/* What clients wait for is told, or asked again of the heir; tasks that ended last are written. */
static void save_rest(struct succession *c)
{
    sessions_stop_waiting(c->server->sessions);
    tasks_flush(c->server->tasks, NULL, NULL);
    c->saving = true;
}

static void give_up(struct succession *c)
{
    struct server *s = c->server;
    c->stage = SUCCESSION_GIVEN_UP;
    ingest_close(s->ingest);
    shards_freeze(s->shards);
    cap_close(s->cap); /* groups of the same names are the heir's from here on */
    s->cap = NULL;
    fd_close(c->lock);
    uv_timer_stop(&c->timer);
    log_info("the data is given up ms=%llu, searches are answered until the other mayflyd is ready",
             (unsigned long long)(uv_now(s->loop) - c->began_ms));
}

static void on_turn(uv_timer_t *timer)
{
    struct succession *c = timer->data;
    if (uv_now(c->server->loop) >= c->limit_ms) {
        log_warn("what is under way cannot be brought to an end in time");
        c->stop(c->context, true);
    } else if (c->stage == SUCCESSION_WRITING) {
        if (writes_have_ended(c))
            begin_saving(c);
    } else if (is_saved(c->server)) {
        if (c->saving)
            give_up(c);
        else
            save_rest(c);
    }
}

/* ------------------------------------------------------------------------------------------------------------ the heir */

static void on_here(void *context, pid_t heir)
{
    struct succession *c = context;
    struct server *s = c->server;
    notify_send("MAINPID=%d", (int)heir);
    sessions_give_away_sockets(s->sessions);
    sessions_leave_to(s->sessions, c->handover);
    log_info("another mayflyd takes over pid=%d", (int)heir);
    s->state = SERVER_YIELDING;
    c->stage = SUCCESSION_WRITING;
    c->began_ms = uv_now(s->loop);
    c->limit_ms = c->began_ms + s->config.stop_timeout * 1000;
    editions_stop(s);
    jobs_stop(s->jobs, WORKERS_MS, on_jobs_stopped, c);
    uv_timer_start(&c->timer, on_turn, 0, TURN_MS);
}

static void on_ready(void *context)
{
    struct succession *c = context;
    struct server *s = c->server;
    if (c->stage != SUCCESSION_GIVEN_UP) /* it cannot be: LOCK is ours */
        return;
    sessions_stop_listening(s->sessions);
    sessions_drain(s->sessions, false);
    if (handover_let_listen(c->handover))
        log_warn("the other mayflyd cannot be told that it is to listen");
    c->stop(c->context, true);
}

static void on_lost(void *context, bool was_here)
{
    struct succession *c = context;
    enum succession_stage stage = c->stage;
    c->handover = NULL;
    if (!was_here) {
        c->stage = SUCCESSION_NONE;
        log_error("the program at %s does not take over, this one goes on", c->program);
        return;
    }
    sessions_leave_to(c->server->sessions, NULL);
    if (c->server->state == SERVER_STOPPING)
        return;
    log_error("the mayflyd that took over has ended before it was ready");
    c->stop(c->context, stage != SUCCESSION_GIVEN_UP);
}

void succession_begin(struct succession *c)
{
    const struct handover_events events = {.here = on_here, .ready = on_ready, .lost = on_lost, .context = c};
    struct handover_sockets sockets;
    sessions_share_sockets(c->server->sessions, &sockets);
    if (c->stage != SUCCESSION_NONE || c->server->state != SERVER_READY || !c->program[0] || !sockets.count) {
        log_warn("no other mayflyd is started now: this one is not ready, or is handing over already");
        return;
    }
    int err = handover_begin(c->server->loop, c->program, c->argv, &sockets, &events, &c->handover);
    if (err) {
        log_error("%s cannot be started to take over: %s", c->program, err_str(err));
        return;
    }
    log_info("starting %s to take over", c->program);
    c->stage = SUCCESSION_BEGUN;
}

void succession_end(struct succession *c)
{
    uv_timer_stop(&c->timer);
}

int succession_init(struct succession *c)
{
    c->timer.data = c;
    if (!c->program[0])
        log_warn("where this program is cannot be found out: it cannot hand over to another");
    return uv_timer_init(c->server->loop, &c->timer);
}
