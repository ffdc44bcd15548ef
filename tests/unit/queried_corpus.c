#include "queried_corpus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "index/query_tree.h"
#include "index/score.h"
#include "index/will_need.h"
#include "obvious_query.h"
#include "proto/select.h"
#include "proto/weight.h"

void queried_open(struct queried *q, uint64_t seed, size_t documents, size_t segments, uint32_t deleted_one_in)
{
    memset(q, 0, sizeof *q);
    corpus_make(&q->corpus, seed, documents, segments, deleted_one_in);
    assert_int_equal(arena_init(&q->arena, 64 << 20, 0), 0);
    assert_int_equal(arena_init(&q->analyzer.words, 1 << 20, 0), 0);
    for (size_t i = 0; i < q->corpus.document_count; i++) {
        const struct corpus_document *d = &q->corpus.documents[i];
        q->documents += !d->deleted;
        q->total_length += d->deleted ? 0 : length_decoded[d->length_code];
    }
    assert_int_equal(q->corpus.snapshot->view->documents, q->documents);
    assert_int_equal(q->corpus.snapshot->view->total_length, q->total_length);
    weight_norms(q->norms, length_decoded, q->documents, q->total_length);
}

void queried_close(struct queried *q)
{
    arena_finish(&q->arena);
    arena_finish(&q->analyzer.words);
    corpus_remove(&q->corpus);
}

/* ---------------------------------------------------------------------------------------------- statistics, weights */

/* Live documents with a term, and the terms that a prefix stands for: by the tokens alone. */
static uint64_t live_frequency(const struct queried *q, struct str key)
{
    uint64_t frequency = 0;
    for (size_t i = 0; i < q->corpus.document_count; i++)
        frequency += !q->corpus.documents[i].deleted && obvious_t(&q->corpus.documents[i], key, (struct str){0}) > 0;
    return frequency;
}

static void expect_candidate(const struct queried *q, const struct query_word *w, struct str key, uint32_t distance)
{
    for (size_t i = 0; i < w->candidate_count; i++) {
        const struct query_candidate *c = &w->candidates[i];
        if (!str_equal(c->key, key))
            continue;
        assert_int_equal(c->distance, distance);
        assert_int_equal(c->frequency, live_frequency(q, key));
        return;
    }
    fail_msg("%.*s is no candidate", (int)key.len, key.ptr);
}

struct seen {
    char keys[CORPUS_WORDS * 4][24];
    size_t count;
};

/* 1 if the prefix stands for that term and it was not seen before: then it is a candidate. */
static size_t expect_term(const struct queried *q, const struct tree_word *word, const struct query_word *w,
                          enum term_kind kind, const char *text, struct seen *seen)
{
    char key[24];
    snprintf(key, sizeof key, "%c%s", (char)kind, text);
    bool begins = strncmp(text, word->folded.ptr, word->folded.len) == 0;
    bool typed = str_equal(str_of(key), word->key) || (kind == TERM_WORD && str_equal(str_of(text), word->folded));
    for (size_t i = 0; i < seen->count; i++) {
        if (strcmp(seen->keys[i], key) == 0)
            return 0;
    }
    if (!begins || typed)
        return 0;
    snprintf(seen->keys[seen->count++], sizeof seen->keys[0], "%s", key);
    expect_candidate(q, w, str_of(key), 1);
    return 1;
}

static void check_candidates(const struct queried *q, const struct tree_word *word, const struct query_word *w)
{
    size_t wanted = 0;
    if (live_frequency(q, word->key) > 0) {
        expect_candidate(q, w, word->key, 0);
        wanted++;
    }
    struct seen seen = {.count = 0};
    for (size_t i = 0; word->prefix && i < q->corpus.document_count; i++) {
        const struct corpus_document *d = &q->corpus.documents[i];
        for (size_t k = 0; k < d->token_count && !d->deleted; k++) {
            const struct corpus_token *t = &d->tokens[k];
            wanted += expect_term(q, word, w, TERM_STEM, t->stem, &seen);
            if (strcmp(t->stem, t->folded) != 0)
                wanted += expect_term(q, word, w, TERM_WORD, t->folded, &seen);
        }
    }
    assert_int_equal(w->candidate_count, wanted);
}

static void weigh(struct queried *q)
{
    size_t count = query_words(q->query);
    struct query_word *words = arena_new_array(&q->arena, count, struct query_word);
    struct query_fault fault;
    q->weights = arena_new_array(&q->arena, count, struct query_weights);
    assert_int_equal(query_prepare_alone(&q->arena, q->query, q->corpus.snapshot, words, &fault), 0);
    for (size_t i = 0; i < count; i++) {
        check_candidates(q, &q->query->words[i], &words[i]);
        struct candidate *candidates = arena_new_array(&q->arena, words[i].candidate_count, struct candidate);
        for (size_t k = 0; k < words[i].candidate_count; k++) {
            const struct query_candidate *c = &words[i].candidates[k];
            candidates[k] = (struct candidate){c->key, c->distance, c->edits, c->frequency};
        }
        struct weighted_word weighted;
        assert_int_equal(
            select_terms(&q->arena, candidates, words[i].candidate_count, words[i].count, q->documents, &weighted), 0);
        struct query_term *terms = arena_new_array(&q->arena, weighted.count, struct query_term);
        for (size_t k = 0; k < weighted.count; k++)
            terms[k] = (struct query_term){weighted.terms[k].term, weighted.terms[k].weight};
        q->weights[i] = (struct query_weights){terms, weighted.count, weighted.frequency};
    }
}

void queried_parse(struct queried *q, const char *text, enum query_match match)
{
    struct query_options options = {.match = match};
    assert_int_equal(query_parse(&q->arena, &q->analyzer, str_of(text), &options, &q->query), 0);
    weigh(q);
}

void queried_next(struct queried *q)
{
    arena_reset(&q->arena, 0);
}

struct query_result queried_execute(struct queried *q, uint32_t limit, bool exhaustive)
{
    static const struct query_field fields[] = {{{"title", 5}, 3}};
    struct query_result result;
    struct query_fault fault;
    struct query_run run = {.weights = q->weights, .norms = q->norms, .fields = fields, .field_count = 1, .limit = limit,
                            .exhaustive = exhaustive};
    /* The same answer, whether what is needed is asked for or not. */
    q->corpus.snapshot->asks = exhaustive ? ASKS_NOTHING : ASKS_ALL;
    assert_int_equal(query_execute(&q->arena, q->query, q->corpus.snapshot, &run, &result, &fault), 0);
    assert_false(result.partial);
    return result;
}
