/* Backup: a task, answered at once or when it has ended. */
#include "coordinator/requests.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "coordinator/backup.h"
#include "coordinator/session_state.h"
#include "coordinator/tasks_state.h"

enum { DIRECTORY_MOST = 2000 };

struct backing_up {
    struct pending pending; /* its session is NULL if nobody waits (any more) */
    struct server *server;
    uint64_t task;
};

static void stop_waiting(struct pending *p)
{
    p->session = NULL; /* the backup goes on */
}

static void answer(struct backing_up *b, const char *code, const char *why)
{
    struct session *s = b->pending.session;
    uint64_t request = b->pending.request;
    if (!s)
        return;
    session_remove_pending(&b->pending);
    if (code)
        session_error(s, request, code, NULL,
                      strcmp(code, CODE_BACKUP_FAILED) == 0
                          ? "the backup is not whole: %s"
                          : "all is backed up, but not all was whole, and damaged files are copied as they are: %s",
                      why);
    else
        session_done(s, request, b->task);
}

static void on_done(void *context, const char *code, const char *why)
{
    struct backing_up *b = context;
    struct task *task = tasks_find(b->server->tasks, b->task);
    if (task)
        tasks_finish(b->server->tasks, task, code ? TASK_FAILED : TASK_SUCCEEDED, code, why);
    answer(b, code, why);
    free(b);
}

static bool is_directory_name(struct session *s, const Mayfly__Envelope *e)
{
    const char *directory = e->backup->directory;
    if (directory[0] == '/' && strlen(directory) <= DIRECTORY_MOST)
        return true;
    session_error(s, e->request, CODE_BAD_REQUEST, "directory", "a backup's directory is an absolute path");
    return false;
}

static void begin(struct session *s, const Mayfly__Envelope *e, struct backing_up *b)
{
    struct task *task = tasks_find(b->server->tasks, b->task);
    if (e->backup->wait)
        session_add_pending(s, &b->pending, e->request, stop_waiting);
    else
        session_done(s, e->request, b->task);
    if (task) {
        task->status = TASK_PROCESSING;
        task->started_at = task->enqueued_at;
    }
}

void handle_backup(struct session *s, const Mayfly__Envelope *e)
{
    struct server *server = session_server(s);
    if (!is_directory_name(s, e))
        return;
    struct backing_up *b = calloc(1, sizeof *b);
    require(b);
    b->server = server;
    if (!backup_start(server, e->backup->directory, on_done, b)) {
        session_error(s, e->request, CODE_BUSY, NULL,
                      "another backup is being made, or an index gets its new settings at this moment");
        free(b);
        return;
    }
    struct task *task = tasks_new(server->tasks, NULL, "backup"); /* without a number it goes on all the same */
    b->task = task ? task->uid : 0;
    begin(s, e, b);
}
