#include "index/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/err.h"
#include "index/query_tree.h"
#include "index/score.h"
#include "plain_analyzer.h"
#include "proto/select.h"
#include "proto/weight.h"
#include "index/will_need.h"
#include "query_corpus.h"

/* Every query is run twice: by query_execute over segments, and by looking at every token of every document. Parsing is
 * taken as given: query_parse_test has its tables. */

struct fixture {
    struct corpus corpus;
    struct analyzer analyzer;
    struct arena arena;
    struct query *query;
    struct query_weights *weights;
    float norms[256];
    uint64_t documents, total_length; /* live */
};

/* ------------------------------------------------------------------------------------------------ the obvious
 * evaluation */

static bool token_is(const struct corpus_token *t, struct str key)
{
    const char *text = key.ptr[0] == TERM_WORD ? t->folded : t->stem;
    return str_equal(str_of(text), (struct str){key.ptr + 1, key.len - 1});
}

/* T of a term in a document, in one field if that is not empty; of a word it is 1. */
static uint32_t t_of(const struct corpus_document *d, struct str key, struct str field)
{
    uint32_t t = 0;
    for (size_t i = 0; i < d->token_count; i++) {
        const struct corpus_token *token = &d->tokens[i];
        bool there = field.len == 0 || str_equal(field, str_of(corpus_fields[token->field]));
        if (there && token_is(token, key))
            t += corpus_weights[token->field];
    }
    return t > 0 && key.ptr[0] == TERM_WORD ? 1 : t;
}

static bool phrase_begins_at(const struct corpus_document *d, const struct tree_leaf *leaf, size_t token)
{
    struct str field = str_of(corpus_fields[d->tokens[token].field]);
    if (leaf->field.len > 0 && !str_equal(leaf->field, field))
        return false;
    for (size_t k = 0; k < leaf->element_count; k++) {
        bool stands = false;
        for (size_t i = 0; i < d->token_count; i++)
            stands |= d->tokens[i].at == d->tokens[token].at + leaf->elements[k].offset &&
                      token_is(&d->tokens[i], leaf->elements[k].key);
        if (!stands)
            return false;
    }
    return true;
}

static bool has_leaf(const struct fixture *f, const struct corpus_document *d, const struct tree_leaf *leaf)
{
    if (leaf->element_count > 1 || leaf->field.len > 0) {
        for (size_t i = 0; i < d->token_count; i++) {
            if (phrase_begins_at(d, leaf, i))
                return true;
        }
        return false;
    }
    if (!leaf->scored)
        return t_of(d, leaf->elements[0].key, leaf->field) > 0;
    const struct query_weights *w = &f->weights[leaf->elements[0].word];
    for (size_t i = 0; i < w->term_count; i++) {
        if (t_of(d, w->terms[i].key, leaf->field) > 0)
            return true;
    }
    return false;
}

static bool has_node(const struct fixture *f, const struct corpus_document *d, const struct tree_node *n)
{
    if (n->kind == NODE_LEAF)
        return has_leaf(f, d, &f->query->leaves[n->leaf]);
    if (n->kind == NODE_NOT)
        return !has_node(f, d, n->first);
    for (const struct tree_node *child = n->first; child; child = child->next) {
        if (has_node(f, d, child) == (n->kind == NODE_OR))
            return n->kind == NODE_OR;
    }
    return n->kind == NODE_AND;
}

/* Each word once: elements of a phrase may share one. */
static uint64_t score_leaf(const struct fixture *f, const struct corpus_document *d, const struct tree_leaf *leaf)
{
    uint64_t sum = 0;
    float norm = f->norms[d->length_code];
    for (size_t k = 0; k < leaf->element_count; k++) {
        bool counted = false;
        for (size_t i = 0; i < k; i++)
            counted |= leaf->elements[i].word == leaf->elements[k].word;
        int32_t largest = 0;
        const struct query_weights *w = &f->weights[leaf->elements[k].word];
        for (size_t i = 0; i < w->term_count && !counted; i++) {
            uint32_t t = t_of(d, w->terms[i].key, leaf->field);
            int32_t contribution = t > 0 ? score_contribution(w->terms[i].weight, t, norm) : 0;
            largest = contribution > largest ? contribution : largest;
        }
        sum += (uint64_t)largest;
    }
    return sum;
}

