/* A search: to the shards and back. One shard: one round. Several: Prepare to all, the candidates' frequencies added
 * up, Execute with weights, the hits merged, Fetch to the winners' shards. */
#include "coordinator/requests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/err.h"
#include "coordinator/scatter_state.h"
#include "proto/select.h"

enum {
    SEARCH_MEMORY = 256 << 20, /* address space; what is touched is bounded by the shards' answers */
    HITS_MOST = 10000,
    LIMIT_DEFAULT = 20,
    MOVED_MOST = 5,
    GRACE_MS = 50, /* shards cut off by themselves at the deadline: their answers are on the way */
};

static void start_round(struct search *s, enum search_round round);

/* -------------------------------------------------------------------------------------------------------------
 * messages */

static uint64_t time_left(const struct search *s)
{
    uint64_t now = clock_us();
    return now < s->deadline_us ? s->deadline_us - now : 1;
}

static void fill_text(const struct search *s, uint32_t shard, Mayfly__Internal__QueryText *text,
                      Mayfly__Internal__Place *place)
{
    const Mayfly__Search *r = s->request;
    mayfly__internal__place__init(place);
    mayfly__internal__query_text__init(text);
    place->index = s->index->number;
    place->edition = s->index->edition;
    place->shard = shard;
    text->place = place;
    text->settings = message_data((struct str){s->index->settings.data, s->index->settings.len});
    text->query = r->query;
    text->match = (uint32_t)r->match;
    text->no_prefix = r->no_prefix;
    text->no_typos = r->no_typos;
    text->plain_words = r->plain_words;
}

static void on_answer(void *context, const Mayfly__Internal__ShardEnvelope *answer, struct str body);

static void send_to(struct part *p, const struct shard_ticket *same, Mayfly__Internal__ShardEnvelope *message)
{
    struct search *s = p->search;
    int err = shards_send(s->server->shards, p->shard, same, message, on_answer, p, &p->ticket);
    if (!err) {
        s->waiting++;
        return;
    }
    p->ticket = (struct shard_ticket){0};
    p->failed = true;
    snprintf(p->code, sizeof p->code, "%s", err == ERR_BUSY ? CODE_BUSY : CODE_UNAVAILABLE);
    snprintf(p->message, sizeof p->message, "shard %u is not there at the moment", p->shard);
}

static void send_prepare(struct part *p)
{
    Mayfly__Internal__Place place;
    Mayfly__Internal__QueryText text;
    Mayfly__Internal__Prepare prepare = MAYFLY__INTERNAL__PREPARE__INIT;
    Mayfly__Internal__ShardEnvelope message = MAYFLY__INTERNAL__SHARD_ENVELOPE__INIT;
    fill_text(p->search, p->shard, &text, &place);
    prepare.text = &text;
    prepare.deadline_us = time_left(p->search);
    message.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_PREPARE;
    message.prepare = &prepare;
    send_to(p, NULL, &message);
    p->prepared = p->ticket;
}

static void send_execute(struct part *p)
{
    struct search *s = p->search;
    const Mayfly__Search *r = s->request;
    Mayfly__Internal__Place place;
    Mayfly__Internal__QueryText text;
    Mayfly__Internal__Execute execute = MAYFLY__INTERNAL__EXECUTE__INIT;
    Mayfly__Internal__ShardEnvelope message = MAYFLY__INTERNAL__SHARD_ENVELOPE__INIT;
    fill_text(s, p->shard, &text, &place);
    execute.text = &text;
    execute.limit = r->offset + r->limit;
    execute.deadline_us = time_left(s);
    execute.n_fields = r->n_fields;
    execute.fields = r->fields;
    if (s->count == 1) {
        execute.own_statistics = true;
        execute.with_documents = !r->no_documents;
        execute.skip_documents = r->offset;
    } else {
        execute.generation = p->statistics->generation;
        execute.prepared_by = p->prepared.request;
        execute.documents = s->documents;
        execute.total_length = s->total_length;
        execute.n_words = s->word_count;
        execute.words = s->words;
        execute.fetch_follows = !r->no_documents;
    }
    message.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_EXECUTE;
    message.execute = &execute;
    send_to(p, s->count == 1 ? NULL : &p->prepared, &message);
}

