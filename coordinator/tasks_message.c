/* A task as a message: what clients are told, and what the catalog keeps. */
#include "coordinator/tasks_state.h"

const char *task_status_name(enum task_status status)
{
    static const char *const names[] = {[TASK_ENQUEUED] = "enqueued",
                                        [TASK_PROCESSING] = "processing",
                                        [TASK_SUCCEEDED] = "succeeded",
                                        [TASK_FAILED] = "failed",
                                        [TASK_CANCELED] = "canceled"};
    return names[status];
}

static bool fill_errors(struct arena *a, const struct entry *e, Mayfly__Task *m)
{
    m->errors = message_list(a, &mayfly__refusal__descriptor, e->error_count);
    if (!m->errors)
        return false;
    for (; m->n_errors < e->error_count; m->n_errors++) {
        const struct task_error *from = &e->errors[m->n_errors];
        Mayfly__Refusal *r = m->errors[m->n_errors];
        r->position = from->position;
        r->id = from->text;
        r->code = from->text + from->code;
        r->message = from->text + from->message;
    }
    return true;
}

static bool fill_deletions(struct arena *a, const struct entry *e, Mayfly__Task *m)
{
    m->deletions = message_list(a, &mayfly__task__deletion__descriptor, e->deletion_count);
    if (!m->deletions)
        return false;
    for (; m->n_deletions < e->deletion_count; m->n_deletions++) {
        Mayfly__Task__Deletion *d = m->deletions[m->n_deletions];
        d->shard = e->deletions[m->n_deletions].shard;
        d->commit = e->deletions[m->n_deletions].generation;
        d->documents = e->deletions[m->n_deletions].documents;
    }
    return true;
}

Mayfly__Task *tasks_message(struct tasks *t, struct arena *a, const struct task *task)
{
    const struct entry *e = tasks_entry(t, task->uid);
    Mayfly__Task *m = arena_new(a, Mayfly__Task);
    if (!m || !e)
        return NULL;
    mayfly__task__init(m);
    m->uid = task->uid;
    m->index = message_string(task->index_name);
    m->type = message_string(task->type);
    m->status = message_string(task_status_name(task->status));
    m->enqueued_at = task->enqueued_at;
    m->started_at = task->started_at;
    m->finished_at = task->finished_at;
    m->received = task->received;
    m->accepted = task->accepted;
    m->searchable = task->searchable;
    m->refused = task->refused;
    m->stage = message_string(task->stage ? task->stage : "");
    m->deleted = task->deleted;
    if (!fill_errors(a, e, m) || !fill_deletions(a, e, m))
        return NULL;
    if (e->failure) {
        m->failure = arena_new(a, Mayfly__Error);
        if (!m->failure)
            return NULL;
        mayfly__error__init(m->failure);
        m->failure->code = message_string(e->failure_code);
        m->failure->message = e->failure;
    }
    return m;
}
