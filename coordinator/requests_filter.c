/* Write with a filter: a shard says whether it can be understood, then it is one operation in every stream of the
 * index. */
#include "coordinator/requests.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "coordinator/session_state.h"

enum { FILTER_MOST = 64 << 10, TRIES = 3 };

struct filter_check {
    struct pending pending;
    struct server *server;
    struct index *index;
    struct shard_ticket ticket;
    Mayfly__Write__Wait wait;
    uint32_t tries;
    char text[];
};

static void free_check(struct filter_check *c)
{
    index_release(c->index);
    free(c);
}

static void cancel(struct pending *p)
{
    struct filter_check *c = (struct filter_check *)p;
    shards_abandon(c->server->shards, &c->ticket);
    free_check(c);
}

static shards_answer on_checked;

/* Which shard does not matter: it is a question of words. */
static int ask(struct filter_check *c)
{
    Mayfly__Internal__CheckFilter check;
    Mayfly__Internal__ShardEnvelope message = MAYFLY__INTERNAL__SHARD_ENVELOPE__INIT;
    mayfly__internal__check_filter__init(&check);
    check.filter = c->text;
    message.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_CHECK_FILTER;
    message.check_filter = &check;
    const struct shard_caller caller = {.answer = on_checked, .context = c};
    return shards_send(c->server->shards, c->tries % c->index->shards, NULL, &message, &caller, &c->ticket);
}

static void write_it(struct session *s, uint64_t request, struct filter_check *c)
{
    write_filter(s, request, c->index, c->wait, str_of(c->text));
}

static void on_checked(void *context, const Mayfly__Internal__ShardEnvelope *a, struct buf *body)
{
    struct filter_check *c = context;
    struct session *s = c->pending.session;
    uint64_t request = c->pending.request;
    (void)body;
    bool has_failed = a->message_case == MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_FAILED;
    if (has_failed && strcmp(a->failed->code, CODE_UNAVAILABLE) == 0 && c->tries++ < TRIES && ask(c) == 0)
        return;
    if (has_failed)
        session_error(s, request, a->failed->code, "filter", "%s", a->failed->message);
    else if (a->message_case == MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_FILTER_CHECKED)
        write_it(s, request, c);
    else
        session_error(s, request, CODE_INTERNAL, NULL, "the shard gave an answer that does not fit");
    session_remove_pending(&c->pending); /* last: with nothing pending a session that is draining ends */
    free_check(c);
}

static bool is_acceptable(struct session *s, const Mayfly__Envelope *e)
{
    const Mayfly__Write *m = e->write;
    if (m->kind != MAYFLY__WRITE__KIND__DELETE || !m->last)
        session_error(s, e->request, CODE_BAD_REQUEST, "filter",
                      "a filter is for a stream of kind DELETE whose first frame is its last");
    else if (strlen(m->filter) > FILTER_MOST)
        session_error(s, e->request, CODE_INVALID_FILTER, "filter", "a filter has at most %d bytes", FILTER_MOST);
    else
        return true;
    return false;
}

void filter_begin(struct session *s, const Mayfly__Envelope *e)
{
    struct server *server = session_server(s);
    struct index *index = is_acceptable(s, e) ? requests_index(s, e->request, e->write->index) : NULL;
    if (!index)
        return;
    size_t size = strlen(e->write->filter) + 1;
    struct filter_check *c = calloc(1, sizeof *c + size);
    require(c != NULL);
    c->server = server;
    c->index = index;
    c->wait = e->write->wait;
    memcpy(c->text, e->write->filter, size);
    index_hold(index);
    if (ask(c)) {
        session_error(s, e->request, CODE_UNAVAILABLE, NULL, "no shard is there at the moment");
        free_check(c);
        return;
    }
    session_add_pending(s, &c->pending, e->request, cancel);
}
