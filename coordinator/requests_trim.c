/* Trim: every shard process is asked, and the answer is given when all have answered or ended, or it takes too long. */
#include "coordinator/requests.h"

#include <string.h>

#include "coordinator/session_state.h"
#include "coordinator/shards_start.h"

enum { LIMIT_MS = 5000 };

struct trim {
    struct pending pending;
    struct server *server;
    struct workspace *space;
    struct trim_part *parts; /* one for each shard process */
    uint32_t count, waiting;
};

struct trim_part {
    struct trim *trim;
    struct shard_ticket ticket; /* request 0: nothing is in flight */
    bool answered;
    Mayfly__Trimmed__Process row;
};

static void free_trim(struct trim *t)
{
    for (uint32_t i = 0; i < t->count; i++)
        shards_abandon(t->server->shards, &t->parts[i].ticket);
    workspace_give_back(&t->server->spare, t->space);
}

static void cancel(struct pending *p)
{
    free_trim((struct trim *)p);
}

static void reply(struct trim *t)
{
    Mayfly__Trimmed trimmed = MAYFLY__TRIMMED__INIT;
    Mayfly__Envelope answer = MAYFLY__ENVELOPE__INIT;
    struct session *s = t->pending.session;
    trimmed.processes = arena_new_array(&t->space->arena, t->count, Mayfly__Trimmed__Process *);
    for (uint32_t i = 0; i < t->count && trimmed.processes; i++) {
        if (t->parts[i].answered)
            trimmed.processes[trimmed.n_processes++] = &t->parts[i].row;
        else
            trimmed.silent++;
    }
    answer.message_case = MAYFLY__ENVELOPE__MESSAGE_TRIMMED;
    answer.trimmed = &trimmed;
    session_send(s, t->pending.request, &answer, (struct str){0});
    session_remove_pending(&t->pending);
    free_trim(t);
}

static void on_trimmed(void *context, const Mayfly__Internal__ShardEnvelope *a, struct buf *body)
{
    struct trim_part *p = context;
    struct trim *t = p->trim;
    (void)body;
    p->ticket = (struct shard_ticket){0};
    if (a->message_case == MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_TRIMMED) {
        p->answered = true;
        p->row.before = a->trimmed->before;
        p->row.after = a->trimmed->after;
    }
    if (--t->waiting == 0)
        reply(t);
}

static void on_limit(uv_timer_t *timer)
{
    reply(timer->data);
}

static void send_part(struct trim *t, uint32_t i, Mayfly__Internal__Trim *m)
{
    struct trim_part *p = &t->parts[i];
    const struct reader *r = &t->server->shards->readers[i];
    Mayfly__Internal__ShardEnvelope message = MAYFLY__INTERNAL__SHARD_ENVELOPE__INIT;
    const struct shard_caller caller = {.answer = on_trimmed, .context = p};
    mayfly__trimmed__process__init(&p->row);
    *p = (struct trim_part){.trim = t, .row = p->row};
    p->row.pid = (uint32_t)r->child.pid;
    p->row.shard = (int32_t)r->shard;
    p->row.reader = r->number;
    message.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_TRIM;
    message.trim = m;
    t->waiting++;
    if (shards_send_to(t->server->shards, i, &message, &caller, &p->ticket) != 0)
        t->waiting--;
}

static void send_all(struct trim *t, const struct index *index)
{
    Mayfly__Internal__Trim m = MAYFLY__INTERNAL__TRIM__INIT;
    m.all = index == NULL;
    m.index = index ? index->number : 0;
    m.edition = index ? index->edition : 0;
    t->waiting = 1; /* until all are sent */
    for (uint32_t i = 0; i < t->count; i++)
        send_part(t, i, &m);
    if (--t->waiting == 0)
        reply(t);
}

void handle_trim(struct session *session, const Mayfly__Envelope *e)
{
    struct server *server = session_server(session);
    bool all = e->trim->index[0] == 0;
    const struct index *index = all ? NULL : requests_index(session, e->request, e->trim->index);
    if (!all && !index)
        return;
    struct workspace *w = workspace_take(&server->spare, server->loop);
    struct trim *t = w ? arena_new(&w->arena, struct trim) : NULL;
    struct trim_part *parts = t ? arena_new_array(&w->arena, server->shards->count, struct trim_part) : NULL;
    if (!parts) {
        if (w)
            workspace_give_back(&server->spare, w);
        session_error(session, e->request, CODE_BUSY, NULL, "there is no memory for it at the moment");
        return;
    }
    session_add_pending(session, &t->pending, e->request, cancel);
    t->server = server;
    t->space = w;
    t->parts = parts;
    t->count = server->shards->count;
    w->timer.data = t;
    uv_timer_start(&w->timer, on_limit, LIMIT_MS, 0);
    send_all(t, index);
}
