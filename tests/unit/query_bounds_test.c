/* What bounds a query: a deadline, a limit, a threshold that others raise, an arena. */
#include "index/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/err.h"
#include "queried_corpus.h"

static void a_passed_deadline_gives_a_partial_result(void **state)
{
    (void)state;
    struct queried q;
    queried_open(&q, 6, 3000, 2, 0);
    queried_parse(&q, "cat dog ", MATCH_ANY);
    struct query_result result;
    struct query_fault fault;
    struct query_run run = {.weights = q.weights, .norms = q.norms, .limit = 10, .deadline_us = clock_us() - 1};
    assert_int_equal(query_execute(&q.arena, q.query, q.corpus.snapshot, &run, &result, &fault), 0);
    assert_true(result.partial);
    queried_close(&q);
}

static void a_limit_of_zero_counts_complete_matches(void **state)
{
    (void)state;
    static const char *const queries[] = {"cat dog ", "\"cat dog\" title:net ", "c", "(cat OR \"the dog\") -rare",
                                          "lin -x"};
    struct queried q;
    queried_open(&q, 7, 300, 2, 4);
    for (int i = 0; i < 10; i++) {
        queried_parse(&q, queries[i / 2], i % 2 ? MATCH_ALL : MATCH_ANY);
        struct query_result counted = queried_execute(&q, 0, false), listed = queried_execute(&q, 300, false);
        assert_int_equal(counted.hit_count, 0);
        assert_int_equal(counted.estimated_total, listed.hit_count);
        assert_true(listed.hit_count > 0);
        queried_next(&q);
    }
    queried_close(&q);
}

static struct query_result run_beside_others(struct queried *q, tagged_max *word, uint32_t tag)
{
    struct query_result result;
    struct query_fault fault;
    struct query_run run = {.weights = q->weights, .norms = q->norms, .limit = 10, .shared = word, .shared_tag = tag};
    assert_int_equal(query_execute(&q->arena, q->query, q->corpus.snapshot, &run, &result, &fault), 0);
    return result;
}

/* Others that run the same query raise what is needed: hits above that are the same, and what is needed is told. */
static void a_threshold_that_others_raised_loses_no_hit(void **state)
{
    (void)state;
    static const enum query_match matches[] = {MATCH_ANY, MATCH_ALL, MATCH_LAST};
    struct queried q;
    queried_open(&q, 9, 3000, 3, 6);
    for (size_t i = 0; i < 3; i++) {
        queried_parse(&q, "cat dog ", matches[i]);
        struct query_result alone = queried_execute(&q, 10, false);
        assert_int_equal(alone.hit_count, 10);
        for (size_t needed = 0; needed < 10; needed++) {
            uint32_t score = (uint32_t)alone.hits[needed].score, before = needed ? score : 0;
            tagged_max word;
            tagged_max_begin(&word, 7);
            tagged_max_raise(&word, 7, before);
            tagged_max_raise(&word, 6, UINT32_MAX); /* an earlier search's: too late */
            struct query_result result = run_beside_others(&q, &word, 7);
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
        queried_next(&q);
    }
    queried_close(&q);
}

static void a_full_arena_is_an_error(void **state)
{
    (void)state;
    struct queried q;
    queried_open(&q, 8, 300, 2, 0);
    queried_parse(&q, "cat dog ", MATCH_ANY);
    struct query_result result;
    struct query_fault fault;
    struct query_run run = {.weights = q.weights, .norms = q.norms, .limit = 10};
    struct arena small;
    for (size_t cap = 4096; cap <= 64 << 10; cap += 4096) {
        assert_int_equal(arena_init(&small, cap, 0), 0);
        int err = query_execute(&small, q.query, q.corpus.snapshot, &run, &result, &fault);
        assert_true(err == ERR_FULL || (err == 0 && cap > 32 << 10));
        arena_finish(&small);
    }
    queried_close(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_passed_deadline_gives_a_partial_result),
        cmocka_unit_test(a_limit_of_zero_counts_complete_matches),
        cmocka_unit_test(a_threshold_that_others_raised_loses_no_hit),
        cmocka_unit_test(a_full_arena_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
