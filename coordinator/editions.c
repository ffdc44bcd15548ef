#include "coordinator/editions.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/logger.h"
#include "coordinator/backup.h"
#include "coordinator/edition_policy.h"
#include "coordinator/hooks.h"
#include "coordinator/ingest_trim.h"
#include "coordinator/reshard.h"
#include "coordinator/session.h"
#include "coordinator/tasks_state.h"

enum {
    RETRY_MS = 1000,
    TURN_MS = 10,
    SLOW_ABOVE = 16 << 20, /* bytes that wait for workers */
    CLOSE_BELOW = 2 << 20,
    MOST_THINNINGS = 2,
    CLOSED_MOST_MS = 20000, /* what takes longer to be applied does not hold up clients */
    OPEN_LEAST_MS = 30000,  /* and then they are not held up again for so long */
};

enum stage { ANALYZING, CATCHING_UP, CLOSING, PAUSING, SWITCHING, STAGES };

static const char *const stage_names[STAGES] = {[ANALYZING] = "analyzing",
                                                [CATCHING_UP] = "catching_up",
                                                [CLOSING] = "switching",
                                                [PAUSING] = "switching",
                                                [SWITCHING] = "switching"};

struct making {
    struct server *server;
    struct index *index;   /* held: it answers */
    struct index *edition; /* its next one */
    struct reanalysis **streams;
    uint32_t left; /* streams whose pass is not over */
    enum stage stage;
    bool reshards;    /* it has another number of shards */
    uint64_t task;    /* by which its settings come; 0: none do */
    bool was_behind;   /* clients that write much waited for the others to be let wait for less */
    unsigned thinnings; /* passes for that */
    char refused[300]; /* where none do no document is: why it was all the same */
    bool canceled; /* while the transaction was on its way */
    unsigned passes;
    uint64_t before; /* differences of the pass before this one */
    uint64_t begun_us, paused_us; /* since when it is made; since when builds pause, or clients wait */
    uv_timer_t retry;             /* of the transaction; of a pass; of closing */
};

static struct task *task_of(const struct making *m)
{
    return m->task ? tasks_find(m->server->tasks, m->task) : NULL;
}

/* --------------------------------------------------------------------------------------------------------------- its
 * end */

static void on_closed(uv_handle_t *handle)
{
    struct making *m = handle->data;
    index_release(m->index);
    free(m->streams);
    free(m);
}

static void close_streams(struct making *m)
{
    for (uint32_t n = 0; n < m->edition->shards; n++)
        jobs_reanalysis_close(m->streams[n]);
}

static void open_index(struct server *s, struct index *i)
{
    bool was_closed = i->closed;
    i->closed = false;
    if (was_closed)
        sessions_open_index(s->sessions);
}

static void let_go(struct making *m)
{
    struct index *i = m->index;
    i->making = NULL;
    i->bulk_waits = false;
    i->unapplied_most = 0;
    jobs_resume(m->server->jobs, i);
    open_index(m->server, i);
    uv_close((uv_handle_t *)&m->retry, on_closed);
}

/* What has been made of the edition is nobody's. */
static void discard(struct making *m)
{
    struct server *s = m->server;
    struct index *edition = m->edition;
    m->left = 0;
    m->index->becoming = NULL;
    close_streams(m);
    let_go(m);
    jobs_forget(s->jobs, edition);
    indexes_remove(&s->indexes, edition);
}

static void fail(struct making *m, int err, const char *why)
{
    const char *code = err == -ENOSPC ? CODE_DISK_FULL : err == ERR_CORRUPT ? CODE_INDEX_DAMAGED : CODE_INTERNAL;
    struct server *s = m->server;
    struct index *i = m->index;
    struct task *task = task_of(m);
    bool of_shards = !m->task;
    if (of_shards) {
        log_error("an index cannot be given another number of shards and stays as it is index=%s shards=%u: %s", i->name,
                  i->shards, why);
        discard(m);
        reshard_failed(s, i, code, why);
        return;
    }
    log_error("an index cannot be analyzed again, its settings stay as they are index=%s: %s", i->name, why);
    discard(m);
    index_drop_coming(i);
    catalog_put_index(s->catalog, i, NULL, NULL);
    if (task)
        tasks_finish(s->tasks, task, TASK_FAILED, code, why);
}

/* ------------------------------------------------------------------------------------------------------- the switch
 */

static void write_switch(struct making *m);

static void on_retry(uv_timer_t *timer)
{
    struct making *m = timer->data;
    if (m->canceled) /* while it waited */
        discard(m);
    else
        write_switch(m);
}

static void log_finish(const struct making *m)
{
    const struct index *i = m->index;
    uint64_t now = clock_us();
    unsigned long long ms = (now - m->begun_us) / 1000, paused = (now - m->paused_us) / 1000;
    unsigned long long documents = index_documents(m->edition);
    if (m->reshards)
        log_info("an index has another number of shards index=%s edition=%u shards=%u before=%u documents=%llu ms=%llu "
                 "writes_waited_ms=%llu",
                 i->name, m->edition->edition, m->edition->shards, i->shards, documents, ms, paused);
    else
        log_info("an index has been analyzed again index=%s edition=%u documents=%llu ms=%llu builds_paused_ms=%llu",
                 i->name, m->edition->edition, documents, ms, paused);
}

