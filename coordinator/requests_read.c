/* What is only read: ping, documents, tasks; and Cancel. */
#include "coordinator/requests.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/hash.h"
#include "coordinator/editions.h"
#include "coordinator/session_state.h"
#include "coordinator/tasks_state.h"

enum { TASKS_DEFAULT = 1000, LOOKUP_TRIES = 3 };

const char *server_state_name(const struct server *s)
{
    if (s->state == SERVER_STOPPING)
        return "stopping";
    if (s->state == SERVER_STARTING)
        return "starting";
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

/* ------------------------------------------------------------------------------------------------------------- a
 * document */

struct lookup {
    struct pending pending;
    struct shards *shards;
    struct shard_ticket ticket;
    uint32_t index, edition, shard, tries;
    char id[BATCH_MAX_ID + 1];
};

static void cancel_lookup(struct pending *p)
{
    struct lookup *l = (struct lookup *)p;
    shards_abandon(l->shards, &l->ticket);
    free(l);
}

static shards_answer on_looked_up;

static int send_lookup(struct lookup *l)
{
    Mayfly__Internal__Place place = MAYFLY__INTERNAL__PLACE__INIT;
    Mayfly__Internal__Lookup lookup = MAYFLY__INTERNAL__LOOKUP__INIT;
    Mayfly__Internal__ShardEnvelope message = MAYFLY__INTERNAL__SHARD_ENVELOPE__INIT;
    place.index = l->index;
    place.edition = l->edition;
    place.shard = l->shard;
    lookup.place = &place;
    lookup.id = message_data(str_of(l->id));
    message.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_LOOKUP;
    message.lookup = &lookup;
    const struct shard_caller caller = {.answer = on_looked_up, .context = l};
    return shards_send(l->shards, l->shard, NULL, &message, &caller, &l->ticket);
}

static void answer_lookup(struct lookup *l, const Mayfly__Internal__ShardEnvelope *a, const struct buf *body)
{
    struct session *s = l->pending.session;
    uint64_t request = l->pending.request;
    if (a->message_case == MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_FETCHED && a->fetched->found) {
        Mayfly__Document document;
        mayfly__document__init(&document);
        Mayfly__Envelope answer = MAYFLY__ENVELOPE__INIT;
        document.id = l->id;
        answer.message_case = MAYFLY__ENVELOPE__MESSAGE_DOCUMENT;
        answer.document = &document;
        session_send(s, request, &answer, (struct str){body->data, body->len});
    } else if (a->message_case == MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_FETCHED) {
        session_error(s, request, CODE_DOCUMENT_NOT_FOUND, "id", "there is no document with this id");
    } else if (a->message_case == MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_FAILED) {
        session_error(s, request, a->failed->code, NULL, "%s", a->failed->message);
    } else {
        session_error(s, request, CODE_INTERNAL, NULL, "the shard gave an answer that does not fit");
    }
}

static void on_looked_up(void *context, const Mayfly__Internal__ShardEnvelope *a, struct buf *body)
{
    struct lookup *l = context;
    bool lost = a->message_case == MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_FAILED &&
                strcmp(a->failed->code, CODE_UNAVAILABLE) == 0;
    if (lost && l->tries++ < LOOKUP_TRIES && send_lookup(l) == 0)
        return; /* another reader has it now */
    answer_lookup(l, a, body);
    session_remove_pending(&l->pending);
    free(l);
}

void handle_get(struct session *s, const Mayfly__Envelope *e)
{
    struct server *server = session_server(s);
    struct index *index = requests_index(s, e->request, e->get->index);
    struct str id = str_of(e->get->id);
    if (!index)
        return;
    if (!id_is_valid(id)) {
        session_error(s, e->request, CODE_INVALID_ID, "id",
                      "an id is 1 to 256 bytes of valid UTF-8 without control characters");
        return;
    }
    struct lookup *l = calloc(1, sizeof *l);
    require(l != NULL);
    l->shards = server->shards;
    l->index = index->number;
    l->edition = index->edition;
    l->shard = index_route(index, hash64(id))->shard;
    memcpy(l->id, id.ptr, id.len);
    if (send_lookup(l)) {
        session_error(s, e->request, CODE_UNAVAILABLE, NULL, "shard %u is not there at the moment", l->shard);
        free(l);
        return;
    }
    session_add_pending(s, &l->pending, e->request, cancel_lookup);
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
    for (size_t i = tasks_count(server->tasks); i-- > 0 && count < limit;) {
        const struct task *task = tasks_at(server->tasks, i);
        if ((m->uid && task->uid != m->uid) || (m->index[0] && strcmp(m->index, task->index_name) != 0))
            continue;
        rows[count] = tasks_message(server->tasks, &s->all->arena, task);
        if (!rows[count])
            break;
        count++;
    }
    if (m->uid && count == 0)
        session_error(s, e->request, CODE_TASK_NOT_FOUND, "uid", "there is no task %llu", (unsigned long long)m->uid);
    else
        send_tasks(s, e->request, rows, count);
}

struct task_wait {
    struct pending pending;
    struct server *server;
};

static void cancel_wait(struct pending *p)
{
    struct task_wait *w = (struct task_wait *)p;
    tasks_cancel_wait(w->server->tasks, w);
    free(w);
}

static void on_ended(void *context, const struct task *task)
{
    struct task_wait *w = context;
    struct session *s = w->pending.session;
    struct arena a;
    if (arena_init(&a, 16 << 20, 0) == 0) {
        Mayfly__Task *row = tasks_message(w->server->tasks, &a, task);
        if (row)
            send_tasks(s, w->pending.request, &row, 1);
        arena_finish(&a);
    }
    session_remove_pending(&w->pending);
    free(w);
}

void handle_task_wait(struct session *s, const Mayfly__Envelope *e)
{
    struct server *server = session_server(s);
    struct task *task = tasks_find(server->tasks, e->task_wait->uid);
    if (!task) {
        session_error(s, e->request, CODE_TASK_NOT_FOUND, "uid", "there is no task %llu",
                      (unsigned long long)e->task_wait->uid);
        return;
    }
    struct task_wait *w = calloc(1, sizeof *w);
    require(w != NULL);
    session_add_pending(s, &w->pending, e->request, cancel_wait);
    w->server = server;
    tasks_wait(server->tasks, task, on_ended, w);
}