static uint64_t score_document(const struct fixture *f, const struct corpus_document *d)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < f->query->leaf_count; i++) {
        const struct tree_leaf *leaf = &f->query->leaves[i];
        if (leaf->scored && has_leaf(f, d, leaf))
            sum += score_leaf(f, d, leaf);
    }
    return sum;
}

/* The words that may be dropped, each once, in the order in which they are kept. */
static size_t droppable(const struct fixture *f, uint32_t *leaves)
{
    size_t count = 0;
    for (size_t i = 0; i < f->query->item_count; i++) {
        const struct tree_item *item = &f->query->items[i];
        bool known = item->role != ITEM_DROPPABLE;
        for (size_t k = 0; k < count && !known; k++)
            known = leaves[k] == item->node->leaf;
        if (!known)
            leaves[count++] = item->node->leaf;
    }
    if (f->query->match != MATCH_FREQUENCY)
        return count;
    for (size_t round = 0; round < count; round++) {
        for (size_t i = 1; i < count; i++) {
            uint64_t before = f->weights[f->query->leaves[leaves[i - 1]].elements[0].word].frequency;
            uint64_t after = f->weights[f->query->leaves[leaves[i]].elements[0].word].frequency;
            if (before > after) {
                uint32_t leaf = leaves[i];
                leaves[i] = leaves[i - 1];
                leaves[i - 1] = leaf;
            }
        }
    }
    return count;
}

static bool matches_any(const struct fixture *f, const struct corpus_document *d)
{
    bool any = f->query->everything;
    for (size_t i = 0; i < f->query->item_count; i++) {
        const struct tree_item *item = &f->query->items[i];
        if (item->role == ITEM_EXCLUDED && has_node(f, d, item->node))
            return false;
        any |= item->role != ITEM_EXCLUDED && has_node(f, d, item->node);
    }
    return any;
}

/* Whether it matches, and with how many words dropped. */
static bool matches(const struct fixture *f, const struct corpus_document *d, uint32_t *out_dropped)
{
    *out_dropped = 0;
    if (f->query->match == MATCH_ANY && !f->query->everything)
        return matches_any(f, d);
    bool required = false;
    for (size_t i = 0; i < f->query->item_count; i++) {
        const struct tree_item *item = &f->query->items[i];
        required |= item->role == ITEM_REQUIRED;
        if (item->role != ITEM_DROPPABLE && has_node(f, d, item->node) != (item->role == ITEM_REQUIRED))
            return false;
    }
    uint32_t leaves[QUERY_MAX_WORDS];
    size_t count = droppable(f, leaves), kept = 0;
    while (kept < count && has_leaf(f, d, &f->query->leaves[leaves[kept]]))
        kept++;
    *out_dropped = (uint32_t)(count - kept);
    if (f->query->match == MATCH_ALL)
        return kept == count;
    return required || kept > 0 || (count == 0 && f->query->everything);
}

static int compare_hits(const void *left, const void *right)
{
    const struct query_hit *a = left, *b = right;
    if (a->dropped != b->dropped)
        return a->dropped < b->dropped ? -1 : 1;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return a->stamp < b->stamp ? -1 : 1;
}

static size_t obvious_hits(const struct fixture *f, struct query_hit *hits)
{
    size_t count = 0;
    for (size_t i = 0; i < f->corpus.document_count; i++) {
        const struct corpus_document *d = &f->corpus.documents[i];
        uint32_t dropped;
        if (d->deleted || !matches(f, d, &dropped))
            continue;
        hits[count++] = (struct query_hit){dropped, score_document(f, d), d->stamp, d->segment, d->number};
    }
    qsort(hits, count, sizeof *hits, compare_hits);
    return count;
}

/* ---------------------------------------------------------------------------------------------------- statistics,
 * weights */

/* Live documents with a term, and the terms that a prefix stands for: by the tokens alone. */
static uint64_t live_frequency(const struct fixture *f, struct str key)
{
    uint64_t frequency = 0;
    for (size_t i = 0; i < f->corpus.document_count; i++)
        frequency += !f->corpus.documents[i].deleted && t_of(&f->corpus.documents[i], key, (struct str){0}) > 0;
    return frequency;
}