/* Nothing more comes for them: the log is to be told. */
static void trim_former(struct server *s, struct index *i)
{
    for (uint32_t n = 0; n < i->former->shards; n++)
        ingest_trim(s->ingest, &i->former->streams[n]);
}

static void finish(struct making *m)
{
    struct server *s = m->server;
    struct index *i = m->index;
    struct task *task = task_of(m);
    uint32_t old = i->edition;
    log_finish(m);
    close_streams(m);
    jobs_take_edition(s->jobs, i, m->edition);
    index_take_edition(&s->indexes, i, m->edition);
    indexes_remove(&s->indexes, m->edition);
    if (m->reshards)
        trim_former(s, i);
    shards_forget(s->shards, i->number, old);
    if (m->reshards)
        reshard_moved(s, i);
    let_go(m);
    if (task)
        tasks_finish(s->tasks, task, TASK_SUCCEEDED, NULL, NULL);
}

static void on_switched(void *context, int err)
{
    struct making *m = context;
    if (m->canceled) {
        discard(m);
    } else if (err) { /* the catalog has said why; builds go on pausing, for they could not be logged as applied */
        uv_timer_start(&m->retry, on_retry, RETRY_MS, 0);
    } else {
        m->index->becoming = NULL;
        finish(m);
    }
}

/* Refusals of operations that core.mdb of the old edition may hold are in tasks: those go first. */
static void write_switch(struct making *m)
{
    struct server *s = m->server;
    if (backup_holds_editions(s)) {
        uv_timer_start(&m->retry, on_retry, RETRY_MS / 10, 0);
        return;
    }
    struct task *task = task_of(m);
    m->index->becoming = m->edition;
    tasks_flush(s->tasks, NULL, NULL);
    tasks_put_switch(s->tasks, m->index, task, on_switched, m);
}

/* --------------------------------------------------------------------------------------------------------------- passes
 */

static void report_progress(struct making *m)
{
    struct task *task = task_of(m);
    uint64_t done = editions_documents(m->index), total = index_documents(m->index);
    if (!task)
        return;
    task->stage = stage_names[m->stage];
    task->received = task->accepted = total;
    task->searchable = done + task->refused < total ? done : total - (task->refused < total ? task->refused : total);
}

static void begin_pass(struct making *m)
{
    struct task *task = task_of(m);
    if (task)
        tasks_forget_refusals(m->server->tasks, task); /* what is refused is refused in each pass */
    m->left = m->edition->shards;
    for (uint32_t n = 0; n < m->edition->shards && m->left; n++)
        jobs_reanalysis_pass(m->streams[n], m->stage == PAUSING);
}

static void on_paused(void *context)
{
    begin_pass(context);
}

static void on_turn(uv_timer_t *timer)
{
    begin_pass(timer->data);
}

static void pause_builds(struct making *m)
{
    m->stage = PAUSING;
    if (!m->reshards)
        m->paused_us = clock_us();
    jobs_pause(m->server->jobs, m->index, on_paused, m);
}

/* ------------------------------------------------------------------------------------------------------- other streams
 */

static void on_closing(uv_timer_t *timer);

static void turn_again(struct making *m, uint64_t ms)
{
    uv_timer_start(&m->retry, on_closing, ms, 0);
}

static void close_index(struct making *m)
{
    m->stage = CLOSING;
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
        begin_pass(m);
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
    m->stage = CATCHING_UP;
    m->thinnings = 0;
    m->index->unapplied_most = SLOW_ABOVE;
    open_index(m->server, m->index);
    uv_timer_start(&m->retry, on_turn, hooks_ms("MAYFLY_TEST_OPEN_LEAST_MS", OPEN_LEAST_MS), 0);
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
        fail(m, ERR_CORRUPT, damaged->damage);
    else if (m->stage != CLOSING && may_close(m))
        close_when_few_wait(m);
    else if (m->stage != CLOSING)
        turn_again(m, RETRY_MS / 10);
    else if (ingest_seal_index(i) && ingest_is_drained(i))
        pause_builds(m);
    else if (clock_us() - m->paused_us > hooks_ms("MAYFLY_TEST_CLOSED_MOST_MS", CLOSED_MOST_MS) * 1000)
        give_up_closing(m);
    else
        turn_again(m, TURN_MS);
}

/* ------------------------------------------------------------------------------------------------------ pass after pass
 */

static void next_pass(struct making *m)
{
    uint64_t differences = 0;
    for (uint32_t n = 0; n < m->edition->shards; n++)
        differences += jobs_reanalysis_differences(m->streams[n]);
    bool last = edition_is_last_next(++m->passes, differences, m->before);
    log_info("a pass over an index is done index=%s edition=%u pass=%u differences=%llu", m->index->name,
             m->edition->edition, m->passes, (unsigned long long)differences);
    m->before = differences;
    m->stage = CATCHING_UP;
    m->index->bulk_waits = m->reshards;
    if (!last)
        begin_pass(m);
    else if (m->reshards)
        turn_again(m, 0);
    else if (backup_holds_editions(m->server)) /* builds are not to pause for it */
        uv_timer_start(&m->retry, on_turn, RETRY_MS, 0);
    else
        pause_builds(m);
}

