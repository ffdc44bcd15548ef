#include "shard/search.h"

#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "index/query.h"
#include "index/score.h"
#include "proto/select.h"
#include "proto/weight.h"
#include "shard/fetch.h"
#include "shard/hold.h"
#include "shard/outbox.h"
#include "shard/rules.h"

enum {
    SLOW_POSTINGS = 100 * 1000,         /* some hundred microseconds: answers that are ready do not wait for it */
    HOLD_SLACK_US = 1000 * 1000,        /* beyond the deadline: what is on its way still finds its generation */
    HOLD_DEFAULT_US = 60 * 1000 * 1000, /* of a request without deadline */
};

/* A query of either round. Its answer keeps the snapshot. */
struct search {
    struct shard *shard;
    struct reply *out;
    struct snapshot *snapshot;
    const struct rules *rules;
    struct query *query;
    uint64_t deadline_us; /* on clock_us; 0: none */
};

/* Failures of what follows are answered where they are met: false means that the answer is complete. */

static bool fail(struct search *s, int err)
{
    reply_fail_query(s->out, err);
    return false;
}

static bool fail_at(struct search *s, int err, const struct query_fault *fault)
{
    if (err == ERR_FULL || err == ERR_TOO_LARGE)
        return fail(s, err);
    fetch_fail_damaged(s->out, s->snapshot, fault->segment, fault->part ? fault->part : "file", err);
    return false;
}

/* ------------------------------------------------------------------------------------------------------------- opening
 */

static bool set_deadline(struct search *s, const struct request *r, uint64_t remaining_us)
{
    if (remaining_us == 0)
        return true;
    s->deadline_us = r->arrived_us + remaining_us;
    if (clock_us() < s->deadline_us)
        return true;
    reply_fail(s->out, CODE_DEADLINE, "the deadline passed before the query could begin");
    return false;
}

static uint64_t hold_until(const struct search *s)
{
    return s->deadline_us ? s->deadline_us + HOLD_SLACK_US : clock_us() + HOLD_DEFAULT_US;
}

static enum fetch_rules find_rules(struct search *s, const Mayfly__Internal__QueryText *text)
{
    return fetch_find_rules(s->shard, text->place, text->settings_id, message_bytes(text->settings), s->out, &s->rules);
}

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

static bool parse(struct search *s, const Mayfly__Internal__QueryText *text)
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
    struct query_options options = {
        .match = matches[text->match],
        .no_prefix = text->no_prefix,
        .no_typos = text->no_typos,
        .plain_words = text->plain_words,
    };
    int err = query_parse(s->out->arena, s->rules->analyzer, str_of(text->query), &options, &s->query);
    return err ? fail(s, err) : true;
}

/* With the snapshot and the rules set. */
static bool open_query(struct search *s, const Mayfly__Internal__QueryText *text)
{
    s->snapshot->asks = page_waits_ask(&s->shard->waits);
    return check_analyzer(s) && parse(s, text);
}

static bool check_text(struct search *s, const Mayfly__Internal__QueryText *text)
{
    if (!text || !text->query)
        reply_fail(s->out, CODE_BAD_REQUEST, "there is no query in the request");
    return text && text->query;
}

/* ------------------------------------------------------------------------------------------------------------- round 1
 */

static bool prepare_words(struct search *s, struct query_word **out)
{
    struct query_fault fault = {0};
    struct query_word *words = arena_new_array(s->out->arena, query_words(s->query), struct query_word);
    if (!words)
        return fail(s, ERR_FULL);
    int err = query_prepare(s->out->arena, s->query, s->snapshot, words, &fault);
    if (err)
        return fail_at(s, err, &fault);
    *out = words;
    return true;
}

static Mayfly__Internal__Candidate **candidate_messages(struct arena *a, const struct query_word *word)
{
    Mayfly__Internal__Candidate **list = arena_array(a, word->candidate_count, sizeof *list);
    Mayfly__Internal__Candidate *messages = arena_array(a, word->candidate_count, sizeof *messages);
    if (!list || !messages)
        return NULL;
    for (size_t i = 0; i < word->candidate_count; i++) {
        mayfly__internal__candidate__init(&messages[i]);
        messages[i].term = message_data(word->candidates[i].key);
        messages[i].distance = word->candidates[i].distance;
        messages[i].edits = word->candidates[i].edits;
        messages[i].frequency = word->candidates[i].frequency;
        list[i] = &messages[i];
    }
    return list;
}

