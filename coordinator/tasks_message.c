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
    Mayfly__Refusal *refusals = arena_new_array(a, e->error_count, Mayfly__Refusal);
    m->errors = arena_new_array(a, e->error_count, Mayfly__Refusal *);
    if (!refusals || !m->errors)
        return false;
    for (size_t i = 0; i < e->error_count; i++) {
        const struct task_error *from = &e->errors[i];
        mayfly__refusal__init(&refusals[i]);
        refusals[i].position = from->position;
        refusals[i].id = from->text;
        refusals[i].code = from->text + from->code;
        refusals[i].message = from->text + from->message;
        m->errors[m->n_errors++] = &refusals[i];
    }
    return true;
}

static bool fill_deletions(struct arena *a, const struct entry *e, Mayfly__Task *m)
{
    Mayfly__Task__Deletion *deletions = arena_new_array(a, e->deletion_count, Mayfly__Task__Deletion);
    m->deletions = arena_new_array(a, e->deletion_count, Mayfly__Task__Deletion *);
    if (!deletions || !m->deletions)
        return false;
    for (size_t i = 0; i < e->deletion_count; i++) {
        mayfly__task__deletion__init(&deletions[i]);
        deletions[i].shard = e->deletions[i].shard;
        deletions[i].commit = e->deletions[i].generation;
        deletions[i].documents = e->deletions[i].documents;
        m->deletions[m->n_deletions++] = &deletions[i];
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
