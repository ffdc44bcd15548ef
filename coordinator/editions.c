#include "coordinator/editions.h"

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
#include "coordinator/editions_state.h"
#include "coordinator/reshard.h"
#include "coordinator/tasks_state.h"

static const char *const stage_names[MAKING_STAGES] = {[MAKING_ANALYZING] = "analyzing",
                                                       [MAKING_CATCHING_UP] = "catching_up",
                                                       [MAKING_CLOSING] = "switching",
                                                       [MAKING_PAUSING] = "switching",
                                                       [MAKING_SWITCHING] = "switching"};

struct task *making_task(const struct making *m)
{
    return m->task ? tasks_find(m->server->tasks, m->task) : NULL;
}

/* ---------------------------------------------------------------------------------------------- passes */

static void report_progress(struct making *m)
{
    struct task *task = making_task(m);
    uint64_t done = editions_documents(m->index), total = index_documents(m->index);
    if (!task)
        return;
    task->stage = stage_names[m->stage];
    task->received = task->accepted = total;
    task->searchable = done + task->refused < total ? done : total - (task->refused < total ? task->refused : total);
}

void making_pass(struct making *m)
{
    struct task *task = making_task(m);
    if (task)
        tasks_forget_refusals(m->server->tasks, task); /* what is refused is refused in each pass */
    m->left = m->edition->shards;
    for (uint32_t n = 0; n < m->edition->shards && m->left; n++)
        jobs_reanalysis_pass(m->streams[n], m->stage == MAKING_PAUSING);
}

static void on_paused(void *context)
{
    making_pass(context);
}

static void on_pass_due(uv_timer_t *timer)
{
    making_pass(timer->data);
}

void making_pass_in(struct making *m, uint64_t ms)
{
    uv_timer_start(&m->retry, on_pass_due, ms, 0);
}

void making_pause(struct making *m)
{
    m->stage = MAKING_PAUSING;
    if (!m->reshards)
        m->paused_us = clock_us();
    jobs_pause(m->server->jobs, m->index, on_paused, m);
}

/* ------------------------------------------------------------------------------------- pass after pass */

static void next_pass(struct making *m)
{
    uint64_t differences = 0;
    for (uint32_t n = 0; n < m->edition->shards; n++)
        differences += jobs_reanalysis_differences(m->streams[n]);
    bool last = edition_is_last_next(++m->passes, differences, m->before);
    log_info("a pass over an index is done index=%s edition=%u pass=%u differences=%llu", m->index->name,
             m->edition->edition, m->passes, (unsigned long long)differences);
    m->before = differences;
    m->stage = MAKING_CATCHING_UP;
    m->index->bulk_waits = m->reshards;
    if (!last)
        making_pass(m);
    else if (m->reshards)
        making_close_index(m);
    else if (backup_holds_editions(m->server)) /* builds are not to pause for it */
        making_pass_in(m, MAKING_RETRY_MS);
    else
        making_pause(m);
}

static void on_passed(void *context, int err, const char *why)
{
    struct making *m = context;
    if (err || m->refused[0]) {
        making_fail(m, err ? err : ERR_INVALID, err ? why : m->refused);
    } else if (--m->left == 0 && m->stage == MAKING_PAUSING) {
        report_progress(m);
        m->stage = MAKING_SWITCHING;
        making_switch(m);
    } else if (m->left == 0) {
        next_pass(m);
    }
}

static void on_refused(void *context, const struct refusal *r)
{
    struct making *m = context;
    struct task *task = making_task(m);
    if (task)
        tasks_refuse(m->server->tasks, task, r);
    else if (!m->task)
        snprintf(m->refused, sizeof m->refused, "its document \"%.100s\" cannot be taken along: %.150s", r->id, r->message);
}

/* ------------------------------------------------------------------------------------------- beginning */

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
    struct task *task = making_task(m);
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
    i->unapplied_most = m->reshards ? MAKING_SLOW_ABOVE : 0;
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
    making_pass(m);
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
    if (m && m->stage == MAKING_SWITCHING)
        m->canceled = true;
    else if (m)
        making_discard(m);
    index_drop_coming(i);
    if (task)
        tasks_finish(s->tasks, task, TASK_CANCELED, code, why);
}

bool editions_is_switching(const struct index *i)
{
    return i->making && i->making->stage == MAKING_SWITCHING;
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
    return m->stage == MAKING_ANALYZING && !m->task ? "copying" : stage_names[m->stage];
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
        making_open_index(s, i);
    }
}
