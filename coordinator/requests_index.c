/* Indexes and their settings. Every change is durable in the catalog before it is answered. */
#include "coordinator/requests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/err.h"
#include "coordinator/editions.h"
#include "coordinator/session_state.h"
#include "coordinator/tasks_state.h"
#include "proto/settings.h"

struct index *requests_index(struct session *s, uint64_t request, const char *name)
{
    struct index *index = indexes_find(&session_server(s)->indexes, str_of(name));
    if (!index)
        session_error(s, request, CODE_INDEX_NOT_FOUND, "index", "there is no index \"%.128s\"", name);
    return index;
}

/* ------------------------------------------------------------------------------------------------------------- changes
 */

/* A change that is on its way to the catalog, and who waits for it. */
struct change {
    struct pending pending;
    struct server *server;
    struct index *index; /* held */
    bool answered_by_us, creates, drops;
};

static void forget(struct pending *p)
{
    p->session = NULL; /* the change goes on without anybody waiting */
}

static struct change *new_change(struct session *s, uint64_t request, struct index *index, bool answer)
{
    struct change *c = calloc(1, sizeof *c);
    require(c != NULL);
    c->server = session_server(s);
    c->index = index;
    c->answered_by_us = answer;
    if (answer)
        session_add_pending(s, &c->pending, request, forget);
    index_hold(index);
    return c;
}

static void on_durable(void *context, int err)
{
    struct change *c = context;
    struct session *s = c->pending.session;
    if (!err && c->creates) {
        c->index->durable = true;
        ingest_index_durable(c->server->ingest, c->index);
    }
    if (!err && c->drops) /* not before: after a kill it would be there again, and its operations lost */
        oplog_drop_index(c->server->log, c->index->number);
    if (s) {
        uint64_t request = c->pending.request;
        session_remove_pending(&c->pending);
        if (err)
            requests_refuse_unwritten(s, request);
        else
            session_done(s, request, 0);
    }
    index_release(c->index);
    free(c);
}

/* ------------------------------------------------------------------------------------------------------------- create,
 * drop */

struct index *requests_create(struct session *s, uint64_t request, const char *name, const char *primary_key,
                              bool answer)
{
    struct server *server = session_server(s);
    struct str key = str_of(primary_key[0] ? primary_key : "id");
    if (!index_name_is_valid(str_of(name))) {
        session_error(s, request, CODE_INVALID_INDEX_NAME, "index",
                      "an index's name is 1 to 128 letters, digits, - or _");
        return NULL;
    }
    if (key.len > INDEX_MAX_PRIMARY_KEY) {
        session_error(s, request, CODE_BAD_REQUEST, "primary_key", "a primary key is at most 128 bytes");
        return NULL;
    }
    uint64_t number = catalog_next(server->catalog, NUMBER_INDEX);
    struct buf settings = {0};
    settings_default(&settings);
    struct index *index = number && number <= UINT32_MAX && !settings.err
                              ? indexes_add(&server->indexes, str_of(name), key, (uint32_t)number, 1, clock_wall_us(),
                                            (struct str){settings.data, settings.len})
                              : NULL;
    buf_finish(&settings);
    if (!index) {
        requests_refuse_unwritten(s, request);
        return NULL;
    }
    struct change *c = new_change(s, request, index, answer);
    c->creates = true;
    catalog_put_index(server->catalog, index, on_durable, c);
    return index;
}

void handle_index_create(struct session *s, const Mayfly__Envelope *e)
{
    const Mayfly__IndexCreate *m = e->index_create;
    if (indexes_find(&session_server(s)->indexes, str_of(m->index)))
        session_error(s, e->request, CODE_INDEX_EXISTS, "index", "there is an index \"%.128s\" already", m->index);
    else
        (void)requests_create(s, e->request, m->index, m->primary_key, true);
}

