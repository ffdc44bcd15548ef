#include "coordinator/reshard.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/logger.h"
#include "coordinator/budget.h"
#include "coordinator/editions.h"
#include "coordinator/removal.h"
#include "coordinator/shards_start.h"
#include "coordinator/slots.h"
#include "coordinator/tasks_state.h"

enum { TURN_MS = 50, LEAVE_MOST_MS = 30000 /* for searches that are with processes that are to go */ };

struct resharding {
    struct server *server;
    uv_timer_t timer;
    uint64_t task;     /* 0: nothing is under way */
    uint32_t before;   /* how many there were to be, until the catalog has it */
    bool durable;      /* the catalog has it */
    bool ending;       /* it is on its way to the catalog that all is done */
    uint64_t moved;    /* documents of indexes that were given the new number */
    uint64_t since_ms; /* loop time: since when processes are there that nobody needs; 0: there are none */
};

/* ----------------------------------------------------------------------------------------------- what can be had */

static const struct stream *find_damaged(const struct indexes *all)
{
    for (const struct index *i = all->first; i; i = i->next)
        for (uint32_t n = 0; n < i->shards; n++)
            if (i->streams[n].damaged)
                return &i->streams[n];
    return NULL;
}

/* One index after the other lies there twice. */
static uint64_t largest(const struct server *s, uint32_t shards)
{
    uint64_t most = 0;
    for (const struct index *i = s->indexes.first; i; i = i->next)
        if (i->shards != shards && index_bytes(i) > most)
            most = index_bytes(i);
    return most;
}

static uint64_t budget_with(const struct server *s, uint64_t shards)
{
    struct config more = s->config;
    more.shards = shards;
    return budget_of(&more, s->cap).total;
}

/* All processes are there while the last index is on its way. */
static const char *refuse_memory(const struct server *s, uint32_t shards, char why[RESHARD_WHY])
{
    uint64_t limit = cap_own_limit(), total = budget_with(s, shards);
    if (shards <= s->config.shards || total <= limit)
        return NULL;
    snprintf(why, RESHARD_WHY,
             "with %" PRIu32 " shards the server may come to %" PRIu64 "M of memory, and its control group may have %" PRIu64
             "M: raise its limit (MemoryMax=, memory.max), or lower query-memory, worker-memory or readers first",
             shards, (total >> 20) + 1, limit >> 20);
    return CODE_BUDGET;
}

static const char *refuse_disk(const struct server *s, uint32_t shards, char why[RESHARD_WHY])
{
    uint64_t bytes = largest(s, shards);
    if (!jobs_disk_is_short(s->jobs, bytes))
        return NULL;
    snprintf(why, RESHARD_WHY,
             "each index lies there twice until it has the new number: the largest takes %" PRIu64
             " MB, and the disk has not so much above its reserve", bytes / 1000000 + 1);
    return CODE_DISK_FULL;
}

const char *reshard_refusal(const struct server *s, uint32_t shards, char why[RESHARD_WHY])
{
    const struct stream *damaged = find_damaged(&s->indexes);
    if (shards < 1 || shards > SHARDS_MOST) {
        snprintf(why, RESHARD_WHY, "the number of shards is 1 to %d", SHARDS_MOST);
        return CODE_BAD_REQUEST;
    }
    if (damaged) {
        snprintf(why, RESHARD_WHY, "shard %u of the index %s is damaged, drop or restore it first: %.200s", damaged->shard,
                 damaged->index->name, damaged->damage);
        return CODE_INDEX_DAMAGED;
    }
    const char *code = refuse_memory(s, shards, why);
    return code ? code : refuse_disk(s, shards, why);
}

/* ------------------------------------------------------------------------------------------------------ which are left */

static bool is_settled(const struct index *i, uint32_t shards)
{
    return i->shards == shards && (!i->making || editions_shards(i) == shards);
}

static bool are_all_settled(const struct indexes *all, uint32_t shards)
{
    for (const struct index *i = all->first; i; i = i->next)
        if (!is_settled(i, shards))
            return false;
    return true;
}