static Mayfly__Internal__Word *word_message(struct arena *a, const struct query_word *word)
{
    Mayfly__Internal__Word *m = arena_new(a, Mayfly__Internal__Word);
    if (!m)
        return NULL;
    mayfly__internal__word__init(m);
    m->count = word->count;
    m->n_candidates = word->candidate_count;
    m->candidates = candidate_messages(a, word);
    return m->candidates ? m : NULL;
}

static Mayfly__Internal__Prepared *prepared_message(struct search *s, const struct query_word *words)
{
    struct arena *a = s->out->arena;
    size_t count = query_words(s->query);
    Mayfly__Internal__Prepared *m = arena_new(a, Mayfly__Internal__Prepared);
    Mayfly__Internal__Word **list = arena_array(a, count, sizeof *list);
    if (!m || !list)
        return NULL;
    mayfly__internal__prepared__init(m);
    m->generation = s->snapshot->view->generation;
    m->documents = s->snapshot->view->documents;
    m->total_length = s->snapshot->view->total_length;
    m->words = list;
    for (; m->n_words < count; m->n_words++) {
        list[m->n_words] = word_message(a, &words[m->n_words]);
        if (!list[m->n_words])
            return NULL;
    }
    return m;
}

void search_prepare(struct shard *shard, const struct request *r, struct reply *out)
{
    const Mayfly__Internal__Prepare *m = r->envelope->prepare;
    struct search s = {.shard = shard, .out = out};
    struct query_word *words;
    if (!check_text(&s, m->text) || !set_deadline(&s, r, m->deadline_us) || find_rules(&s, m->text) ||
        !fetch_newest(shard, m->text->place, out))
        return;
    s.snapshot = out->snapshot;
    if (!open_query(&s, m->text) || !prepare_words(&s, &words))
        return;
    Mayfly__Internal__Prepared *answer = prepared_message(&s, words);
    int err = answer ? holds_add(shard->holds, r->id, s.snapshot, hold_until(&s)) : ERR_FULL;
    if (err)
        reply_fail_query(out, err);
    else
        reply_prepared(out, answer);
}

/* ------------------------------------------------------------------------------------------------------------- weights
 */

struct statistics {
    uint64_t documents, total_length;
    struct query_weights *weights; /* one per word */
};

/* As the coordinator sends them, from the candidates of all shards. */
static int given_weights(struct arena *a, const Mayfly__Internal__Weighted *m, struct query_weights *out)
{
    *out = (struct query_weights){.frequency = m->frequency, .term_count = m->n_terms};
    out->terms = arena_new_array(a, m->n_terms, struct query_term);
    if (!out->terms)
        return ERR_FULL;
    for (size_t i = 0; i < m->n_terms; i++)
        out->terms[i] = (struct query_term){message_bytes(m->terms[i]->term), m->terms[i]->weight};
    return 0;
}

static bool given_statistics(struct search *s, const Mayfly__Internal__Execute *m, struct statistics *out)
{
    *out = (struct statistics){.documents = m->documents, .total_length = m->total_length};
    out->weights = arena_new_array(s->out->arena, m->n_words, struct query_weights);
    if (m->n_words != query_words(s->query)) {
        reply_fail(s->out, CODE_INTERNAL, "the request weighs %zu words, the query has %zu", m->n_words,
                   query_words(s->query));
        return false;
    }
    int err = out->weights ? 0 : ERR_FULL;
    for (size_t i = 0; i < m->n_words && !err; i++)
        err = given_weights(s->out->arena, m->words[i], &out->weights[i]);
    return err ? fail(s, err) : true;
}

