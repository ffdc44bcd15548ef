/* What is noted of a task besides numbers: refusals, deletions, why it failed. All of it is counted. */
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "coordinator/tasks_state.h"

enum { BESIDE = 16 }; /* of malloc, or pieces, for each block */

void task_grows(struct tasks *t, struct entry *e, size_t bytes)
{
    e->bytes += bytes + BESIDE;
    t->bytes += bytes + BESIDE;
}

void task_shrinks(struct tasks *t, struct entry *e, size_t bytes)
{
    e->bytes -= bytes + BESIDE;
    t->bytes -= bytes + BESIDE;
}

static size_t size_of(const struct task_error *error)
{
    return sizeof *error + error->message + strlen(error->text + error->message) + 1;
}

static void free_refusals(struct tasks *t, struct entry *e)
{
    for (size_t i = 0; i < e->error_count; i++) {
        task_shrinks(t, e, size_of(&e->errors[i]));
        free(e->errors[i].text);
    }
    free(e->errors);
    e->errors = NULL;
    e->error_count = 0;
}

void task_free(struct tasks *t, struct entry *e)
{
    free_refusals(t, e);
    task_let_go(t, e);
    free(e->deletions);
    free(e->failure);
    t->bytes -= e->bytes;
    pieces_leave(&t->pieces, e);
}

void task_fail(struct tasks *t, struct entry *e, const char *code, const char *message)
{
    e->failure = strdup(message);
    e->failure_code = code;
    task_grows(t, e, strlen(message) + 1);
}

void tasks_forget_refusals(struct tasks *t, struct task *task)
{
    struct entry *e = tasks_entry(t, task->uid);
    if (!e)
        return;
    free_refusals(t, e);
    task->refused = 0;
    task_mark(t, e);
}

uint64_t task_add_deletion(struct tasks *t, struct entry *e, struct task_deletion d)
{
    for (size_t i = 0; i < e->deletion_count; i++)
        if (e->deletions[i].shard == d.shard && e->deletions[i].generation == d.generation)
            return 0; /* told again after a restart */
    struct task_deletion *grown = realloc(e->deletions, (e->deletion_count + 1) * sizeof *grown);
    require(grown != NULL);
    e->deletions = grown;
    grown[e->deletion_count++] = d;
    task_grows(t, e, sizeof d);
    e->task.deleted += d.documents;
    return d.documents;
}

static bool is_known(const struct entry *e, const struct refusal *r)
{
    for (size_t i = 0; i < e->error_count; i++)
        if (e->errors[i].position == r->position && strcmp(e->errors[i].text, r->id) == 0)
            return true;
    return false;
}

/* Where there is no room for what it says it is counted nevertheless. */
static void add_error(struct tasks *t, struct entry *e, const struct refusal *r)
{
    if (is_known(e, r)) /* told again after a restart */
        return;
    e->task.refused++;
    task_mark(t, e);
    if (e->error_count == TASK_MAX_ERRORS || t->bytes >= TASKS_BYTES)
        return;
    struct task_error *grown = realloc(e->errors, (e->error_count + 1) * sizeof *grown);
    size_t id = strlen(r->id) + 1, code = strlen(r->code) + 1, message = strlen(r->message) + 1;
    char *text = malloc(id + code + message);
    require(grown != NULL && text != NULL);
    memcpy(text, r->id, id);
    memcpy(text + id, r->code, code);
    memcpy(text + id + code, r->message, message);
    e->errors = grown;
    grown[e->error_count++] = (struct task_error){r->position, text, id, id + code};
    task_grows(t, e, size_of(&grown[e->error_count - 1]));
}

uint64_t tasks_refuse(struct tasks *t, struct task *task, const struct refusal *r)
{
    struct entry *e = tasks_entry(t, task->uid);
    if (!e)
        return 0;
    if (strcmp(r->code, NOTICE_DELETED) != 0) {
        add_error(t, e, r);
        return 0;
    }
    task_mark(t, e);
    uint64_t documents = strtoull(r->message, NULL, 10);
    return task_add_deletion(t, e, (struct task_deletion){(uint32_t)r->position, r->generation, documents});
}