bool reshard_is_needed(const struct server *s, uint32_t shards)
{
    return s->resharding->task || s->indexes.shards != shards || !are_all_settled(&s->indexes, shards);
}

/* The one that is on its way for the number's sake alone. */
static struct index *find_moving(const struct indexes *all)
{
    for (struct index *i = all->first; i; i = i->next)
        if (i->making && !index_has_coming(i))
            return i;
    return NULL;
}

/* One whose settings change gets the number with them, or comes after it. */
static struct index *find_next(const struct indexes *all)
{
    for (struct index *i = all->first; i; i = i->next)
        if (!is_settled(i, all->shards) && !i->making && !index_has_coming(i) && i->durable)
            return i;
    return NULL;
}

/* ------------------------------------------------------------------------------------------------------------ its task */

static struct task *task_of(const struct resharding *r)
{
    return r->task ? tasks_find(r->server->tasks, r->task) : NULL;
}

static void end_task(struct resharding *r, enum task_status status, const char *code, const char *why)
{
    struct task *task = task_of(r);
    r->task = 0;
    if (task)
        tasks_finish(r->server->tasks, task, status, code, why);
}

void reshard_refresh(struct server *s)
{
    const struct resharding *r = s->resharding;
    struct task *task = task_of(r);
    uint64_t left = 0, done = 0;
    if (!task || r->ending)
        return;
    for (const struct index *i = s->indexes.first; i; i = i->next) {
        if (is_settled(i, s->indexes.shards))
            continue;
        left += index_documents(i);
        if (i->making && editions_shards(i) == s->indexes.shards) {
            done += editions_documents(i);
            task->stage = editions_stage(i);
        }
    }
    task->received = task->accepted = r->moved + left;
    task->searchable = r->moved + (done < left ? done : left);
}

/* ----------------------------------------------------------------------------------------------------------- its turns */

static void on_ended(void *context, int err)
{
    struct resharding *r = context;
    bool is_over = r->ending && !err; /* else another one has taken its place; or the next turn tries again */
    r->ending = false;
    if (!is_over)
        return;
    log_info("all indexes have %u shards now documents=%llu", r->server->indexes.shards, (unsigned long long)r->moved);
    end_task(r, TASK_SUCCEEDED, NULL, NULL);
}

static void end(struct resharding *r)
{
    struct task *task = task_of(r);
    r->ending = true;
    if (task) {
        task->received = task->accepted = task->searchable = r->moved;
        task->stage = NULL;
    }
    tasks_put_resharded(r->server->tasks, task, on_ended, r);
}

static void resize(struct server *s, uint32_t shards)
{
    int err = shards_resize(s->shards, shards);
    if (err == -EAGAIN)
        return;
    if (err) {
        log_error("no processes for more shards, trying again: %s", err_str(err));
        return;
    }
    log_info("processes for %u shards, %llu before", shards, (unsigned long long)s->config.shards);
    s->config.shards = shards;
    budget_log(&s->config, s->cap);
}

static void move_on(struct resharding *r)
{
    struct server *s = r->server;
    uint32_t needed = indexes_most_shards(&s->indexes);
    struct index *next = find_next(&s->indexes);
    if (s->config.shards < needed)
        resize(s, needed);
    else if (are_all_settled(&s->indexes, s->indexes.shards))
        end(r);
    else if (next && !find_moving(&s->indexes))
        editions_begin(s, next);
}

/* Searches that began before the last switch are let come to their end. */
static void let_processes_go(struct resharding *r)
{
    struct server *s = r->server;
    uint32_t needed = indexes_most_shards(&s->indexes);
    uint64_t now = uv_now(s->loop);
    if (s->config.shards <= needed) {
        r->since_ms = 0;
        return;
    }
    r->since_ms = r->since_ms ? r->since_ms : now;
    bool used = shards_are_used(s->shards, needed) && now < r->since_ms + LEAVE_MOST_MS;
    if (now >= r->since_ms + REMOVAL_GRACE_MS && !used)
        resize(s, needed);
}

