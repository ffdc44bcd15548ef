/* The end of a search: its answer, or why there is none. */
#include "coordinator/scatter_state.h"

#include <stdlib.h>

#include "common/buf.h"
#include "common/clock.h"
#include "proto/frame.h"

enum { BODY_MOST = FRAME_MAX_TOTAL - FRAME_MAX_ENVELOPE - 64 };

static void free_timer(uv_handle_t *timer)
{
    free(timer);
}

void search_free(struct search *s)
{
    for (uint32_t i = 0; s->parts && i < s->count; i++) {
        shards_abandon(s->server->shards, &s->parts[i].ticket);
        if (s->round != ROUND_OVER)
            shards_abandon(s->server->shards, &s->parts[i].prepared);
    }
    if (s->timer && s->timer->data)
        uv_close((uv_handle_t *)s->timer, free_timer);
    else
        free(s->timer);
    arena_finish(&s->arena);
    index_release(s->index);
    free(s);
}

void search_fail(struct search *s, const char *code, const char *message)
{
    struct session *session = s->pending.session;
    uint64_t request = s->pending.request;
    session_error(session, request, code, NULL, "%s", message);
    session_remove_pending(&s->pending);
    search_free(s);
}

/* With one shard the bodies begin at the offset's rank; with several each shard gave those of its winners, in order. */
static struct str body_of(struct search *s, size_t rank, size_t *taken)
{
    const struct merged_hit *h = &s->hits[rank];
    struct part *p = &s->parts[s->count == 1 ? 0 : h->shard];
    size_t at = s->count == 1 ? s->request->offset + rank : taken[h->shard]++;
    return at < p->body_count ? p->bodies[at] : (struct str){0};
}

static bool fill_hits(struct search *s, Mayfly__Found *found, struct buf *bodies)
{
    size_t *taken = arena_new_array(&s->arena, s->count, size_t);
    Mayfly__Found__Hit *hits = arena_new_array(&s->arena, s->hit_count, Mayfly__Found__Hit);
    found->hits = arena_new_array(&s->arena, s->hit_count, Mayfly__Found__Hit *);
    if (!taken || !hits || !found->hits)
        return false;
    for (size_t i = 0; i < s->hit_count; i++) {
        struct str body = s->request->no_documents ? (struct str){0} : body_of(s, i, taken);
        mayfly__found__hit__init(&hits[i]);
        hits[i].id = message_string(s->hits[i].id.ptr); /* arena_copy ends it with a zero */
        hits[i].score = s->hits[i].score;
        hits[i].dropped = s->hits[i].dropped;
        hits[i].stamp = s->hits[i].stamp;
        hits[i].document_length = (uint32_t)body.len;
        buf_append_str(bodies, body);
        found->hits[found->n_hits++] = &hits[i];
    }
    return !bodies->err && bodies->len <= BODY_MOST;
}

void search_reply(struct search *s)
{
    Mayfly__Found found = MAYFLY__FOUND__INIT;
    Mayfly__Envelope answer = MAYFLY__ENVELOPE__INIT;
    struct buf bodies = {0};
    s->round = ROUND_OVER;
    if (!fill_hits(s, &found, &bodies)) {
        buf_finish(&bodies);
        search_fail(s, CODE_QUERY_TOO_LARGE, "the documents of this page exceed 15 MiB; ask for fewer");
        return;
    }
    for (uint32_t i = 0; i < s->count; i++) {
        found.estimated_total += s->parts[i].failed ? 0 : s->parts[i].estimated;
        found.partial |= s->parts[i].partial;
    }
    found.partial |= s->partial;
    found.took_us = clock_us() - s->started_us;
    answer.message_case = MAYFLY__ENVELOPE__MESSAGE_FOUND;
    answer.found = &found;
    struct session *session = s->pending.session;
    if (mayfly__envelope__get_packed_size(&answer) > FRAME_MAX_ENVELOPE - 64)
        session_error(session, s->pending.request, CODE_QUERY_TOO_LARGE, "limit",
                      "the hits of this page do not fit one answer; ask for fewer");
    else
        session_send(session, s->pending.request, &answer, (struct str){bodies.data, bodies.len});
    buf_finish(&bodies);
    session_remove_pending(&s->pending);
    search_free(s);
}
