/* What is only read: ping and tasks; and Cancel. */
#include "coordinator/requests.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "coordinator/editions.h"
#include "coordinator/reshard.h"
#include "coordinator/session_state.h"
#include "coordinator/tasks_state.h"

enum { TASKS_DEFAULT = 1000 };

const char *server_state_name(const struct server *s)
{
    if (s->state == SERVER_STOPPING)
        return "stopping";
    if (s->state == SERVER_STARTING)
        return "starting";
    if (s->state == SERVER_YIELDING) /* who asks is answered, now or by the other */
        return shards_all_ready(s->shards) ? "ready" : "degraded";
    return shards_all_ready(s->shards) && s->nursery.child.state == CHILD_READY ? "ready" : "degraded";
}

void handle_ping(struct session *s, const Mayfly__Envelope *e)
{
    Mayfly__Pong pong;
    mayfly__pong__init(&pong);
    Mayfly__Envelope answer = MAYFLY__ENVELOPE__INIT;
    pong.state = message_string(server_state_name(session_server(s)));
    answer.message_case = MAYFLY__ENVELOPE__MESSAGE_PONG;
    answer.pong = &pong;
    session_send(s, e->request, &answer, (struct str){0});
}

void handle_cancel(struct session *s, const Mayfly__Envelope *e)
{
    for (struct pending **at = &s->pending; *at; at = &(*at)->next) {
        struct pending *p = *at;
        if (p->request != e->request)
            continue;
        *at = p->next;
        p->session = NULL;
        p->cancel(p);
        return;
    }
}

/* ------------------------------------------------------------------------------------------------------------- tasks
 */

static void send_tasks(struct session *s, uint64_t request, Mayfly__Task **rows, size_t count)
{
    Mayfly__Tasks list = MAYFLY__TASKS__INIT;
    Mayfly__Envelope answer = MAYFLY__ENVELOPE__INIT;
    list.n_tasks = count;
    list.tasks = rows;
    answer.message_case = MAYFLY__ENVELOPE__MESSAGE_TASKS;
    answer.tasks = &list;
    if (mayfly__envelope__get_packed_size(&answer) > FRAME_MAX_ENVELOPE - 64)
        session_error(s, request, CODE_BAD_REQUEST, "limit", "that many tasks do not fit one answer: ask for fewer");
    else
        session_send(s, request, &answer, (struct str){0});
}

static void refuse_unknown(struct session *s, uint64_t request, uint64_t uid)
{
    session_error(s, request, CODE_TASK_NOT_FOUND, "uid", "there is no task %llu", (unsigned long long)uid);
}

void handle_task_list(struct session *s, const Mayfly__Envelope *e)
{
    struct server *server = session_server(s);
    const Mayfly__TaskList *m = e->task_list;
    size_t limit = m->limit ? m->limit : TASKS_DEFAULT, count = 0;
    Mayfly__Task **rows = arena_new_array(&s->all->arena, limit < 100000 ? limit : 100000, Mayfly__Task *);
    if (!server->tasks || !rows) {
        session_error(s, e->request, CODE_UNAVAILABLE, NULL, "the server is starting; try again in a moment");
        return;
    }
    editions_refresh(server);
    reshard_refresh(server);
    for (size_t i = tasks_count(server->tasks); i-- > 0 && count < limit;) {
        const struct task *task = tasks_at(server->tasks, i);
        if ((m->uid && task->uid != m->uid) || (m->index[0] && strcmp(m->index, task->index_name) != 0))
            continue;
        rows[count] = tasks_message(server->tasks, &s->all->arena, task);
        if (!rows[count])
            break;
        count++;
    }
    if (m->uid && count == 0 && tasks_may_have(server->tasks, m->uid) && !tasks_find(server->tasks, m->uid))
        session_error(s, e->request, CODE_UNAVAILABLE, "uid", "the log may have task %llu and is still being read; try again in a moment",
                      (unsigned long long)m->uid);
    else if (m->uid && count == 0)
        refuse_unknown(s, e->request, m->uid);
    else if (count || !m->index[0] || requests_index(s, e->request, m->index)) /* else it was dropped, or is misspelt */
        send_tasks(s, e->request, rows, count);
}