static void on_turn(uv_timer_t *timer)
{
    struct resharding *r = timer->data;
    if (r->server->state >= SERVER_YIELDING)
        return;
    if (r->task && r->durable && !r->ending)
        move_on(r);
    else if (!r->task)
        let_processes_go(r);
    if (!r->task && !r->since_ms && r->server->config.shards == indexes_most_shards(&r->server->indexes))
        uv_timer_stop(timer);
}

static void go(struct resharding *r)
{
    r->since_ms = 0;
    uv_timer_start(&r->timer, on_turn, 0, TURN_MS);
}

void reshard_moved(struct server *s, const struct index *i)
{
    s->resharding->moved += index_documents(i);
}

void reshard_failed(struct server *s, const struct index *i, const char *code, const char *why)
{
    struct resharding *r = s->resharding;
    char text[600];
    snprintf(text, sizeof text, "the index %s stays with %u shards, the others as they are by now: %.400s", i->name, i->shards,
             why);
    if (r->task && r->durable) {
        catalog_end_resharding(s->catalog, 0, (struct str){0}, NULL, NULL);
        end_task(r, TASK_FAILED, code, text);
    }
    go(r);
}

/* -------------------------------------------------------------------------------------------------------- its beginning */

static void on_durable(void *context, int err)
{
    struct resharding *r = context;
    struct server *s = r->server;
    r->durable = !err;
    if (err) {
        s->indexes.shards = r->before;
        end_task(r, TASK_FAILED, CODE_BUSY, "the catalog cannot be written");
    }
    go(r);
}

static void begin_task(struct resharding *r, struct task *task)
{
    r->task = task->uid;
    r->moved = 0;
    r->ending = false;
    task->status = TASK_PROCESSING;
    if (!task->started_at)
        task->started_at = clock_wall_us();
    tasks_changed(r->server->tasks, task);
}

struct task *reshard_task(const struct server *s, uint32_t shards)
{
    return s->indexes.shards == shards ? task_of(s->resharding) : NULL;
}

/* One that is just switching comes to its end, and is made anew if that was not what is wanted now. */
static void take_place(struct resharding *r, const struct task *task)
{
    struct index *moving = find_moving(&r->server->indexes);
    char why[100];
    snprintf(why, sizeof why, "task %llu took its place", (unsigned long long)task->uid);
    end_task(r, TASK_CANCELED, CODE_REPLACED, why);
    if (moving && !editions_is_switching(moving))
        editions_cancel(r->server, moving, CODE_REPLACED, why);
}

void reshard_begin(struct server *s, uint32_t shards, struct task *task)
{
    struct resharding *r = s->resharding;
    log_info("all indexes are to have %u shards, %u before", shards, s->indexes.shards);
    take_place(r, task);
    r->before = s->indexes.shards;
    r->durable = false;
    s->indexes.shards = shards;
    begin_task(r, task);
    tasks_save(s->tasks, task, NULL, NULL);
    catalog_put_shards(s->catalog, &s->indexes, task->uid, on_durable, r);
}

int reshard_open(struct server *s, struct resharding **out)
{
    struct resharding *r = calloc(1, sizeof *r);
    require(r);
    r->server = s;
    r->timer.data = r;
    *out = r;
    return uv_timer_init(s->loop, &r->timer);
}

void reshard_keep_task(struct server *s)
{
    uint64_t uid = catalog_resharding(s->catalog);
    struct task *task = uid ? tasks_revive(s->tasks, uid, NULL, "reshard") : NULL;
    if (task)
        task->goes_on = true;
}

static void warn_of_others(const struct indexes *all)
{
    for (const struct index *i = all->first; i; i = i->next)
        if (i->shards != all->shards)
            log_warn("an index has another number of shards than new ones: `mayfly reshard %u` goes on with what did not "
                     "come to its end index=%s shards=%u", all->shards, i->name, i->shards);
}

void reshard_resume(struct server *s)
{
    struct resharding *r = s->resharding;
    uint64_t uid = catalog_resharding(s->catalog);
    struct task *task = uid ? tasks_find(s->tasks, uid) : NULL;
    if (!uid) {
        warn_of_others(&s->indexes);
        return;
    }
    r->durable = true;
    r->task = uid;
    if (task)
        begin_task(r, task);
    go(r);
}