/* The only shard of an index weighs by what it counts itself. */
static int own_weights(struct arena *a, const struct query_word *word, uint64_t documents, struct query_weights *out)
{
    struct weighted_word weighted;
    struct candidate *candidates = arena_new_array(a, word->candidate_count, struct candidate);
    if (!candidates)
        return ERR_FULL;
    for (size_t i = 0; i < word->candidate_count; i++) {
        const struct query_candidate *c = &word->candidates[i];
        candidates[i] = (struct candidate){c->key, c->distance, c->edits, c->frequency};
    }
    int err = select_terms(a, candidates, word->candidate_count, word->count, documents, &weighted);
    if (err)
        return err;
    *out = (struct query_weights){.frequency = weighted.frequency, .term_count = weighted.count};
    out->terms = arena_new_array(a, weighted.count, struct query_term);
    for (size_t i = 0; i < weighted.count && out->terms; i++)
        out->terms[i] = (struct query_term){weighted.terms[i].term, weighted.terms[i].weight};
    return out->terms ? 0 : ERR_FULL;
}

static bool own_statistics(struct search *s, struct statistics *out)
{
    struct query_word *words;
    size_t count = query_words(s->query);
    if (!prepare_words(s, &words))
        return false;
    *out = (struct statistics){s->snapshot->view->documents, s->snapshot->view->total_length,
                               arena_new_array(s->out->arena, count, struct query_weights)};
    int err = out->weights ? 0 : ERR_FULL;
    for (size_t i = 0; i < count && !err; i++)
        err = own_weights(s->out->arena, &words[i], out->documents, &out->weights[i]);
    return err ? fail(s, err) : true;
}

/* ------------------------------------------------------------------------------------------------------------- round 2
 */

/* How much work it may be. */
static uint64_t postings_of(const struct search *s, const struct statistics *statistics)
{
    uint64_t postings = 0;
    for (size_t i = 0; i < query_words(s->query); i++)
        postings += statistics->weights[i].frequency;
    return postings;
}

static bool run(struct search *s, const struct statistics *statistics, const Mayfly__Internal__Execute *m,
                struct query_result *out)
{
    struct query_fault fault = {0};
    struct query_run run = {
        .weights = statistics->weights,
        .fields = s->rules->fields,
        .field_count = s->rules->field_count,
        .limit = m->limit,
        .deadline_us = s->deadline_us,
    };
    if (m->threshold_tag && s->shard->thresholds) {
        run.shared = &s->shard->thresholds[m->threshold_word % THRESHOLDS];
        run.shared_tag = m->threshold_tag;
    }
    if (postings_of(s, statistics) > SLOW_POSTINGS)
        outbox_flush(s->shard->outbox);
    weight_norms(run.norms, length_decoded, statistics->documents, statistics->total_length);
    int err = query_execute(s->out->arena, s->query, s->snapshot, &run, out, &fault);
    return err ? fail_at(s, err, &fault) : true;
}

static bool fill_hit(struct search *s, const struct query_hit *hit, Mayfly__Internal__Executed__Hit *m)
{
    struct str id;
    uint64_t hash;
    int err = segment_document_id(s->snapshot->segments[hit->segment].segment, hit->document, &id, &hash);
    if (err) {
        fetch_fail_damaged(s->out, s->snapshot, hit->segment, "ids", err);
        return false;
    }
    mayfly__internal__executed__hit__init(m);
    m->id = message_data(id);
    m->score = hit->score;
    m->dropped = hit->dropped;
    m->stamp = hit->stamp;
    m->segment = s->snapshot->view->segments[hit->segment].id;
    m->document = hit->document;
    return true;
}

/* For what the answer will read of the hits. */
static void ask_for_hits(struct search *s, const struct query_result *result, bool with_bodies)
{
    struct page_ranges r;
    struct needed_document *needed = arena_new_array(s->out->arena, result->hit_count, struct needed_document);
    page_ranges_init(&r);
    for (size_t i = 0; needed && i < result->hit_count; i++) {
        const struct query_hit *hit = &result->hits[i];
        needed[i] = (struct needed_document){s->snapshot->segments[hit->segment].segment, hit->document};
    }
    if (needed)
        will_need_documents(needed, result->hit_count, with_bodies, &r);
    page_ranges_ask(&r);
}

