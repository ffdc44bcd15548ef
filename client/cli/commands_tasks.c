#include "client/cli/commands.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/cli/emit.h"
#include "client/cli/jobs.h"
#include "client/cli/report.h"
#include "client/cli/table.h"
#include "proto/message.h"

static void emit_refusal(struct buf *b, const Mayfly__Refusal *r)
{
    emit_begin(b, '{');
    emit_member_string(b, "id", r->id);
    emit_member_number(b, "position", r->position);
    emit_member_string(b, "code", r->code);
    emit_member_string(b, "message", r->message);
    emit_end(b, '}');
}

static void emit_details(struct buf *b, const Mayfly__Task *t)
{
    emit_key(b, "details");
    emit_begin(b, '{');
    emit_member_number(b, "received", t->received);
    emit_member_number(b, "accepted", t->accepted);
    emit_member_number(b, "searchable", t->searchable);
    emit_member_number(b, "refused", t->refused);
    emit_member_number(b, "deleted", t->deleted);
    if (t->stage[0])
        emit_member_string(b, "stage", t->stage);
    emit_end(b, '}');
}

static void emit_failure(struct buf *b, const Mayfly__Error *failure)
{
    emit_key(b, "error");
    if (!failure) {
        emit_raw(b, STR("null"));
        return;
    }
    emit_begin(b, '{');
    emit_member_string(b, "code", failure->code);
    emit_member_string(b, "message", failure->message);
    emit_member_string(b, "field", failure->field);
    emit_end(b, '}');
}

static void emit_task(struct buf *b, const Mayfly__Task *t)
{
    emit_begin(b, '{');
    emit_member_number(b, "uid", t->uid);
    emit_member_string(b, "index", t->index);
    emit_member_string(b, "type", t->type);
    emit_member_string(b, "status", t->status);
    emit_member_date(b, "enqueued_at", t->enqueued_at);
    emit_member_date(b, "started_at", t->started_at);
    emit_member_date(b, "finished_at", t->finished_at);
    emit_details(b, t);
    emit_key(b, "errors");
    emit_begin(b, '[');
    for (size_t i = 0; i < t->n_errors; i++)
        emit_refusal(b, t->errors[i]);
    emit_end(b, ']');
    emit_failure(b, t->failure);
    emit_end(b, '}');
}

static void emit_tasks(struct buf *b, const Mayfly__Tasks *tasks)
{
    emit_key(b, "tasks");
    emit_begin(b, '[');
    for (size_t i = 0; i < tasks->n_tasks; i++)
        emit_task(b, tasks->tasks[i]);
    emit_end(b, ']');
}

/* With the jobs of the moment, unless there is one task only, which has ended. */
static int print_json(struct cli *c, const Mayfly__Tasks *tasks, bool with_jobs, const char *index)
{
    struct buf b = {0};
    emit_begin(&b, '{');
    emit_tasks(&b, tasks);
    int status = with_jobs ? jobs_emit(c, index, &b) : STATUS_DONE;
    emit_end(&b, '}');
    if (!status)
        report_json(&b);
    buf_finish(&b);
    return status;
}

static void print_errors(const Mayfly__Task *t)
{
    enum { SHOWN = 10 };
    if (t->failure)
        printf("task %" PRIu64 ": %s (%s)\n", t->uid, t->failure->message, t->failure->code);
    for (size_t i = 0; i < t->n_errors && i < SHOWN; i++) {
        const Mayfly__Refusal *r = t->errors[i];
        printf("task %" PRIu64 ": refused '%s'", t->uid, r->id);
        if (r->position != UINT64_MAX) /* a lost operation's is not known */
            printf(" (operation %" PRIu64 ")", r->position);
        printf(": %s (%s)\n", r->message, r->code);
    }
    if (t->deleted)
        printf("task %" PRIu64 ": %" PRIu64 " documents deleted\n", t->uid, t->deleted);
    if (t->n_errors > SHOWN)
        printf("task %" PRIu64 ": %zu more, see --json\n", t->uid, t->n_errors - SHOWN);
}

/* Of the operations that came so far; optimize and the like have none, and show in their jobs how far they are. */
static const char *progress_of(char to[PERCENT_TEXT_SIZE], const Mayfly__Task *t)
{
    return percent_text(to, t->searchable + t->refused, t->received);
}

static void print_table(const Mayfly__Tasks *tasks)
{
    static const char *const columns[] = {">task",       "index",    "type",     "status",   ">done", ">accepted",
                                          ">searchable", ">refused", "enqueued", "finished", NULL};
    struct table table;
    char percent[PERCENT_TEXT_SIZE];
    table_init(&table, columns);
    for (size_t i = 0; i < tasks->n_tasks; i++) {
        const Mayfly__Task *t = tasks->tasks[i];
        table_number(&table, t->uid);
        table_text(&table, t->index);
        table_text(&table, t->type);
        table_text(&table, t->stage[0] ? t->stage : t->status);
        table_text(&table, progress_of(percent, t));
        table_number(&table, t->accepted);
        table_number(&table, t->searchable);
        table_number(&table, t->refused);
        table_date(&table, t->enqueued_at);
        table_date(&table, t->finished_at);
    }
    table_print(&table);
    table_finish(&table);
    for (size_t i = 0; i < tasks->n_tasks; i++)
        print_errors(tasks->tasks[i]);
}

static int print_tasks(struct cli *c, const Mayfly__Tasks *tasks, bool with_jobs, const char *index)
{
    if (c->json)
        return print_json(c, tasks, with_jobs, index);
    print_table(tasks);
    return with_jobs ? jobs_print(c, index) : STATUS_DONE;
}

/* A task that failed is the server's no, and so it is by exit status. */
static int wait_for(struct cli *c, const char *uid)
{
    char *end;
    errno = 0;
    Mayfly__TaskWait wait = MAYFLY__TASK_WAIT__INIT;
    wait.uid = strtoull(uid, &end, 10);
    if (errno || *uid < '0' || *uid > '9' || *end)
        return args_usage(c, "--wait wants the number of a task, not '%s'", uid);
    REQUEST(request, task_wait, TASK_WAIT, wait);
    struct mayfly_answer answer;
    int status = report_call(c, &request, MAYFLY__ENVELOPE__MESSAGE_TASKS, &answer);
    if (status)
        return status;
    const Mayfly__Tasks *tasks = answer.envelope->tasks;
    print_tasks(c, tasks, false, NULL);
    return tasks->n_tasks && str_equal(str_of(tasks->tasks[0]->status), STR("succeeded")) ? STATUS_DONE
                                                                                          : STATUS_REFUSED;
}

int command_tasks(struct cli *c)
{
    const char *uid = args_option(c, "wait"), *index = args_option(c, "index");
    if (uid)
        return wait_for(c, uid);
    Mayfly__TaskList list;
    mayfly__task_list__init(&list);
    if (index)
        list.index = message_string(index);
    int status = args_number(c, "limit", 0, 1, UINT32_MAX, &list.limit);
    if (status)
        return status;
    REQUEST(request, task_list, TASK_LIST, list);
    struct mayfly_answer answer;
    status = report_call(c, &request, MAYFLY__ENVELOPE__MESSAGE_TASKS, &answer);
    return status ? status : print_tasks(c, answer.envelope->tasks, true, index);
}
