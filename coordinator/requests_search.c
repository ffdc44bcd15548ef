/* A request to search: whether it can be done, and its beginning; scatter.c has the rest. */
#include "coordinator/requests.h"

#include <stdlib.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/err.h"
#include "coordinator/scatter_state.h"

enum {
    SEARCH_MEMORY = 256 << 20, /* address space; what is touched is bounded by the shards' answers */
    HITS_MOST = 10000,
};

static const char *what_is_not_there(const Mayfly__Search *m, const char **out_field)
{
    const struct {
        bool asked;
        const char *field;
    } features[] = {{m->filter[0] != 0, "filter"},
                    {m->n_sort > 0, "sort"},
                    {m->n_facets > 0, "facets"},
                    {m->n_highlight > 0, "highlight"},
                    {m->explain, "explain"}};
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++) {
        if (features[i].asked) {
            *out_field = features[i].field;
            return "this is not available in this version";
        }
    }
    return NULL;
}

static bool is_acceptable(struct session *session, const Mayfly__Envelope *e)
{
    const Mayfly__Search *m = e->search;
    const char *field = NULL, *missing = what_is_not_there(m, &field);
    if (missing) {
        session_error(session, e->request, CODE_NOT_SUPPORTED, field, "%s", missing);
    } else if ((uint64_t)m->offset + m->limit > HITS_MOST) {
        session_error(session, e->request, CODE_BAD_REQUEST, "limit", "offset and limit together are at most %d",
                      HITS_MOST);
    } else if ((unsigned)m->match > MAYFLY__MATCH__ANY) {
        session_error(session, e->request, CODE_BAD_REQUEST, "match", "match is last, all, frequency or any");
    } else {
        return true;
    }
    return false;
}

static void cancel(struct pending *pending)
{
    search_free((struct search *)pending);
}

static int init(struct search *s, struct session *session, const Mayfly__Envelope *e)
{
    struct server *server = session_server(session);
    s->server = server;
    s->started_us = clock_us();
    uint64_t deadline_ms = e->search->deadline_ms ? e->search->deadline_ms : server->config.deadline_ms;
    s->deadline_us = s->started_us + deadline_ms * 1000;
    int err = arena_init(&s->arena, SEARCH_MEMORY, 0);
    if (err)
        return err;
    s->request = search_keep(s, &e->search->base);
    s->count = s->index->shards;
    s->parts = arena_new_array(&s->arena, s->count, struct part);
    s->timer = calloc(1, sizeof *s->timer);
    if (!s->request || !s->parts || !s->timer)
        return ERR_FULL;
    for (uint32_t i = 0; i < s->count; i++)
        s->parts[i] = (struct part){.search = s, .shard = i};
    err = uv_timer_init(server->loop, s->timer);
    s->timer->data = s;
    return err;
}

void handle_search(struct session *session, const Mayfly__Envelope *e)
{
    struct index *index = is_acceptable(session, e) ? requests_index(session, e->request, e->search->index) : NULL;
    if (!index)
        return;
    struct search *s = calloc(1, sizeof *s);
    require(s != NULL);
    s->index = index;
    index_hold(index);
    if (init(s, session, e)) {
        search_free(s);
        session_error(session, e->request, CODE_BUSY, NULL, "there is no memory for a search at the moment");
        return;
    }
    session_server(session)->searches++;
    session_add_pending(session, &s->pending, e->request, cancel);
    search_begin(s);
}