static void expect_candidate(const struct fixture *f, const struct query_word *w, struct str key, uint32_t distance)
{
    for (size_t i = 0; i < w->candidate_count; i++) {
        const struct query_candidate *c = &w->candidates[i];
        if (!str_equal(c->key, key))
            continue;
        assert_int_equal(c->distance, distance);
        assert_int_equal(c->frequency, live_frequency(f, key));
        return;
    }
    fail_msg("%.*s is no candidate", (int)key.len, key.ptr);
}

struct seen {
    char keys[CORPUS_WORDS * 4][24];
    size_t count;
};

/* 1 if the prefix stands for that term and it was not seen before: then it is a candidate. */
static size_t expect_term(const struct fixture *f, const struct tree_word *word, const struct query_word *w,
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
    expect_candidate(f, w, str_of(key), 1);
    return 1;
}

static void check_candidates(const struct fixture *f, const struct tree_word *word, const struct query_word *w)
{
    size_t wanted = 0;
    if (live_frequency(f, word->key) > 0) {
        expect_candidate(f, w, word->key, 0);
        wanted++;
    }
    struct seen seen = {.count = 0};
    for (size_t i = 0; word->prefix && i < f->corpus.document_count; i++) {
        const struct corpus_document *d = &f->corpus.documents[i];
        for (size_t k = 0; k < d->token_count && !d->deleted; k++) {
            const struct corpus_token *t = &d->tokens[k];
            wanted += expect_term(f, word, w, TERM_STEM, t->stem, &seen);
            if (strcmp(t->stem, t->folded) != 0)
                wanted += expect_term(f, word, w, TERM_WORD, t->folded, &seen);
        }
    }
    assert_int_equal(w->candidate_count, wanted);
}

static void weigh(struct fixture *f)
{
    size_t count = query_words(f->query);
    struct query_word *words = arena_new_array(&f->arena, count, struct query_word);
    struct query_fault fault;
    f->weights = arena_new_array(&f->arena, count, struct query_weights);
    assert_int_equal(query_prepare_alone(&f->arena, f->query, f->corpus.snapshot, words, &fault), 0);
    for (size_t i = 0; i < count; i++) {
        check_candidates(f, &f->query->words[i], &words[i]);
        struct candidate *candidates = arena_new_array(&f->arena, words[i].candidate_count, struct candidate);
        for (size_t k = 0; k < words[i].candidate_count; k++) {
            const struct query_candidate *c = &words[i].candidates[k];
            candidates[k] = (struct candidate){c->key, c->distance, c->edits, c->frequency};
        }
        struct weighted_word weighted;
        assert_int_equal(
            select_terms(&f->arena, candidates, words[i].candidate_count, words[i].count, f->documents, &weighted), 0);
        struct query_term *terms = arena_new_array(&f->arena, weighted.count, struct query_term);
        for (size_t k = 0; k < weighted.count; k++)
            terms[k] = (struct query_term){weighted.terms[k].term, weighted.terms[k].weight};
        f->weights[i] = (struct query_weights){terms, weighted.count, weighted.frequency};
    }
}

/* -------------------------------------------------------------------------------------------------------------
 * comparing */

static struct query_result execute(struct fixture *f, uint32_t limit, bool exhaustive)
{
    static const struct query_field fields[] = {{{"title", 5}, 3}};
    struct query_result result;
    struct query_fault fault;
    struct query_run run = {.weights = f->weights, .norms = f->norms, .fields = fields, .field_count = 1, .limit = limit,
                            .exhaustive = exhaustive};
    f->corpus.snapshot->asks = exhaustive ? ASKS_NOTHING : ASKS_ALL; /* the same answer, whether what is needed is asked for or not */
    assert_int_equal(query_execute(&f->arena, f->query, f->corpus.snapshot, &run, &result, &fault), 0);
    assert_false(result.partial);
    return result;
}

static void compare_hits_of(const struct query_result *result, const char *text, const struct query_hit *wanted,
                            size_t shown)
{
    if (result->hit_count != shown)
        fail_msg("%s: %zu hits, wanted %zu", text, result->hit_count, shown);
    for (size_t i = 0; i < shown; i++) {
        const struct query_hit *a = &result->hits[i], *b = &wanted[i];
        if (a->stamp != b->stamp || a->score != b->score || a->dropped != b->dropped || a->segment != b->segment ||
            a->document != b->document)
            fail_msg("%s: hit %zu of %zu is %lu (score %lu, dropped %u), wanted %lu (score %lu, dropped %u)", text, i,
                     shown, a->stamp, a->score, a->dropped, b->stamp, b->score, b->dropped);
    }
}

