/* The end of a search: its answer, or why there is none. */
#include "coordinator/scatter_state.h"

#include <stdio.h>

#include "common/clock.h"
#include "common/logger.h"

enum { LOGGED_QUERY = 256 };

void search_free(struct search *s)
{
    struct server *server = s->server;
    server->searching--;
    for (uint32_t i = 0; s->parts && i < s->count; i++) {
        shards_abandon(server->shards, &s->parts[i].ticket);
        search_let_go(&s->parts[i]);
        buf_finish(&s->parts[i].body);
    }
    search_release_weights(s);
    index_release(s->index);
    workspace_give_back(&server->spare, s->space);
}

/* The query stands last and may contain anything; it is cut to what fits a line that people read. */
static void log_slow(const struct search *s, uint64_t took_us, const char *outcome)
{
    char query[LOGGED_QUERY];
    snprintf(query, sizeof query, "%s", s->request->query);
    message_make_valid(query);
    log_warn("slow search took_ms=%llu outcome=%s index=%s offset=%u limit=%u query=%s",
             (unsigned long long)(took_us / 1000), outcome, s->index->name, s->request->offset, s->request->limit,
             query);
}

/* How long it took, for the statistics, and for the log where it was too long. */
static uint64_t count_time(struct search *s, const char *outcome)
{
    uint64_t took_us = clock_us() - s->started_us, slow_us = s->server->config.slow_query_ms * 1000;
    latency_add(&s->server->latency, took_us);
    if (slow_us && took_us >= slow_us)
        log_slow(s, took_us, outcome);
    return took_us;
}

void search_fail(struct search *s, const char *code, const char *message)
{
    struct session *session = s->pending.session;
    uint64_t request = s->pending.request;
    count_time(s, code);
    session_error(session, request, code, NULL, "%s", message);
    session_remove_pending(&s->pending);
    search_free(s);
}

/* With one shard the documents begin at the offset's rank; with several each shard gave those of its winners, in order.
 */
static struct str document_of(struct search *s, size_t rank, size_t *taken)
{
    const struct merged_hit *h = &s->hits[rank];
    struct part *p = &s->parts[s->count == 1 ? 0 : h->shard];
    size_t at = s->count == 1 ? s->request->offset + rank : taken[h->shard]++;
    return at < p->document_count ? p->documents[at] : (struct str){0};
}

static void fill_hit(const struct merged_hit *from, size_t document_length, Mayfly__Found__Hit *hit)
{
    hit->id = message_string(from->id.ptr);
    hit->score = from->score;
    hit->dropped = from->dropped;
    hit->stamp = from->stamp;
    hit->document_length = (uint32_t)document_length;
}

/* False past the arena's cap, as all of these. */
static bool fill_hits(struct search *s, Mayfly__Found *found, const struct str *documents)
{
    found->hits = message_list(s->arena, &mayfly__found__hit__descriptor, s->hit_count);
    if (!found->hits)
        return false;
    for (size_t i = 0; i < s->hit_count; i++)
        fill_hit(&s->hits[i], documents[i].len, found->hits[i]);
    found->n_hits = s->hit_count;
    return true;
}

static bool find_documents(struct search *s, struct str *out)
{
    size_t *taken = arena_new_array(s->arena, s->count, size_t);
    for (size_t i = 0; taken && i < s->hit_count && !s->request->no_documents; i++)
        out[i] = document_of(s, i, taken);
    return taken;
}

static bool fill_answer(struct search *s, Mayfly__Found *found, struct str *documents)
{
    if (!find_documents(s, documents))
        return false;
    return s->request->columns ? search_fill_columns(s, found, documents) : fill_hits(s, found, documents);
}

/* One document is never too large: it was accepted, so it comes back. */
static bool fit_one_answer(const struct str *documents, size_t count)
{
    size_t bytes = 0, largest = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += documents[i].len;
        largest = documents[i].len > largest ? documents[i].len : largest;
    }
    return bytes <= ANSWER_MAX_DOCUMENTS || bytes == largest;
}

/* True if something is missing: the first reason. */
static bool is_partial(const struct search *s, Mayfly__Error *why)
{
    for (uint32_t i = 0; i < s->count; i++) {
        const struct part *p = &s->parts[i];
        if (!p->failed && !p->partial)
            continue;
        mayfly__error__init(why);
        why->code = message_string(p->failed ? p->code : CODE_DEADLINE);
        why->message = message_string(p->failed ? p->message : "the deadline cut the search off");
        return true;
    }
    return false;
}

static void send_found(struct search *s, Mayfly__Found *found, const struct str *documents)
{
    Mayfly__Envelope answer = MAYFLY__ENVELOPE__INIT;
    answer.message_case = MAYFLY__ENVELOPE__MESSAGE_FOUND;
    answer.found = found;
    for (uint32_t i = 0; i < s->count; i++)
        found->estimated_total += s->parts[i].failed ? 0 : s->parts[i].estimated;
    found->took_us = count_time(s, found->partial ? "partial" : "whole");
    session_send_pieces(s->pending.session, s->pending.request, &answer, documents, s->hit_count);
    session_remove_pending(&s->pending);
    search_free(s);
}

void search_reply(struct search *s)
{
    Mayfly__Found found = MAYFLY__FOUND__INIT;
    Mayfly__Error why;
    struct str *documents = arena_new_array(s->arena, s->hit_count, struct str);
    found.partial = is_partial(s, &why);
    found.partial_reason = found.partial ? &why : NULL;
    if (found.partial && s->request->no_partial)
        search_fail(s, why.code, why.message);
    else if (!documents || !fill_answer(s, &found, documents))
        search_fail(s, CODE_QUERY_TOO_LARGE, "the hits need more memory than a search may take");
    else if (!fit_one_answer(documents, s->hit_count))
        search_fail(s, CODE_QUERY_TOO_LARGE, ANSWER_TOO_LARGE);
    else
        send_found(s, &found, documents);
}