static void on_passed(void *context, int err, const char *why)
{
    struct making *m = context;
    if (err || m->refused[0]) {
        fail(m, err ? err : ERR_INVALID, err ? why : m->refused);
    } else if (--m->left == 0 && m->stage == PAUSING) {
        report_progress(m);
        m->stage = SWITCHING;
        write_switch(m);
    } else if (m->left == 0) {
        next_pass(m);
    }
}

static void on_refused(void *context, const struct refusal *r)
{
    struct making *m = context;
    struct task *task = task_of(m);
    if (task)
        tasks_refuse(m->server->tasks, task, r);
    else if (!m->task)
        snprintf(m->refused, sizeof m->refused, "its document \"%.100s\" cannot be taken along: %.150s", r->id, r->message);
}

/* ------------------------------------------------------------------------------------------------------------ beginning
 */

/* A number that no other one has, also none that is still to be removed, or could not be. */
static uint32_t free_edition(const struct server *s, struct index *i)
{
    char path[PATH_MAX];
    struct stat ignored;
    uint32_t edition = i->newest_edition > i->edition ? i->newest_edition : i->edition;
    do
        snprintf(path, sizeof path, "%s/indexes/%u/%u", s->data, i->number, ++edition);
    while (stat(path, &ignored) == 0);
    i->newest_edition = edition;
    return edition;
}

static void begin_task(struct making *m)
{
    struct task *task = task_of(m);
    if (!task)
        return;
    task->status = TASK_PROCESSING;
    if (!task->started_at)
        task->started_at = clock_wall_us();
    task->index = m->index;
    report_progress(m);
    tasks_changed(m->server->tasks, task);
}

void editions_begin(struct server *s, struct index *i)
{
    const struct reanalysis_callbacks callbacks = {.on_passed = on_passed, .on_refused = on_refused};
    struct making *m = calloc(1, sizeof *m);
    require(m);
    *m = (struct making){.server = s, .index = i, .before = UINT64_MAX, .begun_us = clock_us()};
    m->task = index_has_coming(i) ? i->coming.task : 0;
    m->edition = indexes_new_edition(&s->indexes, i, free_edition(s, i));
    m->reshards = m->edition->shards != i->shards;
    i->unapplied_most = m->reshards ? SLOW_ABOVE : 0;
    m->streams = calloc(m->edition->shards, sizeof(struct reanalysis *));
    require(m->streams && uv_timer_init(s->loop, &m->retry) == 0);
    m->retry.data = m;
    index_hold(i);
    i->making = m;
    for (uint32_t n = 0; n < m->edition->shards; n++) {
        struct reanalysis_callbacks ours = callbacks;
        ours.context = m;
        m->streams[n] = jobs_reanalysis_open(s->jobs, i, &m->edition->streams[n], &ours);
    }
    begin_task(m);
    begin_pass(m);
}

void editions_keep_tasks(struct server *s)
{
    for (struct index *i = s->indexes.first; i; i = i->next) {
        struct task *task = index_has_coming(i) ? tasks_revive(s->tasks, i->coming.task, i, "settings") : NULL;
        if (task)
            task->goes_on = true;
    }
}

void editions_resume(struct server *s)
{
    for (struct index *i = s->indexes.first; i; i = i->next)
        if (index_has_coming(i))
            editions_begin(s, i);
}

void editions_cancel(struct server *s, struct index *i, const char *code, const char *why)
{
    struct making *m = i->making;
    struct task *task = index_has_coming(i) ? tasks_find(s->tasks, i->coming.task) : NULL;
    if (m && m->stage == SWITCHING)
        m->canceled = true;
    else if (m)
        discard(m);
    index_drop_coming(i);
    if (task)
        tasks_finish(s->tasks, task, TASK_CANCELED, code, why);
}

bool editions_is_switching(const struct index *i)
{
    return i->making && i->making->stage == SWITCHING;
}

void editions_refresh(struct server *s)
{
    for (struct index *i = s->indexes.first; i; i = i->next)
        if (i->making)
            report_progress(i->making);
}

uint32_t editions_shards(const struct index *i)
{
    return i->making->edition->shards;
}

const char *editions_stage(const struct index *i)
{
    const struct making *m = i->making;
    return m->stage == ANALYZING && !m->task ? "copying" : stage_names[m->stage];
}

uint64_t editions_documents(const struct index *i)
{
    const struct making *m = i->making;
    uint64_t documents = 0;
    for (uint32_t n = 0; n < m->edition->shards; n++)
        documents += jobs_reanalysis_documents(m->streams[n]);
    return documents;
}

void editions_stop(struct server *s)
{
    for (struct index *i = s->indexes.first; i; i = i->next) {
        if (editions_is_switching(i))
            continue; /* it may be durable already that the streams are others */
        if (i->making)
            uv_timer_stop(&i->making->retry); /* the next life begins again */
        open_index(s, i);
    }
}
