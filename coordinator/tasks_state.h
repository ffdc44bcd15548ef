/* tasks_state.h - tasks from the inside, and as messages. */
#ifndef COORDINATOR_TASKS_STATE_H
#define COORDINATOR_TASKS_STATE_H

#include "common/arena.h"
#include "coordinator/pieces.h"
#include "coordinator/tasks.h"
#include "proto/message.h"

struct task_error {
    uint64_t position;
    char *text; /* id, code and message, each zero-terminated */
    size_t code, message;
};

struct task_deletion { /* of one commit */
    uint32_t shard;
    uint64_t generation, documents;
};

struct task_then { /* as it was when tasks were held */
    struct task task;
    size_t deletion_count, error_count;
};

struct entry {
    struct task task;
    struct task_then *then; /* what the catalog is told until they are released; NULL: how it is now */
    struct task_deletion *deletions;
    size_t deletion_count;
    struct task_error *errors;
    size_t error_count;
    char *failure;
    const char *failure_code;
    size_t bytes; /* of all that */
    bool dirty;
};

struct waiter {
    struct waiter *next;
    uint64_t uid;
    tasks_ended *ended;
    void *context;
};

struct tasks {
    struct catalog *catalog;
    struct entry **entries; /* by rising uid */
    size_t count, room;
    struct pieces pieces; /* of entries, which end in about the order in which they begin */
    size_t bytes; /* of all entries */
    struct waiter *waiters;
    bool held;              /* tasks_held.c */
    bool recovered;         /* tasks_recovered */
    uint64_t oldest_dirty;  /* uid: none below it is; UINT64_MAX: none at all */
    uint64_t newest_loaded; /* uid; of newer ones that log and segments speak of the catalog had not heard yet */
};

/* Of an entry: what it holds is counted. */
void task_grows(struct tasks *t, struct entry *e, size_t bytes);
void task_shrinks(struct tasks *t, struct entry *e, size_t bytes);
void task_free(struct tasks *t, struct entry *e);
void task_fail(struct tasks *t, struct entry *e, const char *code, const char *message); /* `code` stays the caller's */
uint64_t task_add_deletion(struct tasks *t, struct entry *e, struct task_deletion d); /* documents that are new of it */
void task_mark(struct tasks *t, struct entry *e);                                     /* to be written */

/* tasks_held.c: while a backup copies each core.mdb and then the catalog, no task gets further in the catalog than it had got
 * before, since what it applies from then on may not be in the copies, but in the log, whose files are held too. So a
 * server on the copies finds what one finds that was killed: what a task still has to do is in the log, and is counted from it. */
void tasks_hold(struct tasks *t);
void tasks_release(struct tasks *t); /* with the next flush the catalog is told */
void task_keep(struct tasks *t, struct entry *e); /* one that is new */
void task_let_go(struct tasks *t, struct entry *e);

bool task_has_ended(const struct task *t);
bool task_is_of_operations(const struct task *t); /* the log has them */
const char *task_status_name(enum task_status status);
struct entry *tasks_entry(struct tasks *t, uint64_t uid); /* NULL: there is none */
Mayfly__Task *tasks_message(struct tasks *t, struct arena *a, const struct task *task);
size_t tasks_count(const struct tasks *t);
size_t tasks_bytes(const struct tasks *t); /* TASKS_BYTES, and a few of such tasks that are under way */
const struct task *tasks_at(const struct tasks *t, size_t i); /* by rising uid */

/* What changed goes to the catalog, the oldest first, so that what it has not heard of is newer than all that it has.
 * `done` when that and all before it is durable, or could not be written: then it is tried again by the next flush. `done` may be
 * NULL. */
void tasks_flush(struct tasks *t, catalog_done *done, void *context);
void tasks_save(struct tasks *t, const struct task *task, catalog_done *done, void *context); /* up to this one, now */
void tasks_recovered(struct tasks *t, bool some_are_lost); /* lost: not even their task is known */

/* At start: the task of that number, made again if the former life ended before the catalog had it; NULL if it is
 * forgotten. `index` and `type` may be NULL while they are not known. */
struct task *tasks_revive(struct tasks *t, uint64_t uid, struct index *index, const char *type);

#endif
