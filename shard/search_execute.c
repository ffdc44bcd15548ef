/* Round 2: the hits, by the weights that the coordinator made of what all shards counted; the only shard of an index makes
 * them itself. */
#include "shard/search.h"

#include <string.h>

#include "common/err.h"
#include "index/score.h"
#include "proto/hit_numbers.h"
#include "proto/select.h"
#include "proto/weight.h"
#include "shard/hold.h"
#include "shard/outbox.h"
#include "shard/search_round.h"

enum { SLOW_POSTINGS = 100 * 1000 }; /* some hundred microseconds: answers that are ready do not wait for it */

/* ------------------------------------------------------------------------------------------------------------- weights
 */

struct statistics {
    uint64_t documents, total_length;
    struct query_weights *weights; /* one per word */
};

static int given_terms(struct arena *a, const Mayfly__Internal__Execute *m, struct query_term **out)
{
    struct str *keys;
    struct query_term *terms = arena_new_array(a, m->n_term_lengths, struct query_term);
    int err = terms ? message_cut(a, m->terms, m->term_lengths, m->n_term_lengths, &keys) : ERR_FULL;
    for (size_t i = 0; i < m->n_term_lengths && !err; i++)
        terms[i] = (struct query_term){keys[i], m->term_weights[i]};
    *out = terms;
    return err;
}

/* Every word has a term, and every term a weight, or there are as many of each as there are said to be. */
static bool columns_fit(const Mayfly__Internal__Execute *m)
{
    size_t words = m->terms_are_keys ? m->n_term_lengths : m->n_word_terms;
    return m->n_word_frequencies == words && m->n_term_weights == m->n_term_lengths;
}

/* As the coordinator sends them, from the candidates of all shards. */
static int given_weights(struct arena *a, const Mayfly__Internal__Execute *m, struct query_weights **out)
{
    size_t left = m->n_term_lengths;
    struct query_term *terms = NULL;
    struct query_weights *weights = arena_new_array(a, m->n_word_frequencies, struct query_weights);
    int err = weights ? 0 : ERR_FULL;
    if (!columns_fit(m))
        return ERR_CORRUPT;
    if (!err)
        err = given_terms(a, m, &terms);
    for (size_t i = 0; i < m->n_word_frequencies && !err; i++) {
        size_t count = m->terms_are_keys ? 1 : m->word_terms[i];
        if (count > left)
            return ERR_CORRUPT;
        weights[i] = (struct query_weights){.terms = terms, .term_count = count, .frequency = m->word_frequencies[i]};
        terms += count;
        left -= count;
    }
    *out = weights;
    return err ? err : left ? ERR_CORRUPT : 0;
}

static bool given_statistics(struct search *s, const Mayfly__Internal__Execute *m, struct statistics *out)
{
    *out = (struct statistics){.documents = m->documents, .total_length = m->total_length};
    if (m->n_word_frequencies != query_words(s->query)) {
        reply_fail(s->out, CODE_INTERNAL, "the request weighs %zu words, the query has %zu", m->n_word_frequencies,
                   query_words(s->query));
        return false;
    }
    int err = given_weights(s->out->arena, m, &out->weights);
    return err ? search_fail(s, err) : true;
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
    struct query_fault fault = {0};
    size_t count = query_words(s->query);
    struct query_word *words = arena_new_array(s->out->arena, count, struct query_word);
    if (!words)
        return search_fail(s, ERR_FULL);
    int err = query_prepare_alone(s->out->arena, s->query, s->snapshot, words, &fault);
    if (err)
        return search_fail_at(s, err, &fault);
    *out = (struct statistics){s->snapshot->view->documents, s->snapshot->view->total_length,
                               arena_new_array(s->out->arena, count, struct query_weights)};
    err = out->weights ? 0 : ERR_FULL;
    for (size_t i = 0; i < count && !err; i++)
        err = own_weights(s->out->arena, &words[i], out->documents, &out->weights[i]);
    return err ? search_fail(s, err) : true;
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
        .norms = weight_norms_kept(&s->shard->norms, length_decoded, statistics->documents, statistics->total_length),
        .fields = s->rules->fields,
        .field_count = s->rules->field_count,
        .limit = m->limit,
        .deadline_us = s->deadline_us,
    };
    if (m->threshold_tag && s->shard->thresholds) {
        run.shared = threshold_of(s->shard->thresholds, m->threshold_tag);
        run.shared_tag = m->threshold_tag;
    }
    if (postings_of(s, statistics) > SLOW_POSTINGS)
        outbox_flush(s->shard->outbox);
    int err = query_execute(s->out->arena, s->query, s->snapshot, &run, out, &fault);
    return err ? search_fail_at(s, err, &fault) : true;
}

static bool find_id(struct search *s, const struct query_hit *hit, struct str *out)
{
    int err = segment_document_id(s->snapshot->segments[hit->segment].segment, hit->document, out, NULL);
    if (err)
        fetch_fail_damaged(s->out, s->snapshot, hit->segment, "ids", err);
    return !err;
}

