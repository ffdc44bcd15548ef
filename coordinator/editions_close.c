#include "coordinator/editions_state.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/logger.h"
#include "coordinator/backup.h"
#include "coordinator/hooks.h"
#include "coordinator/ingest.h"
#include "coordinator/session.h"

enum {
    TURN_MS = 10,
    CLOSE_BELOW = 2 << 20, /* bytes that wait for workers */
    MOST_THINNINGS = 2,
    CLOSED_MOST_MS = 20000, /* what takes longer to be applied does not hold up clients */
    OPEN_LEAST_MS = 30000,  /* and then they are not held up again for so long */
};

void making_open_index(struct server *s, struct index *i)
{
    bool was_closed = i->closed;
    i->closed = false;
    if (was_closed)
        sessions_open_index(s->sessions);
}

static void on_closing(uv_timer_t *timer);

static void turn_again(struct making *m, uint64_t ms)
{
    uv_timer_start(&m->retry, on_closing, ms, 0);
}

static void close_index(struct making *m)
{
    m->stage = MAKING_CLOSING;
    m->paused_us = clock_us();
    m->index->closed = true;
    turn_again(m, 0);
}

/* Those who write much wait by now, the others not yet: for them the less is left the better. So what was applied of a
 * backlog is dealt with by a pass of its own before. */
static void close_when_few_wait(struct making *m)
{
    struct index *i = m->index;
    if (i->bulk_waits) {
        i->bulk_waits = false;
        i->unapplied_most = CLOSE_BELOW;
        jobs_resume(m->server->jobs, i);
    }
    bool is_behind = ingest_is_far_behind(i);
    if (is_behind) {
        m->was_behind = true;
        turn_again(m, TURN_MS);
    } else if (m->was_behind && m->thinnings++ < MOST_THINNINGS) {
        m->was_behind = false;
        i->bulk_waits = true;
        making_pass(m);
    } else {
        close_index(m);
    }
}

static const struct stream *find_damaged(const struct index *i)
{
    for (uint32_t n = 0; n < i->shards; n++)
        if (i->streams[n].damaged)
            return &i->streams[n];
    return NULL;
}

/* What is accepted takes too long: in a while there is another pass, and clients wait again. */
static void give_up_closing(struct making *m)
{
    log_warn("writes to an index wait too long for what was accepted before to be applied, and go on; its number of shards "
             "is tried to be changed again later index=%s unapplied=%llu", m->index->name,
             (unsigned long long)ingest_unapplied(m->index));
    m->stage = MAKING_CATCHING_UP;
    m->thinnings = 0;
    m->index->unapplied_most = MAKING_SLOW_ABOVE;
    making_open_index(m->server, m->index);
    making_pass_in(m, hooks_ms("MAYFLY_TEST_OPEN_LEAST_MS", OPEN_LEAST_MS));
}

/* Everybody can be asked who is to be, and no backup is at its first part, for which the switch would wait. */
static bool may_close(const struct making *m)
{
    const struct server *s = m->server;
    return !backup_holds_editions(s) && s->config.shards >= m->edition->shards && shards_all_ready(s->shards);
}

static void on_closing(uv_timer_t *timer)
{
    struct making *m = timer->data;
    struct index *i = m->index;
    const struct stream *damaged = find_damaged(i);
    if (damaged)
        making_fail(m, ERR_CORRUPT, damaged->damage);
    else if (m->stage != MAKING_CLOSING && may_close(m))
        close_when_few_wait(m);
    else if (m->stage != MAKING_CLOSING)
        turn_again(m, MAKING_RETRY_MS / 10);
    else if (ingest_seal_index(i) && ingest_is_drained(i))
        making_pause(m);
    else if (clock_us() - m->paused_us > hooks_ms("MAYFLY_TEST_CLOSED_MOST_MS", CLOSED_MOST_MS) * 1000)
        give_up_closing(m);
    else
        turn_again(m, TURN_MS);
}

void making_close_index(struct making *m)
{
    turn_again(m, 0);
}
