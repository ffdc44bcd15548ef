/* What the catalog is told of tasks while a backup is made. */
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "coordinator/tasks_state.h"

/* Others are of the catalog alone: what they have done is in it, or they say nothing of documents. */
bool task_is_of_operations(const struct task *t)
{
    return strcmp(t->type, "add") == 0 || strcmp(t->type, "delete") == 0;
}

void task_keep(struct tasks *t, struct entry *e)
{
    if (e->then || task_has_ended(&e->task) || !task_is_of_operations(&e->task))
        return;
    e->then = malloc(sizeof *e->then);
    require(e->then != NULL);
    *e->then = (struct task_then){e->task, e->deletion_count, e->error_count};
    task_grows(t, e, sizeof *e->then);
}

void task_let_go(struct tasks *t, struct entry *e)
{
    if (!e->then)
        return;
    task_shrinks(t, e, sizeof *e->then);
    free(e->then);
    e->then = NULL;
    task_mark(t, e);
}

void tasks_hold(struct tasks *t)
{
    t->held = true;
    for (size_t i = 0; i < t->count; i++)
        task_keep(t, t->entries[i]);
}

void tasks_release(struct tasks *t)
{
    t->held = false;
    for (size_t i = 0; i < t->count; i++)
        task_let_go(t, t->entries[i]);
}