/* Hits lie anywhere in the index. */
static void expect_ids(const struct search *s, const struct query_result *result)
{
    const struct snapshot_segment *segments = s->snapshot->segments;
    for (size_t i = 0; i < result->hit_count; i++)
        segment_ask_for_id_place(segments[result->hits[i].segment].segment, result->hits[i].document);
    for (size_t i = 0; i < result->hit_count; i++)
        segment_ask_for_id(segments[result->hits[i].segment].segment, result->hits[i].document);
}

static bool find_ids(struct search *s, const struct query_result *result, struct str *out, size_t *out_size)
{
    expect_ids(s, result);
    for (size_t i = 0; i < result->hit_count; i++) {
        if (!find_id(s, &result->hits[i], &out[i]))
            return false;
        *out_size += out[i].len + 1;
    }
    return true;
}

/* With a zero behind each. */
static void append_ids(const struct str *ids, size_t count, char *to)
{
    for (size_t i = 0; i < count; to += ids[i++].len) {
        memcpy(to, ids[i].ptr, ids[i].len);
        to[ids[i].len] = '\0';
        to++;
    }
}

static void fill_numbers(const struct search *s, const struct query_hit *hit, size_t id_length, uint64_t *out)
{
    out[HIT_SCORE] = hit->score;
    out[HIT_STAMP] = hit->stamp;
    out[HIT_SEGMENT] = s->snapshot->view->segments[hit->segment].id;
    out[HIT_DOCUMENT] = hit_two(hit->document, hit->dropped);
    out[HIT_LENGTHS] = hit_two((uint32_t)id_length, 0);
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
    size_t count = result->hit_count, size = 0;
    struct str *ids = arena_new_array(s->out->arena, count, struct str);
    m->hits = arena_array(s->out->arena, count * HIT_NUMBERS, sizeof *m->hits);
    if (!ids || !m->hits)
        return search_fail(s, ERR_FULL);
    if (!find_ids(s, result, ids, &size))
        return false;
    char *bytes = arena_alloc_unset(s->out->arena, size);
    if (!bytes)
        return search_fail(s, ERR_FULL);
    append_ids(ids, count, bytes);
    m->ids = message_data((struct str){bytes, size});
    for (size_t i = 0; i < count; i++)
        fill_numbers(s, &result->hits[i], ids[i].len, &m->hits[i * HIT_NUMBERS]);
    m->n_hits = count * HIT_NUMBERS;
    return true;
}

static bool add_documents(struct search *s, const Mayfly__Internal__Execute *m, const struct query_result *result,
                          Mayfly__Internal__Executed *answer)
{
    struct wanted_fields wanted;
    if (wanted_fields_of(s->out->arena, m->fields, m->n_fields, s->rules, &wanted))
        return search_fail(s, ERR_FULL);
    for (size_t i = m->skip_documents; i < result->hit_count; i++) {
        const struct query_hit *hit = &result->hits[i];
        uint64_t *lengths = &answer->hits[i * HIT_NUMBERS + HIT_LENGTHS];
        uint32_t length;
        if (!fetch_into(s->shard, s->snapshot, hit->segment, hit->document, &wanted, s->out, &length))
            return false;
        *lengths = hit_two(hit_low(*lengths), length);
    }
    return true;
}

static bool executed_message(struct search *s, const Mayfly__Internal__Execute *m, const struct query_result *result,
                             Mayfly__Internal__Executed **out)
{
    Mayfly__Internal__Executed *answer = arena_new(s->out->arena, Mayfly__Internal__Executed);
    if (!answer)
        return search_fail(s, ERR_FULL);
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

static bool execute(struct search *s, const Mayfly__Internal__Execute *m, Mayfly__Internal__Executed **out)
{
    struct statistics statistics = {0};
    struct query_result result;
    const Mayfly__Internal__Place *place = m->text->place;
    bool found = m->own_statistics ? search_find_newest(s, place)
                                   : search_find_generation(s, place, m->prepared_by, m->generation);
    if (!found || !search_take_words(s, m))
        return false;
    if (!(m->own_statistics ? own_statistics(s, &statistics) : given_statistics(s, m, &statistics)))
        return false;
    return run(s, &statistics, m, &result) && executed_message(s, m, &result, out);
}

void search_execute(struct shard *shard, const struct request *r, struct reply *out)
{
    const Mayfly__Internal__Execute *m = r->envelope->execute;
    struct search s = {.shard = shard, .out = out};
    Mayfly__Internal__Executed *answer = NULL;
    if (!search_check_text(&s, m->text))
        return;
    /* Read before anything may fail: then the message is gone. */
    uint64_t holder = m->prepared_by ? m->prepared_by : r->id, deadline_us = m->deadline_us;
    bool keep = m->fetch_follows;
    enum fetch_rules rules = search_find_rules(&s, m->text);
    if (rules == FETCH_RULES_WANTED)
        return; /* it comes again: what is held stays */
    bool done = rules == FETCH_RULES_FOUND && search_set_deadline(&s, r, deadline_us) && execute(&s, m, &answer);
    done = done && (!keep || search_keep(&s, holder));
    if (!done || !keep)
        holds_drop(shard->holds, holder);
    if (done)
        reply_executed(out, answer);
}