static void send_fetch(struct part *p)
{
    struct search *s = p->search;
    Mayfly__Internal__Place place;
    Mayfly__Internal__QueryText text;
    Mayfly__Internal__Fetch fetch = MAYFLY__INTERNAL__FETCH__INIT;
    Mayfly__Internal__ShardEnvelope message = MAYFLY__INTERNAL__SHARD_ENVELOPE__INIT;
    Mayfly__Internal__Fetch__Item *items = arena_new_array(&s->arena, s->hit_count, Mayfly__Internal__Fetch__Item);
    fetch.items = arena_new_array(&s->arena, s->hit_count, Mayfly__Internal__Fetch__Item *);
    if (!items || !fetch.items)
        return;
    for (size_t i = 0; i < s->hit_count; i++) {
        if (s->hits[i].shard != p->shard)
            continue;
        mayfly__internal__fetch__item__init(&items[fetch.n_items]);
        items[fetch.n_items].segment = s->hits[i].segment;
        items[fetch.n_items].document = s->hits[i].document;
        fetch.items[fetch.n_items] = &items[fetch.n_items];
        fetch.n_items++;
    }
    if (fetch.n_items == 0) {
        shards_abandon(s->server->shards, &p->prepared); /* what it holds for us */
        return;
    }
    fill_text(s, p->shard, &text, &place);
    fetch.place = &place;
    fetch.prepared_by = p->prepared.request;
    fetch.n_fields = s->request->n_fields;
    fetch.fields = s->request->fields;
    message.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_FETCH;
    message.fetch = &fetch;
    send_to(p, &p->prepared, &message);
}

/* ------------------------------------------------------------------------------------------------------------- answers
 */

/* Answers are gone after the callback: what is needed later is read again into the search's own arena. */
static void *keep(struct search *s, const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = arena_alloc(&s->arena, size + 1);
    if (!bytes)
        return NULL;
    protobuf_c_message_pack(message, bytes);
    return message_unpack_any(&s->arena, message->descriptor, (struct str){(const char *)bytes, size});
}

static bool take_prepared(struct part *p, const Mayfly__Internal__ShardEnvelope *answer)
{
    p->statistics = keep(p->search, &answer->prepared->base);
    return p->statistics != NULL;
}

static bool take_bodies(struct part *p, const uint32_t *lengths, size_t count, struct str body)
{
    struct search *s = p->search;
    p->bodies = arena_new_array(&s->arena, count, struct str);
    if (!p->bodies)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (lengths[i] > body.len)
            return false;
        p->bodies[i] = arena_copy(&s->arena, (struct str){body.ptr, lengths[i]});
        if (!p->bodies[i].ptr)
            return false;
        body.ptr += lengths[i];
        body.len -= lengths[i];
    }
    p->body_count = count;
    return true;
}

static bool take_executed(struct part *p, const Mayfly__Internal__ShardEnvelope *answer, struct str body)
{
    struct search *s = p->search;
    const Mayfly__Internal__Executed *e = answer->executed;
    p->hits = arena_new_array(&s->arena, e->n_hits, struct merged_hit);
    uint32_t *lengths = arena_new_array(&s->arena, e->n_hits, uint32_t);
    if (!p->hits || !lengths)
        return false;
    for (size_t i = 0; i < e->n_hits; i++) {
        const Mayfly__Internal__Executed__Hit *h = e->hits[i];
        p->hits[i] = (struct merged_hit){.id = arena_copy(&s->arena, message_bytes(h->id)),
                                         .score = h->score,
                                         .stamp = h->stamp,
                                         .segment = h->segment,
                                         .dropped = h->dropped,
                                         .document = h->document,
                                         .shard = p->shard};
        lengths[i] = h->document_length;
        if (!p->hits[i].id.ptr)
            return false;
    }
    p->hit_count = e->n_hits;
    p->estimated = e->estimated_total;
    p->partial = e->partial;
    return s->count > 1 || s->request->no_documents || take_bodies(p, lengths, e->n_hits, body);
}

static void fail_part(struct part *p, const char *code, const char *message)
{
    p->failed = true;
    snprintf(p->code, sizeof p->code, "%s", code);
    snprintf(p->message, sizeof p->message, "%s", message);
}

static void round_over(struct search *s);