void handle_index_list(struct session *s, const Mayfly__Envelope *e)
{
    struct server *server = session_server(s);
    Mayfly__Indexes list = MAYFLY__INDEXES__INIT;
    Mayfly__Envelope answer = MAYFLY__ENVELOPE__INIT;
    size_t count = 0;
    for (struct index *i = server->indexes.first; i; i = i->next)
        count++;
    list.indexes = message_list(&s->all->arena, &mayfly__indexes__index__descriptor, count);
    if (!list.indexes) {
        session_error(s, e->request, CODE_INTERNAL, NULL, "there are too many indexes for one answer");
        return;
    }
    for (struct index *i = server->indexes.first; i; i = i->next) {
        Mayfly__Indexes__Index *row = list.indexes[list.n_indexes++];
        row->uid = i->name;
        row->primary_key = i->primary_key;
        row->created_at = i->created_at;
        row->documents = index_documents(i);
    }
    answer.message_case = MAYFLY__ENVELOPE__MESSAGE_INDEXES;
    answer.indexes = &list;
    session_send(s, e->request, &answer, (struct str){0});
}

void handle_index_drop(struct session *s, const Mayfly__Envelope *e)
{
    struct server *server = session_server(s);
    struct index *index = requests_index(s, e->request, e->index_drop->index);
    if (!index)
        return;
    struct change *c = new_change(s, e->request, index, true);
    c->drops = true;
    editions_cancel(server, index, CODE_INDEX_NOT_FOUND, "the index was dropped");
    catalog_remove_index(server->catalog, index, on_durable, c);
    uint32_t number = index->number, edition = index->edition;
    jobs_forget(server->jobs, index);
    indexes_remove(&server->indexes, index);
    shards_forget(server->shards, number, edition);
}

void handle_index_swap(struct session *s, const Mayfly__Envelope *e)
{
    struct server *server = session_server(s);
    struct index *a = requests_index(s, e->request, e->index_swap->a);
    struct index *b = a ? requests_index(s, e->request, e->index_swap->b) : NULL;
    if (!b)
        return;
    char name[INDEX_MAX_NAME + 1];
    memcpy(name, a->name, sizeof name);
    memcpy(a->name, b->name, sizeof name);
    memcpy(b->name, name, sizeof name);
    catalog_put_swap(server->catalog, a, b, on_durable, new_change(s, e->request, a, true));
}

/* -------------------------------------------------------------------------------------------------------------
 * optimize */

struct optimizing {
    struct server *server;
    uint64_t task;
    uint32_t left;
    char why[200];
};

static void on_shard_optimized(void *context, int err, const char *why)
{
    struct optimizing *o = context;
    if (err)
        snprintf(o->why, sizeof o->why, "%s", why ? why : err_str(err));
    if (--o->left)
        return;
    struct task *task = tasks_find(o->server->tasks, o->task);
    if (task && o->why[0])
        tasks_finish(o->server->tasks, task, TASK_FAILED, CODE_INTERNAL, o->why);
    else if (task)
        tasks_finish(o->server->tasks, task, TASK_SUCCEEDED, NULL, NULL);
    free(o);
}

void handle_index_optimize(struct session *s, const Mayfly__Envelope *e)
{
    struct server *server = session_server(s);
    struct index *index = requests_index(s, e->request, e->index_optimize->index);
    struct task *task = index ? tasks_new(server->tasks, index, "optimize") : NULL;
    if (!task) {
        if (index)
            requests_refuse_unwritten(s, e->request);
        return;
    }
    uint64_t uid = task->uid;
    struct optimizing *o = calloc(1, sizeof *o);
    require(o != NULL);
    *o = (struct optimizing){.server = server, .task = uid, .left = index->shards};
    if (e->index_optimize->wait)
        requests_await(s, e->request, task);
    else
        session_done(s, e->request, uid);
    index_hold(index);
    for (uint32_t shard = 0; shard < index->shards; shard++)
        jobs_optimize(server->jobs, &index->streams[shard], on_shard_optimized, o);
    index_release(index);
}