static bool fill_hits(struct search *s, const struct query_result *result, Mayfly__Internal__Executed *m)
{
    struct arena *a = s->out->arena;
    Mayfly__Internal__Executed__Hit *hits = arena_array(a, result->hit_count, sizeof *hits);
    m->hits = arena_array(a, result->hit_count, sizeof *m->hits);
    if (!hits || !m->hits)
        return fail(s, ERR_FULL);
    for (; m->n_hits < result->hit_count; m->n_hits++) {
        if (!fill_hit(s, &result->hits[m->n_hits], &hits[m->n_hits]))
            return false;
        m->hits[m->n_hits] = &hits[m->n_hits];
    }
    return true;
}

static bool add_documents(struct search *s, const Mayfly__Internal__Execute *m, const struct query_result *result,
                          Mayfly__Internal__Executed *answer)
{
    struct wanted_fields wanted;
    if (wanted_fields_of(s->out->arena, m->fields, m->n_fields, s->rules, &wanted))
        return fail(s, ERR_FULL);
    for (size_t i = m->skip_documents; i < result->hit_count; i++) {
        const struct query_hit *hit = &result->hits[i];
        if (!fetch_into(s->shard, s->snapshot, hit->segment, hit->document, &wanted, s->out,
                        &answer->hits[i]->document_length))
            return false;
    }
    return true;
}

static bool executed_message(struct search *s, const Mayfly__Internal__Execute *m, const struct query_result *result,
                             Mayfly__Internal__Executed **out)
{
    Mayfly__Internal__Executed *answer = arena_new(s->out->arena, Mayfly__Internal__Executed);
    if (!answer)
        return fail(s, ERR_FULL);
    mayfly__internal__executed__init(answer);
    answer->estimated_total = result->estimated_total;
    answer->partial = result->partial;
    if (s->snapshot->asks)
        ask_for_hits(s, result, m->with_documents);
    if (!fill_hits(s, result, answer))
        return false;
    if (m->with_documents && !add_documents(s, m, result, answer))
        return false;
    *out = answer;
    return true;
}

/* The generation that round 1 named, this one's or one that the coordinator remembers: held, or still the newest. The
 * answer is Moved if this reader has it not. */
static bool find_generation(struct search *s, const Mayfly__Internal__Execute *m)
{
    struct snapshot *held = m->own_statistics || !m->prepared_by ? NULL : holds_find(s->shard->holds, m->prepared_by);
    if (held && held->view->generation == m->generation)
        reply_keep(s->out, snapshot_hold(held));
    else if (!fetch_newest(s->shard, m->text->place, s->out))
        return false;
    s->snapshot = s->out->snapshot;
    if (m->own_statistics || s->snapshot->view->generation == m->generation)
        return true;
    reply_moved(s->out);
    return false;
}

static bool execute(struct search *s, const Mayfly__Internal__Execute *m, Mayfly__Internal__Executed **out)
{
    struct statistics statistics;
    struct query_result result;
    if (!find_generation(s, m) || !open_query(s, m->text))
        return false;
    if (!(m->own_statistics ? own_statistics(s, &statistics) : given_statistics(s, m, &statistics)))
        return false;
    return run(s, &statistics, m, &result) && executed_message(s, m, &result, out);
}

void search_execute(struct shard *shard, const struct request *r, struct reply *out)
{
    const Mayfly__Internal__Execute *m = r->envelope->execute;
    struct search s = {.shard = shard, .out = out};
    Mayfly__Internal__Executed *answer;
    if (!check_text(&s, m->text))
        return;
    /* Read before anything may fail: then the message is gone. */
    uint64_t holder = m->prepared_by ? m->prepared_by : r->id, deadline_us = m->deadline_us;
    bool keep = m->fetch_follows;
    enum fetch_rules rules = find_rules(&s, m->text);
    if (rules == FETCH_RULES_WANTED)
        return; /* it comes again: what is held stays */
    bool done = rules == FETCH_RULES_FOUND && set_deadline(&s, r, deadline_us) && execute(&s, m, &answer);
    if (done && keep && holds_add(shard->holds, holder, s.snapshot, hold_until(&s)))
        done = fail(&s, ERR_FULL);
    if (!done || !keep)
        holds_drop(shard->holds, holder);
    if (done)
        reply_executed(out, answer);
}
