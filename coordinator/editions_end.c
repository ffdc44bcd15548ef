#include "coordinator/editions_state.h"

#include <errno.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/logger.h"
#include "coordinator/backup.h"
#include "coordinator/ingest_trim.h"
#include "coordinator/reshard.h"
#include "coordinator/tasks_state.h"

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

static void let_go(struct making *m)
{
    struct index *i = m->index;
    i->making = NULL;
    i->bulk_waits = false;
    i->unapplied_most = 0;
    jobs_resume(m->server->jobs, i);
    making_open_index(m->server, i);
    uv_close((uv_handle_t *)&m->retry, on_closed);
}

/* What has been made of the edition is nobody's. */
void making_discard(struct making *m)
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

void making_fail(struct making *m, int err, const char *why)
{
    const char *code = err == -ENOSPC ? CODE_DISK_FULL : err == ERR_CORRUPT ? CODE_INDEX_DAMAGED : CODE_INTERNAL;
    struct server *s = m->server;
    struct index *i = m->index;
    struct task *task = making_task(m);
    bool of_shards = !m->task;
    if (of_shards) {
        log_error("an index cannot be given another number of shards and stays as it is index=%s shards=%u: %s", i->name,
                  i->shards, why);
        making_discard(m);
        reshard_failed(s, i, code, why);
        return;
    }
    log_error("an index cannot be analyzed again, its settings stay as they are index=%s: %s", i->name, why);
    making_discard(m);
    index_drop_coming(i);
    catalog_put_index(s->catalog, i, NULL, NULL);
    if (task)
        tasks_finish(s->tasks, task, TASK_FAILED, code, why);
}

/* ------------------------------------------------------------------------------------------ the switch */

static void on_retry(uv_timer_t *timer)
{
    struct making *m = timer->data;
    if (m->canceled) /* while it waited */
        making_discard(m);
    else
        making_switch(m);
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
    struct task *task = making_task(m);
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
        making_discard(m);
    } else if (err) { /* the catalog has said why; builds go on pausing, for they could not be logged as applied */
        uv_timer_start(&m->retry, on_retry, MAKING_RETRY_MS, 0);
    } else {
        m->index->becoming = NULL;
        finish(m);
    }
}

/* Refusals of operations that core.mdb of the old edition may hold are in tasks: those go first. */
void making_switch(struct making *m)
{
    struct server *s = m->server;
    if (backup_holds_editions(s)) {
        uv_timer_start(&m->retry, on_retry, MAKING_RETRY_MS / 10, 0);
        return;
    }
    struct task *task = making_task(m);
    m->index->becoming = m->edition;
    tasks_flush(s->tasks, NULL, NULL);
    tasks_put_switch(s->tasks, m->index, task, on_switched, m);
}