/* The total is exact where everything that matches was looked at: by order, or since there was room for more hits. */
static void compare(struct fixture *f, const char *text, uint32_t limit, const struct query_hit *wanted, size_t count)
{
    size_t shown = count < limit ? count : limit;
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += shown > 0 && (shown < limit || wanted[i].dropped <= wanted[shown - 1].dropped);
    struct query_result all = execute(f, limit, true), pruned = execute(f, limit, false);
    compare_hits_of(&all, text, wanted, shown);
    compare_hits_of(&pruned, text, wanted, shown);
    assert_int_equal(all.estimated_total, total);
    if (count < limit)
        assert_int_equal(pruned.estimated_total, total);
    assert_true(pruned.estimated_total >= shown && pruned.estimated_total <= f->documents);
}

/* Without hits only those count that have the fewest words dropped. */
static void compare_count(struct fixture *f, const struct query_hit *wanted, size_t count)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += wanted[i].dropped == 0;
    assert_int_equal(execute(f, 0, true).estimated_total, total);
    assert_int_equal(execute(f, 0, false).estimated_total, total);
}

static void check_query(struct fixture *f, const char *text, enum query_match match)
{
    static const uint32_t limits[] = {1, 3, 20, CORPUS_MAX_DOCUMENTS};
    struct query_hit *wanted = calloc(f->corpus.document_count, sizeof *wanted);
    struct query_options options = {.match = match};
    assert_non_null(wanted);
    assert_int_equal(query_parse(&f->arena, &f->analyzer, str_of(text), &options, &f->query), 0);
    weigh(f);
    size_t count = obvious_hits(f, wanted);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        compare(f, text, limits[i], wanted, count);
    compare_count(f, wanted, count);
    free(wanted);
    arena_reset(&f->arena, 0);
}

/* ---------------------------------------------------------------------------------------------------------------
 * queries */

static void add_phrase(struct corpus *c, char *text, size_t size)
{
    const struct corpus_document *d = &c->documents[corpus_random(c, (uint32_t)c->document_count)];
    size_t used = (size_t)snprintf(text, size, "\"");
    size_t from = d->token_count > 3 ? corpus_random(c, (uint32_t)d->token_count - 3) : 0;
    size_t count = 1 + corpus_random(c, 3);
    for (size_t i = from; i < from + count && i < d->token_count; i++)
        used += (size_t)snprintf(text + used, size - used, "%s ", d->tokens[i].folded);
    snprintf(text + used, size - used, "\"");
}

static void add_operand(struct corpus *c, char *text, size_t size, int depth)
{
    char inner[300];
    const char *word = corpus_word(c), *other = corpus_word(c);
    switch (corpus_random(c, depth > 0 ? 9 : 14)) {
    case 0:
        add_phrase(c, text, size);
        break;
    case 1:
        snprintf(text, size, "+%s", word);
        break;
    case 2:
        snprintf(text, size, "-%s", word);
        break;
    case 3:
        snprintf(text, size, "title:%s", word);
        break;
    case 4:
        add_phrase(c, inner, sizeof inner);
        snprintf(text, size, "%s%s", corpus_random(c, 2) ? "body:" : "-", inner);
        break;
    case 5:
        snprintf(text, size, "%s OR %s", word, other);
        break;
    case 6:
        if (depth < 3) {
            add_operand(c, inner, sizeof inner, depth + 1);
            snprintf(text, size, "(%s %s %s)", word, corpus_random(c, 2) ? "OR" : "AND", inner);
            break;
        }
        snprintf(text, size, "%s", word);
        break;
    case 7:
        snprintf(text, size, "%s NOT %s", word, other);
        break;
    case 8:
        snprintf(text, size, "(%s OR NOT title:%s)", word, other);
        break;
    default:
        snprintf(text, size, "%s", word);
    }
}

static void add_query(struct corpus *c, char *text, size_t size)
{
    size_t used = 0;
    size_t operands = 1 + corpus_random(c, 4);
    text[0] = '\0';
    for (size_t i = 0; i < operands; i++) {
        char operand[400];
        add_operand(c, operand, sizeof operand, 0);
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? " " : "", operand);
    }
    if (corpus_random(c, 2))
        snprintf(text + used, size - used, " "); /* then the last word is no prefix */
}

