/* The messages of a search's rounds to the shards. */
#include "coordinator/scatter_state.h"

#include "common/clock.h"
#include "common/err.h"

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
    place->name = s->index->name;
    text->place = place;
    text->settings_id = s->index->settings_id;
    text->settings = settings_of(p);
    text->query = r->query;
    text->match = (uint32_t)r->match;
    text->no_prefix = r->no_prefix;
    text->no_typos = r->no_typos;
    text->plain_words = r->plain_words;
}

/* What a message of any round begins with. Its parts point at each other: it stays where it is. */
struct outgoing {
    Mayfly__Internal__Place place;
    Mayfly__Internal__QueryText text;
    Mayfly__Internal__ShardEnvelope envelope;
};

static void begin(const struct part *p, struct outgoing *o)
{
    fill_text(p, &o->text, &o->place);
    mayfly__internal__shard_envelope__init(&o->envelope);
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
    struct outgoing o;
    Mayfly__Internal__Prepare prepare = MAYFLY__INTERNAL__PREPARE__INIT;
    begin(p, &o);
    prepare.text = &o.text;
    prepare.deadline_us = time_left(p->search);
    o.envelope.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_PREPARE;
    o.envelope.prepare = &prepare;
    send_to(p, NULL, &o.envelope);
}

static void send_guess(struct part *p)
{
    struct search *s = p->search;
    struct outgoing o;
    Mayfly__Internal__Guess guess = MAYFLY__INTERNAL__GUESS__INIT;
    begin(p, &o);
    guess.text = &o.text;
    guess.generation = p->statistics->generation;
    guess.prepared_by = p->prepared.request;
    guess.n_words = s->misspelt_count;
    guess.words = s->misspelt;
    guess.deadline_us = time_left(s);
    o.envelope.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_GUESS;
    o.envelope.guess = &guess;
    send_to(p, &p->prepared, &o.envelope);
}

static void send_execute(struct part *p)
{
    struct search *s = p->search;
    const Mayfly__Search *r = s->request;
    struct outgoing o;
    Mayfly__Internal__Execute execute;
    begin(p, &o);
    if (s->count == 1)
        mayfly__internal__execute__init(&execute);
    else
        execute = *s->packed;
    execute.text = &o.text;
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
        execute.fetch_follows = search_fetches(s);
        execute.threshold_tag = s->threshold_tag;
    }
    o.envelope.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_EXECUTE;
    o.envelope.execute = &execute;
    send_to(p, &p->prepared, &o.envelope);
}

static size_t hits_of(const struct part *p)
{
    size_t count = 0;
    for (size_t i = 0; i < p->search->hit_count; i++)
        count += p->search->hits[i].shard == p->shard;
    return count;
}

static bool fill_items(const struct part *p, size_t count, Mayfly__Internal__Fetch *fetch)
{
    const struct search *s = p->search;
    fetch->items = message_list(s->arena, &mayfly__internal__fetch__item__descriptor, count);
    if (!fetch->items)
        return false;
    for (size_t i = 0; i < s->hit_count; i++) {
        if (s->hits[i].shard != p->shard)
            continue;
        Mayfly__Internal__Fetch__Item *item = fetch->items[fetch->n_items++];
        item->segment = s->hits[i].segment;
        item->document = s->hits[i].document;
    }
    return true;
}

static void send_fetch(struct part *p)
{
    struct search *s = p->search;
    struct outgoing o;
    Mayfly__Internal__Fetch fetch = MAYFLY__INTERNAL__FETCH__INIT;
    size_t count = hits_of(p);
    if (count == 0) {
        search_let_go(p);
        return;
    }
    if (!fill_items(p, count, &fetch)) {
        search_part_fail(p, CODE_QUERY_TOO_LARGE, "the hits need more memory than a search may take");
        return;
    }
    begin(p, &o);
    fetch.place = &o.place;
    fetch.prepared_by = p->prepared.request;
    fetch.settings_id = o.text.settings_id;
    fetch.settings = o.text.settings;
    fetch.n_fields = s->request->n_fields;
    fetch.fields = s->request->fields;
    o.envelope.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_FETCH;
    o.envelope.fetch = &fetch;
    send_to(p, &p->prepared, &o.envelope);
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
