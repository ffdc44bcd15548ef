/* A request to search: whether it can be done, and its beginning; scatter.c has the rest. */
#include "coordinator/requests.h"

#include "common/clock.h"
#include "coordinator/scatter_state.h"
#include "coordinator/session_state.h"

enum { HITS_MOST = 10000 };

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

bool search_take_edition(struct search *s)
{
    struct part *parts = arena_new_array(s->arena, s->index->shards, struct part);
    if (!parts)
        return false;
    s->edition = s->index->edition;
    s->parts = parts;
    s->count = s->index->shards;
    for (uint32_t i = 0; i < s->count; i++)
        parts[i] = (struct part){.search = s, .shard = i};
    return true;
}

/* What the handler was given is gone when it returns. So the two arenas change places, and the request stays where it is. */
static struct search *make(struct workspace *w, struct session *session, struct index *index, const Mayfly__Search *request)
{
    struct server *server = session_server(session);
    struct arena empty = w->arena;
    w->arena = session->all->arena;
    session->all->arena = empty;
    struct search *s = arena_new(&w->arena, struct search);
    if (!s)
        return NULL;
    uint64_t deadline_ms = request->deadline_ms ? request->deadline_ms : server->config.deadline_ms;
    *s = (struct search){.server = server, .space = w, .arena = &w->arena, .index = index, .request = request};
    s->started_us = clock_us();
    s->deadline_us = s->started_us + deadline_ms * 1000;
    if (!search_take_edition(s))
        return NULL;
    w->timer.data = s;
    index_hold(index);
    return s;
}

void handle_search(struct session *session, const Mayfly__Envelope *e)
{
    struct server *server = session_server(session);
    struct index *index = is_acceptable(session, e) ? requests_index(session, e->request, e->search->index) : NULL;
    if (!index)
        return;
    struct workspace *w = workspace_take(&server->spare, server->loop);
    struct search *s = w ? make(w, session, index, e->search) : NULL;
    if (!s) {
        session_error(session, e->request, CODE_BUSY, NULL, "there is no memory for a search at the moment");
        if (w)
            workspace_give_back(&server->spare, w);
        return;
    }
    server->searches++;
    server->searching++;
    session_add_pending(session, &s->pending, e->request, cancel);
    turns_end(&session->all->turns);
    search_begin(s);
}