static void open_fixture(struct fixture *f, uint64_t seed, size_t documents, size_t segments, uint32_t deleted_one_in)
{
    memset(f, 0, sizeof *f);
    corpus_make(&f->corpus, seed, documents, segments, deleted_one_in);
    assert_int_equal(arena_init(&f->arena, 64 << 20, 0), 0);
    assert_int_equal(arena_init(&f->analyzer.words, 1 << 20, 0), 0);
    for (size_t i = 0; i < f->corpus.document_count; i++) {
        const struct corpus_document *d = &f->corpus.documents[i];
        f->documents += !d->deleted;
        f->total_length += d->deleted ? 0 : length_decoded[d->length_code];
    }
    assert_int_equal(f->corpus.snapshot->view->documents, f->documents);
    assert_int_equal(f->corpus.snapshot->view->total_length, f->total_length);
    weight_norms(f->norms, length_decoded, f->documents, f->total_length);
}

static void close_fixture(struct fixture *f)
{
    arena_finish(&f->arena);
    arena_finish(&f->analyzer.words);
    corpus_remove(&f->corpus);
}

static void check_random_queries(uint64_t seed, size_t documents, size_t segments, uint32_t deleted_one_in,
                                 size_t queries)
{
    struct fixture f;
    open_fixture(&f, seed, documents, segments, deleted_one_in);
    for (size_t i = 0; i < queries; i++) {
        char text[2000];
        add_query(&f.corpus, text, sizeof text);
        check_query(&f, text, (enum query_match)(i % 4));
    }
    close_fixture(&f);
}

static void one_segment_equals_the_obvious_evaluation(void **state)
{
    (void)state;
    check_random_queries(1, 200, 1, 0, 600);
}

static void many_segments_with_deletions_do_too(void **state)
{
    (void)state;
    check_random_queries(2, 300, 11, 4, 600);
    check_random_queries(3, 60, 60, 3, 200);
}

static void unions_go_on_over_windows(void **state)
{
    (void)state;
    check_random_queries(4, CORPUS_MAX_DOCUMENTS, 1, 5, 40);
}

static void all_kinds_of_queries_by_name(void **state)
{
    (void)state;
    static const char *const queries[] = {"cat",
                                          "cats dogs ",
                                          "cat dog linux kernel ",
                                          "rare lin",
                                          "lin",
                                          "c",
                                          "linux linux linux ",
                                          "\"linux kernel\"",
                                          "title:cat ",
                                          "title:\"cat dog\" cat ",
                                          "-cat",
                                          "",
                                          "the",
                                          "the of",
                                          "+the cat ",
                                          "\"the cat\"",
                                          "nothere",
                                          "nothere cat ",
                                          "cat nothere ",
                                          "(cat OR dog) -linux ",
                                          "NOT cat",
                                          "(-cat OR -dog)",
                                          "notafield:cat ",
                                          "cat -notafield:dog ",
                                          "\"cat cat\"",
                                          "\"cat dog cat\"",
                                          "the OR cat "};
    struct fixture f;
    open_fixture(&f, 5, 400, 3, 6);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        for (int match = MATCH_LAST; match <= MATCH_ANY; match++)
            check_query(&f, queries[i], (enum query_match)match);
    }
    close_fixture(&f);
}

/* ----------------------------------------------------------------------------------------------------------------
 * limits */

static void a_passed_deadline_gives_a_partial_result(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, 6, 3000, 2, 0);
    struct query_options options = {.match = MATCH_ANY};
    assert_int_equal(query_parse(&f.arena, &f.analyzer, STR("cat dog "), &options, &f.query), 0);
    weigh(&f);
    struct query_result result;
    struct query_fault fault;
    struct query_run run = {.weights = f.weights, .norms = f.norms, .limit = 10, .deadline_us = clock_us() - 1};
    assert_int_equal(query_execute(&f.arena, f.query, f.corpus.snapshot, &run, &result, &fault), 0);
    assert_true(result.partial);
    close_fixture(&f);
}

