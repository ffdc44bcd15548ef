#include "coordinator/tasks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/err.h"
#include "coordinator/tasks_state.h"
#include "proto/message.h"

enum { LOAD_MEMORY = 64 << 20, TASKS_PIECE = 64 << 10 };

static const char *const types[] = {"add", "delete", "optimize", "settings", "create", "drop", "swap", "backup", "reshard"};

bool task_has_ended(const struct task *t)
{
    return t->status >= TASK_SUCCEEDED;
}

static const char *known_type(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i], name) == 0)
            return types[i];
    return "add";
}

static enum task_status known_status(const char *name)
{
    for (int i = 0; i <= TASK_CANCELED; i++)
        if (strcmp(task_status_name((enum task_status)i), name) == 0)
            return (enum task_status)i;
    return TASK_FAILED;
}

static const char *known_failure(const char *code)
{
    static const char *const codes[] = {CODE_LOST,          CODE_STOPPING, CODE_REPLACED,
                                        CODE_INDEX_DAMAGED, CODE_DISK_FULL, CODE_INDEX_NOT_FOUND,
                                        CODE_BACKUP_FAILED, CODE_BACKUP_DAMAGED};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(codes[i], code) == 0)
            return codes[i];
    return CODE_INTERNAL;
}

/* ------------------------------------------------------------------------------------------------------------- the
 * table */

static struct entry *new_entry(struct tasks *t, uint64_t uid)
{
    if (t->count == t->room) {
        size_t room = t->room ? t->room * 2 : 256;
        struct entry **grown = realloc(t->entries, room * sizeof(*grown));
        require(grown != NULL);
        t->entries = grown;
        t->room = room;
    }
    struct entry *e = pieces_take(&t->pieces, sizeof *e);
    require(e != NULL);
    *e = (struct entry){.task.uid = uid};
    task_grows(t, e, sizeof *e + 2 * sizeof(struct entry *)); /* the table doubles */
    t->entries[t->count++] = e;
    return e;
}

/* Of those that have ended the oldest are forgotten, down to what is kept of tasks and of bytes; entries stand by rising
 * uid. */
static void forget_old(struct tasks *t)
{
    size_t kept = 0, surplus = t->count > TASKS_KEPT ? t->count - TASKS_KEPT : 0;
    for (size_t i = 0; i < t->count; i++) {
        struct entry *e = t->entries[i];
        bool is_surplus = surplus || t->bytes > TASKS_BYTES / 4 * 3;
        if (is_surplus && task_has_ended(&e->task) && !e->dirty) {
            surplus -= surplus > 0;
            catalog_remove_task(t->catalog, e->task.uid);
            task_free(t, e);
        } else {
            t->entries[kept++] = e;
        }
    }
    t->count = kept;
}