static void on_answer(void *context, const Mayfly__Internal__ShardEnvelope *answer, struct str body)
{
    struct part *p = context;
    struct search *s = p->search;
    bool kept = true;
    p->ticket = (struct shard_ticket){0};
    p->answered = true;
    switch ((int)answer->message_case) {
    case MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_PREPARED:
        kept = take_prepared(p, answer);
        break;
    case MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_EXECUTED:
        kept = take_executed(p, answer, body);
        break;
    case MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_FETCHED:
        kept = take_bodies(p, answer->fetched->document_length, answer->fetched->n_document_length, body);
        break;
    case MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_MOVED:
        s->moved++;
        p->answered = false;
        break;
    case MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_FAILED:
        fail_part(p, answer->failed->code, answer->failed->message);
        break;
    default:
        fail_part(p, CODE_INTERNAL, "the shard gave an answer that does not fit");
    }
    if (!kept)
        fail_part(p, CODE_QUERY_TOO_LARGE, "the answer needs more memory than a search may take; ask for fewer hits");
    if (--s->waiting == 0)
        round_over(s);
}

/* ------------------------------------------------------------------------------------------------------------- weights
 */

static int weigh_word(struct search *s, size_t word, Mayfly__Internal__Weighted *out)
{
    size_t total = 0, used = 0;
    uint32_t qtf = 1;
    for (uint32_t i = 0; i < s->count; i++)
        if (s->parts[i].statistics)
            total += s->parts[i].statistics->words[word]->n_candidates;
    struct candidate *candidates = arena_new_array(&s->arena, total, struct candidate);
    if (!candidates)
        return ERR_FULL;
    for (uint32_t i = 0; i < s->count; i++) {
        if (!s->parts[i].statistics)
            continue;
        const Mayfly__Internal__Word *w = s->parts[i].statistics->words[word];
        qtf = w->count;
        for (size_t k = 0; k < w->n_candidates; k++)
            candidates[used++] = (struct candidate){message_bytes(w->candidates[k]->term), w->candidates[k]->distance,
                                                    w->candidates[k]->frequency};
    }
    struct weighted_word weighted;
    int err = select_terms(&s->arena, candidates, used, qtf, s->documents, &weighted);
    if (err)
        return err;
    out->frequency = weighted.frequency;
    out->terms = arena_new_array(&s->arena, weighted.count, Mayfly__Internal__Weighted__Term *);
    Mayfly__Internal__Weighted__Term *terms =
        arena_new_array(&s->arena, weighted.count, Mayfly__Internal__Weighted__Term);
    if (!out->terms || !terms)
        return ERR_FULL;
    for (; out->n_terms < weighted.count; out->n_terms++) {
        Mayfly__Internal__Weighted__Term *t = &terms[out->n_terms];
        mayfly__internal__weighted__term__init(t);
        t->term = message_data(weighted.terms[out->n_terms].term);
        t->weight = weighted.terms[out->n_terms].weight;
        out->terms[out->n_terms] = t;
    }
    return 0;
}

static int weigh(struct search *s)
{
    bool any = false;
    s->documents = s->total_length = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        const Mayfly__Internal__Prepared *p = s->parts[i].statistics;
        if (!p)
            continue;
        s->documents += p->documents;
        s->total_length += p->total_length;
        if (any && s->word_count != p->n_words)
            return ERR_CORRUPT; /* shards of one build agree on what a text's words are */
        s->word_count = p->n_words;
        any = true;
    }
    Mayfly__Internal__Weighted *words = arena_new_array(&s->arena, s->word_count, Mayfly__Internal__Weighted);
    s->words = arena_new_array(&s->arena, s->word_count, Mayfly__Internal__Weighted *);
    if (!words || !s->words)
        return ERR_FULL;
    for (size_t i = 0; i < s->word_count; i++) {
        mayfly__internal__weighted__init(&words[i]);
        s->words[i] = &words[i];
        int err = weigh_word(s, i, &words[i]);
        if (err)
            return err;
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------------------- rounds
 */

/* Some shards did not answer: the others' answer stands, as partial. None did: why not. True if the search goes on. */
static bool survives(struct search *s)
{
    const struct part *failed = NULL;
    uint32_t alive = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->parts[i].failed)
            failed = &s->parts[i];
        else
            alive++;
    }
    if (!failed)
        return true;
    /* What the query itself is at fault for is the same on every shard. */
    bool query_is_wrong = strcmp(failed->code, CODE_UNAVAILABLE) != 0 && strcmp(failed->code, CODE_DEADLINE) != 0 &&
                          strcmp(failed->code, CODE_BUSY) != 0;
    if (alive && !query_is_wrong) {
        s->partial = true;
        return true;
    }
    search_fail(s, failed->code, failed->message);
    return false;
}

