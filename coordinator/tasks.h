/* tasks.h - tasks: what a client asked for that goes on after the answer. Kept in memory and in the catalog, of those that
 * have ended the newest, as many as TASKS_KEPT and TASKS_BYTES allow. */
#ifndef COORDINATOR_TASKS_H
#define COORDINATOR_TASKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coordinator/bundle.h"
#include "coordinator/catalog.h"

struct tasks;

enum task_status { TASK_ENQUEUED, TASK_PROCESSING, TASK_SUCCEEDED, TASK_FAILED, TASK_CANCELED };
enum { TASK_MAX_ERRORS = 1000, TASKS_KEPT = 10000, TASKS_BYTES = 16 << 20 };

struct task {
    uint64_t uid;
    struct index *index; /* NULL: none or gone */
    char index_name[INDEX_MAX_NAME + 1];
    const char *type; /* a literal */
    enum task_status status;
    uint64_t enqueued_at, started_at, finished_at;    /* wall microseconds */
    uint64_t received, accepted, searchable, refused; /* operations */
    uint64_t deleted;                                 /* documents, by filter */
    bool received_all;                                /* the client said `last`, or is gone */
    uint64_t outstanding;                             /* bundles of it that are not applied yet */
    bool goes_on;                                     /* after a restart: it is begun again */
    const char *stage;                                /* a literal: what is being done; NULL: nothing to be said */
    bool doubtful;                                    /* the log has lost operations and cannot say whose */
};

/* Loads what the catalog has; tasks of a former life that had not ended are processing again. */
int tasks_open(struct catalog *c, struct tasks **out);
void tasks_close(struct tasks *t);

struct task *tasks_new(struct tasks *t, struct index *index, const char *type);
struct task *tasks_find(struct tasks *t, uint64_t uid);

/* Also told again after a restart: once counts. A notice of what a filter deleted (NOTICE_DELETED) is added up: what is new
 * of it is returned; 0 for refusals. */
uint64_t tasks_refuse(struct tasks *t, struct task *task, const struct refusal *r);
void tasks_changed(struct tasks *t, struct task *task); /* to be written; ends it when all it received is applied */
void tasks_finish(struct tasks *t, struct task *task, enum task_status status, const char *code, const char *message);

void tasks_forget_refusals(struct tasks *t, struct task *task); /* what they are of is begun again */

/* An index and that a task (NULL: none) succeeded, in one transaction of the catalog; tasks_finish is to follow. */
void tasks_put_switch(struct tasks *t, const struct index *i, const struct task *task, catalog_done *done,
                      void *context);

/* The same, where it is the number of shards that the task has changed (catalog_end_resharding). */
void tasks_put_resharded(struct tasks *t, const struct task *task, catalog_done *done, void *context);

/* Whether there is such a task, or the log may speak of it, which is still being read. */
bool tasks_may_have(struct tasks *t, uint64_t uid);

/* Calls back when it has ended, at once if it has, and with NULL if the log has been read and there is no such task; `cancel`
 * takes back what was asked for with that context. Only where tasks_may_have. */
typedef void tasks_ended(void *context, const struct task *task);
void tasks_wait(struct tasks *t, uint64_t uid, tasks_ended *ended, void *context);
void tasks_cancel_wait(struct tasks *t, void *context);

#endif
