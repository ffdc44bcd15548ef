/* The messages of a search's rounds to the shards. */
#include "coordinator/scatter_state.h"

#include "common/clock.h"
#include "common/err.h"
#include "proto/thresholds.h"

static uint64_t time_left(const struct search *s)
{
    uint64_t now = clock_us();
    return now < s->deadline_us ? s->deadline_us - now : 1;
}

/* Hardly ever: a shard keeps what it was told. */
static ProtobufCBinaryData settings_of(const struct part *p)
{
    const struct buf *json = &p->search->index->settings;
    return message_data(p->wanting.request ? (struct str){json->data, json->len} : (struct str){0});
}

static void fill_text(const struct part *p, Mayfly__Internal__QueryText *text, Mayfly__Internal__Place *place)
{
    const struct search *s = p->search;
    const Mayfly__Search *r = s->request;
    mayfly__internal__place__init(place);
    mayfly__internal__query_text__init(text);
    place->index = s->index->number;
    place->edition = s->edition;
    place->shard = p->shard;
    text->place = place;
    text->settings_id = s->index->settings_id;
    text->settings = settings_of(p);
    text->query = r->query;
    text->match = (uint32_t)r->match;
    text->no_prefix = r->no_prefix;
    text->no_typos = r->no_typos;
    text->plain_words = r->plain_words;
}

/* To the reader that has asked for the settings, so that it need not ask again; to any, if it is gone meanwhile. */
static int send_wanted(struct part *p, Mayfly__Internal__ShardEnvelope *message, const struct shard_caller *caller)
{
    struct shards *shards = p->search->server->shards;
    int err = shards_send(shards, p->shard, &p->wanting, message, caller, &p->ticket);
    return err == ERR_CLOSED ? shards_send(shards, p->shard, NULL, message, caller, &p->ticket) : err;
}

static void send_to(struct part *p, const struct shard_ticket *same, Mayfly__Internal__ShardEnvelope *message)
{
    struct search *s = p->search;
    const struct shard_caller caller = {.answer = search_take, .context = p, .arena = s->arena};
    bool is_wanted = p->wanting.request && !(same && same->request);
    int err = is_wanted ? send_wanted(p, message, &caller)
                        : shards_send(s->server->shards, p->shard, same, message, &caller, &p->ticket);
    if (!err) {
        s->waiting++;
        return;
    }
    p->ticket = (struct shard_ticket){0};
    search_part_fail(p, err == ERR_BUSY ? CODE_BUSY : CODE_UNAVAILABLE, "shard %u is not there at the moment",
                     p->shard);
}

static void send_prepare(struct part *p)
{
    Mayfly__Internal__Place place;
    Mayfly__Internal__QueryText text;
    Mayfly__Internal__Prepare prepare = MAYFLY__INTERNAL__PREPARE__INIT;
    Mayfly__Internal__ShardEnvelope message = MAYFLY__INTERNAL__SHARD_ENVELOPE__INIT;
    fill_text(p, &text, &place);
    prepare.text = &text;
    prepare.deadline_us = time_left(p->search);
    message.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_PREPARE;
    message.prepare = &prepare;
    send_to(p, NULL, &message);
}

static void send_guess(struct part *p)
{
    struct search *s = p->search;
    Mayfly__Internal__Place place;
    Mayfly__Internal__QueryText text;
    Mayfly__Internal__Guess guess = MAYFLY__INTERNAL__GUESS__INIT;
    Mayfly__Internal__ShardEnvelope message = MAYFLY__INTERNAL__SHARD_ENVELOPE__INIT;
    fill_text(p, &text, &place);
    guess.text = &text;
    guess.generation = p->statistics->generation;
    guess.prepared_by = p->prepared.request;
    guess.n_words = s->misspelt_count;
    guess.words = s->misspelt;
    guess.deadline_us = time_left(s);
    message.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_GUESS;
    message.guess = &guess;
    send_to(p, &p->prepared, &message);
}

static void send_execute(struct part *p)
{
    struct search *s = p->search;
    const Mayfly__Search *r = s->request;
    Mayfly__Internal__Place place;
    Mayfly__Internal__QueryText text;
    Mayfly__Internal__Execute execute = MAYFLY__INTERNAL__EXECUTE__INIT;
    Mayfly__Internal__ShardEnvelope message = MAYFLY__INTERNAL__SHARD_ENVELOPE__INIT;
    fill_text(p, &text, &place);
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
        execute.generation = s->weights.generations[p->shard];
        execute.prepared_by = p->prepared.request;
        execute.documents = s->weights.documents;
        execute.total_length = s->weights.total_length;
        execute.n_words = s->weights.word_count;
        execute.words = s->weights.words;
        execute.fetch_follows = search_fetches(s);
        execute.threshold_word = s->threshold_tag % THRESHOLDS;
        execute.threshold_tag = s->threshold_tag;
    }
    message.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_EXECUTE;
    message.execute = &execute;
    send_to(p, &p->prepared, &message);
}

static void send_fetch(struct part *p)
{
    struct search *s = p->search;
    Mayfly__Internal__Place place;
    Mayfly__Internal__QueryText text;
    Mayfly__Internal__Fetch fetch = MAYFLY__INTERNAL__FETCH__INIT;
    Mayfly__Internal__ShardEnvelope message = MAYFLY__INTERNAL__SHARD_ENVELOPE__INIT;
    Mayfly__Internal__Fetch__Item *items = arena_new_array(s->arena, s->hit_count, Mayfly__Internal__Fetch__Item);
    fetch.items = arena_new_array(s->arena, s->hit_count, Mayfly__Internal__Fetch__Item *);
    if (!items || !fetch.items) {
        search_part_fail(p, CODE_QUERY_TOO_LARGE, "the hits need more memory than a search may take");
        return;
    }
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
        search_let_go(p);
        return;
    }
    fill_text(p, &text, &place);
    fetch.place = &place;
    fetch.prepared_by = p->prepared.request;
    fetch.settings_id = text.settings_id;
    fetch.settings = text.settings;
    fetch.n_fields = s->request->n_fields;
    fetch.fields = s->request->fields;
    message.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_FETCH;
    message.fetch = &fetch;
    send_to(p, &p->prepared, &message);
}

void search_let_go(struct part *p)
{
    shards_abandon(p->search->server->shards, &p->prepared);
    p->prepared = (struct shard_ticket){0};
}

void search_send(struct part *p)
{
    static void (*const senders[])(struct part *) = {
        [ROUND_PREPARE] = send_prepare, [ROUND_GUESS] = send_guess, [ROUND_EXECUTE] = send_execute, [ROUND_FETCH] = send_fetch};
    struct search *s = p->search;
    if (s->edition != s->index->edition || (s->count > 1 && s->settings_id != s->index->settings_id))
        s->moved = true; /* what shards and words were by then they may not be now */
    else
        senders[s->round](p);
}