static void merge(struct search *s)
{
    const struct merged_hit **lists = arena_new_array(&s->arena, s->count, const struct merged_hit *);
    size_t *counts = arena_new_array(&s->arena, s->count, size_t);
    if (!lists || !counts) {
        search_fail(s, CODE_QUERY_TOO_LARGE, "the hits need more memory than a search may take");
        return;
    }
    for (uint32_t i = 0; i < s->count; i++) {
        lists[i] = s->parts[i].hits;
        counts[i] = s->parts[i].failed ? 0 : s->parts[i].hit_count;
    }
    if (merge_hits(&s->arena, lists, counts, s->count, s->request->offset, s->request->limit, &s->hits, &s->hit_count))
        search_fail(s, CODE_QUERY_TOO_LARGE, "the hits need more memory than a search may take");
    else if (s->count > 1 && !s->request->no_documents && s->hit_count)
        start_round(s, ROUND_FETCH);
    else
        search_reply(s);
}

static void round_over(struct search *s)
{
    if (s->moved && s->moved < MOVED_MOST * s->count && s->round != ROUND_FETCH) {
        for (uint32_t i = 0; i < s->count; i++)
            shards_abandon(s->server->shards, &s->parts[i].prepared);
        start_round(s, ROUND_PREPARE);
        return;
    }
    if (s->moved && s->round == ROUND_FETCH) {
        search_fail(s, CODE_UNAVAILABLE, "the index changed faster than the search; try again");
        return;
    }
    if (!survives(s))
        return;
    int err = s->round == ROUND_PREPARE ? weigh(s) : 0;
    if (err)
        search_fail(s, CODE_QUERY_TOO_LARGE, "the query has more words than a search may take");
    else if (s->round == ROUND_PREPARE)
        start_round(s, ROUND_EXECUTE);
    else if (s->round == ROUND_EXECUTE)
        merge(s);
    else
        search_reply(s);
}

static void start_round(struct search *s, enum search_round round)
{
    static void (*const senders[])(struct part *) = {
        [ROUND_PREPARE] = send_prepare, [ROUND_EXECUTE] = send_execute, [ROUND_FETCH] = send_fetch};
    s->round = round;
    if (round == ROUND_PREPARE)
        s->moved = 0;
    s->waiting = 1; /* until all are sent: a failure to send must not end the round in between */
    for (uint32_t i = 0; i < s->count; i++) {
        s->parts[i].answered = false;
        if (!s->parts[i].failed)
            senders[round](&s->parts[i]);
    }
    if (--s->waiting == 0)
        round_over(s);
}

/* -------------------------------------------------------------------------------------------------------------
 * deadline */

/* Whoever has not answered by now is left out. */
static void on_deadline(uv_timer_t *timer)
{
    struct search *s = timer->data;
    for (uint32_t i = 0; i < s->count; i++) {
        struct part *p = &s->parts[i];
        if (!p->ticket.request)
            continue;
        shards_abandon(s->server->shards, &p->ticket);
        p->ticket = (struct shard_ticket){0};
        fail_part(p, CODE_DEADLINE, "the search took longer than its deadline");
    }
    s->partial = true;
    s->waiting = 0;
    if (s->round == ROUND_FETCH) {
        search_fail(s, CODE_DEADLINE, "the documents could not be read within the deadline");
        return;
    }
    if (!survives(s))
        return;
    if (s->round == ROUND_PREPARE)
        search_fail(s, CODE_DEADLINE, "the search took longer than its deadline");
    else
        merge(s);
}

/* -------------------------------------------------------------------------------------------------------------
 * beginning */

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
    s->request = keep(s, &e->search->base);
    s->count = s->index->shards;
    s->parts = arena_new_array(&s->arena, s->count, struct part);
    s->timer = calloc(1, sizeof *s->timer);
    if (!s->request || !s->parts || !s->timer)
        return ERR_FULL;
    for (uint32_t i = 0; i < s->count; i++)
        s->parts[i] = (struct part){.search = s, .shard = i};
    err = uv_timer_init(server->loop, s->timer);
    s->timer->data = s;
    return err ? err : uv_timer_start(s->timer, on_deadline, deadline_ms + GRACE_MS, 0);
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
    start_round(s, s->count == 1 ? ROUND_EXECUTE : ROUND_PREPARE);
}
