/* Get: one document, of any reader of its shard. One that does not answer within half of the deadline is left for another;
 * at the deadline there is an Error. */
#include "coordinator/requests.h"

#include <string.h>

#include "common/hash.h"
#include "coordinator/session_state.h"
#include "proto/batch.h"

enum { LOOKUP_TRIES = 3 };

struct lookup { /* in the arena of its workspace */
    struct pending pending;
    struct server *server;
    struct workspace *space;
    struct shard_ticket ticket;
    uint32_t index, edition, shard, tries;
    uint64_t limit_ms;
    bool is_last; /* the time that runs is all that there is */
    char id[BATCH_MAX_ID + 1];
};

static void free_lookup(struct lookup *l)
{
    workspace_give_back(&l->server->spare, l->space);
}

static void end_lookup(struct lookup *l)
{
    session_remove_pending(&l->pending);
    free_lookup(l);
}

static void cancel_lookup(struct pending *p)
{
    struct lookup *l = (struct lookup *)p;
    shards_abandon(l->server->shards, &l->ticket);
    free_lookup(l);
}

static shards_answer on_looked_up;

/* To any reader, or to another than the one that has it. */
static int send_lookup(struct lookup *l, bool other)
{
    Mayfly__Internal__Place place;
    Mayfly__Internal__Lookup lookup = MAYFLY__INTERNAL__LOOKUP__INIT;
    Mayfly__Internal__ShardEnvelope message = MAYFLY__INTERNAL__SHARD_ENVELOPE__INIT;
    const struct shard_caller caller = {.answer = on_looked_up, .context = l};
    struct shards *shards = l->server->shards;
    mayfly__internal__place__init(&place);
    place.index = l->index;
    place.edition = l->edition;
    place.shard = l->shard;
    lookup.place = &place;
    lookup.id = message_data(str_of(l->id));
    message.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_LOOKUP;
    message.lookup = &lookup;
    if (!other)
        return shards_send(shards, l->shard, NULL, &message, &caller, &l->ticket);
    struct shard_ticket former = l->ticket;
    int err = shards_send_other(shards, &former, &message, &caller, &l->ticket);
    if (!err)
        shards_abandon(shards, &former);
    return err;
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
    l->ticket.request = 0;
    if (lost && l->tries++ < LOOKUP_TRIES && send_lookup(l, false) == 0)
        return; /* another reader has it now */
    answer_lookup(l, a, body);
    end_lookup(l);
}

static void on_late(uv_timer_t *timer)
{
    struct lookup *l = timer->data;
    if (!l->is_last) {
        l->is_last = true;
        uv_timer_start(timer, on_late, l->limit_ms - l->limit_ms / 2, 0);
        (void)send_lookup(l, true); /* without another one this one has the whole time */
        return;
    }
    shards_abandon(l->server->shards, &l->ticket);
    session_error(l->pending.session, l->pending.request, CODE_DEADLINE, NULL,
                  "shard %u did not answer within the deadline", l->shard);
    end_lookup(l);
}

static struct lookup *new_lookup(struct server *server, const struct index *index, struct str id)
{
    struct workspace *w = workspace_take(&server->spare, server->loop);
    struct lookup *l = w ? arena_new(&w->arena, struct lookup) : NULL;
    if (!l)
        return NULL;
    *l = (struct lookup){.server = server,
                         .space = w,
                         .index = index->number,
                         .edition = index->edition,
                         .limit_ms = server->config.deadline_ms};
    memcpy(l->id, id.ptr, id.len);
    return l;
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
    struct lookup *l = new_lookup(server, index, id);
    if (!l) {
        session_error(s, e->request, CODE_BUSY, NULL, "there is no memory for this now");
        return;
    }
    l->shard = index_route(index, hash64(id))->shard;
    if (send_lookup(l, false)) {
        session_error(s, e->request, CODE_UNAVAILABLE, NULL, "shard %u is not there at the moment", l->shard);
        free_lookup(l);
        return;
    }
    l->space->timer.data = l;
    uv_timer_start(&l->space->timer, on_late, l->limit_ms / 2, 0);
    session_add_pending(s, &l->pending, e->request, cancel_lookup);
}
