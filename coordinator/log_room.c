#include "coordinator/log_room.h"

#include "common/err.h"
#include "coordinator/held.h"

enum {
    BETWEEN_WORKERS_MS = 5000, /* the next is being forked, or tried again */
    PATIENCE_MS = 20000        /* with one that is at work and applies nothing: it may hang */
};

static uint64_t coming_to(const struct ingest *g)
{
    return oplog_bytes(g->server->log) + g->unlogged;
}

int log_room_usable(const struct ingest *g)
{
    int err = oplog_usable(g->server->log);
    if (!err && coming_to(g) > g->server->config.log_quota)
        err = ERR_FULL;
    return err == ERR_FULL && g->awaits_room ? 0 : err;
}

bool log_room_is_short(const struct ingest *g)
{
    return coming_to(g) > g->server->config.log_quota / 16 * (g->awaits_room ? 13 : 14);
}

void log_room_progressed(struct ingest *g)
{
    g->progressed_at = g->worker_at = uv_now(g->server->loop);
}

static void see_worker(void *context, const struct worker_view *w)
{
    (void)w;
    *(bool *)context = true;
}

/* Merges count too: they end, and what waits has its turn. */
static bool has_worker(struct ingest *g)
{
    bool seen = false;
    jobs_visit(g->server->jobs, see_worker, &seen);
    if (seen)
        g->worker_at = uv_now(g->server->loop);
    return seen;
}

static bool is_within(const struct ingest *g, uint64_t since, uint64_t ms)
{
    return uv_now(g->server->loop) - since < ms;
}

static bool is_failing(const struct ingest *g)
{
    int err = oplog_usable(g->server->log);
    return err && err != ERR_FULL;
}

static bool is_coming(struct ingest *g)
{
    if (!log_room_is_short(g) || is_failing(g))
        return false;
    bool backlog = held_has_backlog(g) && is_within(g, g->progressed_at, PATIENCE_MS);
    if (g->untrimmed || g->flushing || g->logging || (backlog && has_worker(g)))
        return true;
    return oplog_make_room(g->server->log) || (backlog && is_within(g, g->worker_at, BETWEEN_WORKERS_MS));
}

bool log_room_has_come(struct ingest *g)
{
    bool awaited = g->awaits_room;
    g->awaits_room = is_coming(g);
    return awaited && !g->awaits_room;
}