/* Where it is, or would stand. */
static size_t place_of(const struct tasks *t, uint64_t uid)
{
    size_t low = 0, high = t->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (t->entries[middle]->task.uid < uid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct entry *tasks_entry(struct tasks *t, uint64_t uid)
{
    size_t at = place_of(t, uid);
    return at < t->count && t->entries[at]->task.uid == uid ? t->entries[at] : NULL;
}

struct task *tasks_new(struct tasks *t, struct index *index, const char *type)
{
    uint64_t uid = catalog_next(t->catalog, NUMBER_TASK);
    if (uid == 0)
        return NULL;
    if (t->count > TASKS_KEPT + TASKS_KEPT / 8 || t->bytes > TASKS_BYTES / 8 * 7) /* room for the errors of some */
        forget_old(t);
    struct entry *e = new_entry(t, uid);
    e->task.type = type;
    e->task.status = TASK_ENQUEUED;
    e->task.enqueued_at = clock_wall_us();
    e->task.index = index;
    if (index)
        snprintf(e->task.index_name, sizeof e->task.index_name, "%s", index->name);
    if (t->held)
        task_keep(t, e);
    tasks_changed(t, &e->task);
    return &e->task;
}

struct task *tasks_find(struct tasks *t, uint64_t uid)
{
    struct entry *e = tasks_entry(t, uid);
    return e ? &e->task : NULL;
}

size_t tasks_count(const struct tasks *t)
{
    return t->count;
}

size_t tasks_bytes(const struct tasks *t)
{
    return t->bytes;
}

const struct task *tasks_at(const struct tasks *t, size_t i)
{
    return &t->entries[i]->task;
}

/* ------------------------------------------------------------------------------------------------------------- writing
 */

/* Of how it was then there is no more than there is now. */
static Mayfly__Task *message_then(struct tasks *t, struct arena *a, const struct task_then *then)
{
    Mayfly__Task *m = tasks_message(t, a, &then->task);
    if (!m)
        return NULL;
    m->n_deletions = then->deletion_count;
    m->n_errors = then->error_count;
    m->failure = NULL;
    return m;
}

/* Empty: no memory. */
static struct str pack(struct tasks *t, struct arena *a, const struct task *task, const struct task_then *then)
{
    Mayfly__Task *m = then ? message_then(t, a, then) : tasks_message(t, a, task);
    size_t size = m ? mayfly__task__get_packed_size(m) : 0;
    uint8_t *bytes = m ? arena_alloc(a, size + 1) : NULL;
    if (bytes)
        mayfly__task__pack(m, bytes);
    return bytes ? (struct str){(const char *)bytes, size} : (struct str){0};
}

static void write_entry(struct tasks *t, struct entry *e, catalog_done *done, void *context)
{
    struct arena a;
    if (arena_init(&a, LOAD_MEMORY, 0))
        return;
    struct str packed = pack(t, &a, &e->task, e->then);
    if (packed.len) {
        catalog_put_task(t->catalog, e->task.uid, packed, done, context);
        e->dirty = false;
    }
    arena_finish(&a);
}

/* As it will be. Empty: there is none. */
static struct str pack_succeeded(struct tasks *t, struct arena *a, const struct task *task)
{
    if (!task)
        return (struct str){0};
    struct task ended = *task;
    ended.status = TASK_SUCCEEDED;
    ended.stage = NULL;
    ended.finished_at = clock_wall_us();
    return pack(t, a, &ended, NULL);
}

void tasks_put_switch(struct tasks *t, const struct index *i, const struct task *task, catalog_done *done,
                      void *context)
{
    struct arena a;
    bool has_arena = arena_init(&a, LOAD_MEMORY, 0) == 0;
    struct str packed = has_arena ? pack_succeeded(t, &a, task) : (struct str){0};
    catalog_put_switch(t->catalog, i, task ? task->uid : 0, packed, done, context);
    if (has_arena)
        arena_finish(&a);
}

void tasks_put_resharded(struct tasks *t, const struct task *task, catalog_done *done, void *context)
{
    struct arena a;
    bool has_arena = arena_init(&a, LOAD_MEMORY, 0) == 0;
    struct str packed = has_arena ? pack_succeeded(t, &a, task) : (struct str){0};
    catalog_end_resharding(t->catalog, task ? task->uid : 0, packed, done, context);
    if (has_arena)
        arena_finish(&a);
}

static void write_dirty_before(struct tasks *t, uint64_t end)
{
    if (t->oldest_dirty >= end)
        return;
    for (size_t i = place_of(t, t->oldest_dirty); i < t->count && t->entries[i]->task.uid < end; i++)
        if (t->entries[i]->dirty)
            write_entry(t, t->entries[i], NULL, NULL);
    t->oldest_dirty = end;
}

void tasks_save(struct tasks *t, const struct task *task, catalog_done *done, void *context)
{
    struct entry *e = tasks_entry(t, task->uid);
    write_dirty_before(t, task->uid);
    if (e)
        write_entry(t, e, done, context);
}

struct flush {
    struct tasks *tasks;
    uint64_t from, end; /* uids that it wrote are among these */
    catalog_done *done;
    void *context;
};

void task_mark(struct tasks *t, struct entry *e)
{
    e->dirty = true;
    if (e->task.uid < t->oldest_dirty)
        t->oldest_dirty = e->task.uid;
}

static void on_flushed(void *context, int err)
{
    struct flush *f = context;
    struct tasks *t = f->tasks;
    for (size_t i = place_of(t, f->from); err && i < t->count && t->entries[i]->task.uid < f->end; i++)
        task_mark(t, t->entries[i]);
    if (f->done)
        f->done(f->context, err);
    free(f);
}

void tasks_flush(struct tasks *t, catalog_done *done, void *context)
{
    struct flush *f = malloc(sizeof *f);
    require(f != NULL);
    *f = (struct flush){t, t->oldest_dirty, t->count ? t->entries[t->count - 1]->task.uid + 1 : 0, done, context};
    write_dirty_before(t, UINT64_MAX);
    catalog_after(t->catalog, on_flushed, f);
}

/* Task NULL: there is none of that number. */
static void tell_waiters(struct tasks *t, uint64_t uid, const struct task *task)
{
    for (struct waiter **at = &t->waiters; *at;) {
        struct waiter *w = *at;
        if (w->uid != uid) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        w->ended(w->context, task);
        free(w);
        at = &t->waiters; /* the callback may have changed the list */
    }
}

void tasks_finish(struct tasks *t, struct task *task, enum task_status status, const char *code, const char *message)
{
    struct entry *e = tasks_entry(t, task->uid);
    if (!e || task_has_ended(task))
        return;
    task->status = status;
    task->finished_at = clock_wall_us();
    if (!task->started_at)
        task->started_at = task->finished_at;
    task->index = NULL;
    task->stage = NULL;
    if (code) {
        task_fail(t, e, code, message ? message : "");
    }
    task_mark(t, e);
    tell_waiters(t, task->uid, task);
}

void tasks_changed(struct tasks *t, struct task *task)
{
    struct entry *e = tasks_entry(t, task->uid);
    if (!e)
        return;
    task_mark(t, e);
    if (task->status == TASK_ENQUEUED && task->accepted) {
        task->status = TASK_PROCESSING;
        task->started_at = clock_wall_us();
    }
    if (task->received_all && task->outstanding == 0 && !task_has_ended(task)) {
        if (task->received < task->refused) /* of what the log lost the catalog had not heard */
            task->received = task->refused;
        task->searchable = task->accepted = task->received;
        bool nothing_worked = task->received && task->refused == task->received;
        tasks_finish(t, task, nothing_worked || task->doubtful ? TASK_FAILED : TASK_SUCCEEDED,
                     task->doubtful ? CODE_LOST : NULL,
                     "a part of the log was damaged that may have held operations of this task");
    }
}

bool tasks_may_have(struct tasks *t, uint64_t uid)
{
    return tasks_entry(t, uid) || (!t->recovered && uid > t->newest_loaded);
}

void tasks_wait(struct tasks *t, uint64_t uid, tasks_ended *ended, void *context)
{
    const struct entry *e = tasks_entry(t, uid);
    if (e && task_has_ended(&e->task)) {
        ended(context, &e->task);
        return;
    }
    struct waiter *w = malloc(sizeof *w);
    require(w != NULL);
    *w = (struct waiter){t->waiters, uid, ended, context};
    t->waiters = w;
}

void tasks_cancel_wait(struct tasks *t, void *context)
{
    for (struct waiter **at = &t->waiters; *at;) {
        struct waiter *w = *at;
        if (w->context != context) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        free(w);
    }
}

/* ------------------------------------------------------------------------------------------------------------- loading
 */

static void load_one(void *context, uint64_t uid, struct str packed)
{
    struct tasks *t = context;
    struct arena a;
    if (arena_init(&a, LOAD_MEMORY, 0))
        return;
    Mayfly__Task *m = (Mayfly__Task *)message_unpack_any(&a, &mayfly__task__descriptor, packed);
    if (m) {
        struct entry *e = new_entry(t, uid);
        e->task.type = known_type(m->type);
        e->task.status = known_status(m->status);
        snprintf(e->task.index_name, sizeof e->task.index_name, "%s", m->index);
        e->task.enqueued_at = m->enqueued_at;
        e->task.started_at = m->started_at;
        e->task.finished_at = m->finished_at;
        e->task.received = m->received;
        e->task.accepted = m->accepted;
        e->task.searchable = m->searchable;
        for (size_t i = 0; i < m->n_errors; i++) {
            const Mayfly__Refusal *r = m->errors[i];
            struct refusal one = {0, uid, r->position, 0, r->id, r->code, r->message};
            tasks_refuse(t, &e->task, &one);
        }
        e->task.refused = m->refused;
        for (size_t i = 0; i < m->n_deletions; i++)
            task_add_deletion(t, e, (struct task_deletion){m->deletions[i]->shard, m->deletions[i]->commit,
                                                           m->deletions[i]->documents});
        if (m->failure) {
            task_fail(t, e, known_failure(m->failure->code), m->failure->message);
        }
        e->dirty = false;
    }
    arena_finish(&a);
}

int tasks_open(struct catalog *c, struct tasks **out)
{
    struct tasks *t = calloc(1, sizeof *t);
    if (!t)
        return -ENOMEM;
    t->catalog = c;
    pieces_init(&t->pieces, TASKS_PIECE);
    t->oldest_dirty = UINT64_MAX;
    int err = catalog_tasks(c, load_one, t);
    if (err) {
        tasks_close(t);
        return err;
    }
    t->oldest_dirty = UINT64_MAX;
    t->newest_loaded = t->count ? t->entries[t->count - 1]->task.uid : 0;
    *out = t;
    return 0;
}

struct task *tasks_revive(struct tasks *t, uint64_t uid, struct index *index, const char *type)
{
    struct entry *e = tasks_entry(t, uid);
    if (!e) {
        if (uid <= t->newest_loaded)
            return NULL;
        e = new_entry(t, uid);
        for (size_t i = t->count - 1; i > 0 && t->entries[i - 1]->task.uid > uid; i--) {
            t->entries[i] = t->entries[i - 1];
            t->entries[i - 1] = e;
        }
        e->task.type = "add";
        e->task.status = TASK_PROCESSING;
        e->task.enqueued_at = e->task.started_at = clock_wall_us();
        if (t->held)
            task_keep(t, e);
    }
    if (task_has_ended(&e->task))
        return &e->task;
    if (type)
        e->task.type = type;
    if (index && !e->task.index_name[0])
        snprintf(e->task.index_name, sizeof e->task.index_name, "%s", index->name);
    task_mark(t, e);
    return &e->task;
}

static void tell_who_waits_in_vain(struct tasks *t)
{
    for (struct waiter *w = t->waiters; w;) {
        bool in_vain = !tasks_entry(t, w->uid);
        if (in_vain)
            tell_waiters(t, w->uid, NULL);
        w = in_vain ? t->waiters : w->next; /* the callback may have changed the list */
    }
}

/* After recovery has counted what the log still holds for each: the rest of a former life's tasks are over. */
void tasks_recovered(struct tasks *t, bool some_are_lost)
{
    for (size_t i = 0; i < t->count; i++) {
        struct task *task = &t->entries[i]->task;
        if (task_has_ended(task) || task->goes_on)
            continue;
        task->received_all = true;
        task->doubtful = task_is_of_operations(task) && some_are_lost;
        if (task_is_of_operations(task))
            tasks_changed(t, task);
        else
            tasks_finish(t, task, TASK_CANCELED, CODE_STOPPING, "the server was restarted");
    }
    t->recovered = true;
    tell_who_waits_in_vain(t);
}

void tasks_close(struct tasks *t)
{
    if (!t)
        return;
    tasks_release(t);
    write_dirty_before(t, UINT64_MAX);
    for (size_t i = 0; i < t->count; i++)
        task_free(t, t->entries[i]);
    free(t->entries);
    while (t->waiters) {
        struct waiter *w = t->waiters;
        t->waiters = w->next;
        free(w);
    }
    free(t);
}
