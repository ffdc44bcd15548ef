#include "shard/search_round.h"

#include "common/clock.h"
#include "common/err.h"
#include "shard/hold.h"

enum {
    HOLD_SLACK_US = 1000 * 1000,        /* beyond the deadline: what is on its way still finds its generation */
    HOLD_DEFAULT_US = 60 * 1000 * 1000, /* of a request without deadline */
};

bool search_fail(struct search *s, int err)
{
    reply_fail_query(s->out, err);
    return false;
}

bool search_fail_at(struct search *s, int err, const struct query_fault *fault)
{
    if (err == ERR_FULL || err == ERR_TOO_LARGE)
        return search_fail(s, err);
    fetch_fail_damaged(s->out, s->snapshot, fault->segment, fault->part ? fault->part : "file", err);
    return false;
}

bool search_check_text(struct search *s, const Mayfly__Internal__QueryText *text)
{
    if (!text || !text->query)
        reply_fail(s->out, CODE_BAD_REQUEST, "there is no query in the request");
    return text && text->query;
}

bool search_set_deadline(struct search *s, const struct request *r, uint64_t remaining_us)
{
    if (remaining_us == 0)
        return true;
    s->deadline_us = r->arrived_us + remaining_us;
    if (clock_us() < s->deadline_us)
        return true;
    reply_fail(s->out, CODE_DEADLINE, "the deadline passed before the query could begin");
    return false;
}

enum fetch_rules search_find_rules(struct search *s, const Mayfly__Internal__QueryText *text)
{
    return fetch_find_rules(s->shard, text->place, text->settings_id, message_bytes(text->settings), s->out, &s->rules);
}

/* --------------------------------------------------------------------------------------------------------- generations
 */

bool search_find_newest(struct search *s, const Mayfly__Internal__Place *place)
{
    if (!fetch_newest(s->shard, place, s->out))
        return false;
    s->snapshot = s->out->snapshot;
    return true;
}

bool search_find_generation(struct search *s, const Mayfly__Internal__Place *place, uint64_t prepared_by,
                            uint64_t generation)
{
    struct snapshot *held = prepared_by ? holds_find(s->shard->holds, prepared_by) : NULL;
    if (held && held->view->generation == generation)
        reply_keep(s->out, snapshot_hold(held), place);
    else if (!fetch_newest(s->shard, place, s->out))
        return false;
    s->snapshot = s->out->snapshot;
    if (s->snapshot->view->generation == generation)
        return true;
    reply_moved(s->out);
    return false;
}

static uint64_t hold_until(const struct search *s)
{
    return s->deadline_us ? s->deadline_us + HOLD_SLACK_US : clock_us() + HOLD_DEFAULT_US;
}

bool search_keep(struct search *s, uint64_t holder)
{
    return !holds_add(s->shard->holds, holder, s->snapshot, hold_until(s)) || search_fail(s, ERR_FULL);
}

/* ----------------------------------------------------------------------------------------------------------- the query
 */

/* Words would be looked for that another analyzer never made. */
static bool check_analyzer(struct search *s)
{
    struct str own = str_of(analyzer_identity(s->rules->analyzer));
    for (size_t i = 0; i < s->snapshot->segment_count; i++) {
        struct str theirs = segment_analyzer(s->snapshot->segments[i].segment);
        if (str_equal(own, theirs))
            continue;
        reply_fail(s->out, CODE_SETTINGS_NEED_REINDEX,
                   "the index was built with analyzer '%.*s', this server has '%.*s'", (int)theirs.len, theirs.ptr,
                   (int)own.len, own.ptr);
        return false;
    }
    return true;
}

static bool find_match(struct search *s, const Mayfly__Internal__QueryText *text, enum query_match *out)
{
    static const enum query_match matches[] = {
        [MAYFLY__MATCH__LAST] = MATCH_LAST,
        [MAYFLY__MATCH__ALL] = MATCH_ALL,
        [MAYFLY__MATCH__FREQUENCY] = MATCH_FREQUENCY,
        [MAYFLY__MATCH__ANY] = MATCH_ANY,
    };
    if (text->match >= sizeof matches / sizeof *matches) {
        reply_fail(s->out, CODE_BAD_REQUEST, "there is no match %u", text->match);
        return false;
    }
    *out = matches[text->match];
    return true;
}

static bool parse_text(struct search *s, const Mayfly__Internal__QueryText *text)
{
    struct query_options options = {
        .no_prefix = text->no_prefix,
        .no_typos = text->no_typos,
        .plain_words = text->plain_words,
    };
    if (!find_match(s, text, &options.match))
        return false;
    int err = query_parse(s->out->arena, s->rules->analyzer, str_of(text->query), &options, &s->query);
    return !err || search_fail(s, err);
}

static bool take_words(struct search *s, const Mayfly__Internal__Execute *m)
{
    struct str *keys;
    struct query_known_words known = {.count = m->n_key_lengths, .last_is_prefix = m->last_is_prefix};
    ProtobufCBinaryData bytes = m->keys;
    const uint32_t *lengths = m->key_lengths;
    if (m->terms_are_keys) {
        known.count = m->n_term_lengths;
        bytes = m->terms;
        lengths = m->term_lengths;
    }
    enum query_match match;
    if (!find_match(s, m->text, &match))
        return false;
    int err = message_cut(s->out->arena, bytes, lengths, known.count, &keys);
    if (!err) {
        known.keys = keys;
        err = query_of_words(s->out->arena, &known, match, &s->query);
    }
    return !err || search_fail(s, err);
}

static bool begin(struct search *s)
{
    s->snapshot->asks = page_waits_ask(&s->shard->waits);
    return check_analyzer(s);
}

bool search_parse(struct search *s, const Mayfly__Internal__QueryText *text)
{
    return begin(s) && parse_text(s, text);
}

bool search_take_words(struct search *s, const Mayfly__Internal__Execute *m)
{
    return m->n_key_lengths || m->terms_are_keys ? begin(s) && take_words(s, m) : search_parse(s, m->text);
}
