/* Every query is run twice: by query_execute over segments, and by looking at every token of every document. */
#include "index/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "obvious_query.h"
#include "queried_corpus.h"

/* -------------------------------------------------------------------------------------------------------- comparing */

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
static void compare(struct queried *q, const char *text, uint32_t limit, const struct query_hit *wanted, size_t count)
{
    size_t shown = count < limit ? count : limit;
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += shown > 0 && (shown < limit || wanted[i].dropped <= wanted[shown - 1].dropped);
    struct query_result all = queried_execute(q, limit, true), pruned = queried_execute(q, limit, false);
    compare_hits_of(&all, text, wanted, shown);
    compare_hits_of(&pruned, text, wanted, shown);
    assert_int_equal(all.estimated_total, total);
    if (count < limit)
        assert_int_equal(pruned.estimated_total, total);
    assert_true(pruned.estimated_total >= shown && pruned.estimated_total <= q->documents);
}

/* Without hits only those count that have the fewest words dropped. */
static void compare_count(struct queried *q, const struct query_hit *wanted, size_t count)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += wanted[i].dropped == 0;
    assert_int_equal(queried_execute(q, 0, true).estimated_total, total);
    assert_int_equal(queried_execute(q, 0, false).estimated_total, total);
}

static void check_query(struct queried *q, const char *text, enum query_match match)
{
    static const uint32_t limits[] = {1, 3, 20, CORPUS_MAX_DOCUMENTS};
    struct query_hit *wanted = calloc(q->corpus.document_count, sizeof *wanted);
    assert_non_null(wanted);
    queried_parse(q, text, match);
    size_t count = obvious_hits(q, wanted);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        compare(q, text, limits[i], wanted, count);
    compare_count(q, wanted, count);
    free(wanted);
    queried_next(q);
}

/* ---------------------------------------------------------------------------------------------------------- queries */

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

static void check_random_queries(uint64_t seed, size_t documents, size_t segments, uint32_t deleted_one_in,
                                 size_t queries)
{
    struct queried q;
    queried_open(&q, seed, documents, segments, deleted_one_in);
    for (size_t i = 0; i < queries; i++) {
        char text[2000];
        add_query(&q.corpus, text, sizeof text);
        check_query(&q, text, (enum query_match)(i % 4));
    }
    queried_close(&q);
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

/* Half of all segments have one document, which is deleted: there is nothing to look at. */
static void segments_of_deleted_documents_are_passed_over(void **state)
{
    (void)state;
    struct queried q;
    size_t dead = 0;
    queried_open(&q, 10, 60, 60, 2);
    for (size_t i = 0; i < q.corpus.snapshot->segment_count; i++) {
        struct snapshot_segment *s = &q.corpus.snapshot->segments[i];
        s->segment = snapshot_is_dead(s) ? dead++, NULL : s->segment;
    }
    assert_true(dead > 10);
    for (size_t i = 0; i < 200; i++) {
        char text[2000];
        add_query(&q.corpus, text, sizeof text);
        check_query(&q, text, (enum query_match)(i % 4));
    }
    struct query_options options = {.match = MATCH_ANY};
    struct query_word guessed;
    struct query_fault fault;
    assert_int_equal(query_parse(&q.arena, &q.analyzer, STR("linix"), &options, &q.query), 0);
    assert_int_equal(query_guess(&q.arena, q.query, q.corpus.snapshot, &guessed, 0, &fault), 0);
    queried_close(&q);
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
    struct queried q;
    queried_open(&q, 5, 400, 3, 6);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        for (int match = MATCH_LAST; match <= MATCH_ANY; match++)
            check_query(&q, queries[i], (enum query_match)match);
    }
    queried_close(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_segment_equals_the_obvious_evaluation),
        cmocka_unit_test(many_segments_with_deletions_do_too),
        cmocka_unit_test(segments_of_deleted_documents_are_passed_over),
        cmocka_unit_test(unions_go_on_over_windows),
        cmocka_unit_test(all_kinds_of_queries_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