struct task_wait {
    struct pending pending;
    struct server *server;
    uint64_t uid;
};

static void cancel_wait(struct pending *p)
{
    struct task_wait *w = (struct task_wait *)p;
    tasks_cancel_wait(w->server->tasks, w);
    free(w);
}

/* An heir is asked the same; it knows the tasks. */
static void stop_wait(struct pending *p)
{
    struct task_wait *w = (struct task_wait *)p;
    Mayfly__TaskWait wait = MAYFLY__TASK_WAIT__INIT;
    Mayfly__Envelope again = MAYFLY__ENVELOPE__INIT;
    wait.uid = w->uid;
    again.request = p->request;
    again.message_case = MAYFLY__ENVELOPE__MESSAGE_TASK_WAIT;
    again.task_wait = &wait;
    if (!session_ask_again(p->session, &again))
        session_error(p->session, p->request, CODE_STOPPING, NULL, "the server is stopping before task %llu has ended",
                      (unsigned long long)w->uid);
    tasks_cancel_wait(w->server->tasks, w);
    session_remove_pending(p);
    free(w);
}

static void on_ended(void *context, const struct task *task)
{
    struct task_wait *w = context;
    struct session *s = w->pending.session;
    struct arena a;
    if (!task) {
        refuse_unknown(s, w->pending.request, w->uid);
    } else if (arena_init(&a, 16 << 20, 0) == 0) {
        Mayfly__Task *row = tasks_message(w->server->tasks, &a, task);
        if (row)
            send_tasks(s, w->pending.request, &row, 1);
        arena_finish(&a);
    }
    session_remove_pending(&w->pending);
    free(w);
}

static void on_awaited(void *context, const struct task *task)
{
    struct task_wait *w = context;
    struct session *s = w->pending.session;
    uint64_t request = w->pending.request;
    const struct entry *e = tasks_entry(w->server->tasks, task->uid);
    session_remove_pending(&w->pending);
    if (task->status == TASK_SUCCEEDED)
        session_done(s, request, task->uid);
    else
        session_error(s, request, e && e->failure ? e->failure_code : CODE_INTERNAL, NULL, "task %llu, %s, did not succeed: %s",
                      (unsigned long long)task->uid, task->type, e && e->failure ? e->failure : "it does not say why");
    free(w);
}

void requests_refuse_unwritten(struct session *s, uint64_t request)
{
    struct disk *disk = &session_server(s)->disk;
    char why[DISK_SENTENCE];
    if (!disk_is_full(disk)) {
        session_error(s, request, CODE_BUSY, NULL, "the catalog cannot be written; try again later");
        return;
    }
    disk_say(disk, why);
    disk_refused(disk);
    session_error(s, request, CODE_DISK_FULL, NULL, "%s", why);
}

void requests_await(struct session *s, uint64_t request, struct task *task)
{
    struct task_wait *w = calloc(1, sizeof *w);
    require(w != NULL);
    session_add_pending(s, &w->pending, request, cancel_wait);
    w->server = session_server(s);
    tasks_wait(w->server->tasks, task->uid, on_awaited, w);
}

void handle_task_wait(struct session *s, const Mayfly__Envelope *e)
{
    struct server *server = session_server(s);
    uint64_t uid = e->task_wait->uid;
    if (!tasks_may_have(server->tasks, uid)) {
        refuse_unknown(s, e->request, uid);
        return;
    }
    struct task_wait *w = calloc(1, sizeof *w);
    require(w != NULL);
    session_add_pending(s, &w->pending, e->request, cancel_wait);
    w->pending.stop = stop_wait;
    w->server = server;
    w->uid = uid;
    tasks_wait(server->tasks, uid, on_ended, w);
}