static void a_limit_of_zero_counts_complete_matches(void **state)
{
    (void)state;
    static const char *const queries[] = {"cat dog ", "\"cat dog\" title:net ", "c", "(cat OR \"the dog\") -rare",
                                          "lin -x"};
    struct fixture f;
    open_fixture(&f, 7, 300, 2, 4);
    for (int i = 0; i < 10; i++) {
        struct query_options options = {.match = i % 2 ? MATCH_ALL : MATCH_ANY};
        assert_int_equal(query_parse(&f.arena, &f.analyzer, str_of(queries[i / 2]), &options, &f.query), 0);
        weigh(&f);
        struct query_result counted = execute(&f, 0, false), listed = execute(&f, 300, false);
        assert_int_equal(counted.hit_count, 0);
        assert_int_equal(counted.estimated_total, listed.hit_count);
        assert_true(listed.hit_count > 0);
        arena_reset(&f.arena, 0);
    }
    close_fixture(&f);
}

static struct query_result run_beside_others(struct fixture *f, tagged_max *word, uint32_t tag)
{
    struct query_result result;
    struct query_fault fault;
    struct query_run run = {.weights = f->weights, .norms = f->norms, .limit = 10, .shared = word, .shared_tag = tag};
    assert_int_equal(query_execute(&f->arena, f->query, f->corpus.snapshot, &run, &result, &fault), 0);
    return result;
}

/* Others that run the same query raise what is needed: hits above that are the same, and what is needed is told. */
static void a_threshold_that_others_raised_loses_no_hit(void **state)
{
    (void)state;
    static const enum query_match matches[] = {MATCH_ANY, MATCH_ALL, MATCH_LAST};
    struct fixture f;
    open_fixture(&f, 9, 3000, 3, 6);
    for (size_t i = 0; i < 3; i++) {
        struct query_options options = {.match = matches[i]};
        assert_int_equal(query_parse(&f.arena, &f.analyzer, STR("cat dog "), &options, &f.query), 0);
        weigh(&f);
        struct query_result alone = execute(&f, 10, false);
        assert_int_equal(alone.hit_count, 10);
        for (size_t needed = 0; needed < 10; needed++) {
            uint32_t score = (uint32_t)alone.hits[needed].score, before = needed ? score : 0;
            tagged_max word;
            tagged_max_begin(&word, 7);
            tagged_max_raise(&word, 7, before);
            tagged_max_raise(&word, 6, UINT32_MAX); /* an earlier search's: too late */
            struct query_result result = run_beside_others(&f, &word, 7);
            size_t sure = 0;
            while (sure < 10 && alone.hits[sure].score >= before)
                sure++;
            assert_true(result.hit_count >= sure);
            for (size_t k = 0; k < sure; k++)
                assert_int_equal(result.hits[k].stamp, alone.hits[k].stamp);
            if (needed == 0)
                assert_int_equal(tagged_max_get(&word, 7), alone.hits[9].score);
            assert_int_equal(tagged_max_get(&word, 8), 0);
        }
        arena_reset(&f.arena, 0);
    }
    close_fixture(&f);
}

static void a_full_arena_is_an_error(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, 8, 300, 2, 0);
    struct query_options options = {.match = MATCH_ANY};
    assert_int_equal(query_parse(&f.arena, &f.analyzer, STR("cat dog "), &options, &f.query), 0);
    weigh(&f);
    struct query_result result;
    struct query_fault fault;
    struct query_run run = {.weights = f.weights, .norms = f.norms, .limit = 10};
    struct arena small;
    for (size_t cap = 4096; cap <= 64 << 10; cap += 4096) {
        assert_int_equal(arena_init(&small, cap, 0), 0);
        int err = query_execute(&small, f.query, f.corpus.snapshot, &run, &result, &fault);
        assert_true(err == ERR_FULL || (err == 0 && cap > 32 << 10));
        arena_finish(&small);
    }
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_segment_equals_the_obvious_evaluation),
        cmocka_unit_test(many_segments_with_deletions_do_too),
        cmocka_unit_test(unions_go_on_over_windows),
        cmocka_unit_test(all_kinds_of_queries_by_name),
        cmocka_unit_test(a_passed_deadline_gives_a_partial_result),
        cmocka_unit_test(a_limit_of_zero_counts_complete_matches),
        cmocka_unit_test(a_threshold_that_others_raised_loses_no_hit),
        cmocka_unit_test(a_full_arena_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
