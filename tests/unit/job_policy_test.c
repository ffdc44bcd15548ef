/* job_policy_test - what the deaths of workers mean for the operations they were given. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "coordinator/job_policy.h"
#include "proto/message.h"

static const struct death killed = {.signal = SIGKILL};
static const struct death lost = {.lost = true};
static const struct death no_disk = {.reason = EXIT_REASON_WRITE, .stage = STAGE_WRITING};

static struct death crash(uint64_t sequence)
{
    return (struct death){
        .reason = EXIT_REASON_CRASHED, .signal = SIGSEGV, .stage = STAGE_INDEXING, .sequence = sequence};
}

static struct death cap(uint64_t sequence)
{
    return (struct death){.reason = EXIT_REASON_CAP, .stage = STAGE_INDEXING, .sequence = sequence};
}

/* Runs workers that die of `poison` until all is applied or quarantined; how many it took. */
static unsigned play(struct attempt *a, uint64_t poison, struct death d, unsigned *quarantined)
{
    unsigned workers = 0;
    bool skipped = false;
    *quarantined = 0;
    while (a->next < a->end) {
        assert_true(++workers < 200);
        assert_true(a->next < a->stop && a->stop <= a->end);
        if (skipped || poison < a->next || poison >= a->stop) {
            attempt_committed(a, a->stop);
            continue;
        }
        struct decision what = attempt_died(a, &d);
        if (what.verdict == VERDICT_QUARANTINE) {
            assert_int_equal(a->next, poison);
            ++*quarantined;
            skipped = true;
            attempt_quarantined(a);
        }
        assert_int_not_equal(what.verdict, VERDICT_DAMAGED);
    }
    return workers;
}

static void a_named_operation_is_found_soon(void **state)
{
    (void)state;
    unsigned quarantined;
    struct attempt a = attempt_new(1, 100001);
    assert_in_range(play(&a, 777, crash(777), &quarantined), 4, 6);
    assert_int_equal(quarantined, 1);
    a = attempt_new(1, 100001);
    assert_in_range(play(&a, 1, cap(1), &quarantined), 3, 4);
    assert_int_equal(quarantined, 1);
    a = attempt_new(5, 6);
    assert_in_range(play(&a, 5, cap(5), &quarantined), 2, 2);
    assert_int_equal(quarantined, 1);
}

static void an_unnamed_one_is_found_by_halving(void **state)
{
    (void)state;
    unsigned quarantined;
    struct death d = {.reason = EXIT_REASON_CAP, .stage = STAGE_WRITING};
    for (uint64_t poison = 1; poison < 1000; poison += 37) {
        struct attempt a = attempt_new(1, 1001);
        play(&a, poison, d, &quarantined);
        assert_int_equal(quarantined, 1);
    }
}

static void a_crash_is_tried_once_more(void **state)
{
    (void)state;
    struct attempt a = attempt_new(1, 2);
    struct death d = crash(1);
    assert_int_equal(attempt_died(&a, &d).verdict, VERDICT_AGAIN);
    struct decision what = attempt_died(&a, &d);
    assert_int_equal(what.verdict, VERDICT_QUARANTINE);
    assert_string_equal(what.code, CODE_QUARANTINED);
}

static void too_much_memory_has_its_own_code(void **state)
{
    (void)state;
    struct attempt a = attempt_new(1, 2);
    struct death d = cap(1);
    struct decision what = attempt_died(&a, &d);
    assert_int_equal(what.verdict, VERDICT_QUARANTINE);
    assert_string_equal(what.code, CODE_TOO_MUCH_MEMORY);
}

static void a_killed_worker_blames_nobody(void **state)
{
    (void)state;
    struct attempt a = attempt_new(1, 101);
    for (unsigned i = 0; i < 5; i++) {
        struct decision what = attempt_died(&a, &killed);
        assert_int_equal(what.verdict, VERDICT_AGAIN);
        assert_true(what.delay_ms > 0);
        assert_int_equal(a.stop, 101);
    }
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(attempt_died(&a, &lost).verdict, VERDICT_AGAIN);
    assert_int_equal(a.stop, 101);
}

static void memory_that_others_took_blames_nobody(void **state)
{
    (void)state;
    const struct death starved = {
        .reason = EXIT_REASON_STARVED, .signal = SIGKILL, .stage = STAGE_INDEXING, .sequence = 50};
    struct attempt a = attempt_new(1, 101);
    assert_true(death_is_of_others(&starved) && !death_is_of_memory(&starved));
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(attempt_died(&a, &starved).verdict, VERDICT_AGAIN);
    assert_int_equal(a.stop, 101);
    for (unsigned i = 0; i < 2; i++) /* but it may be why: what it had in hand is tried alone */
        attempt_died(&a, &starved);
    assert_int_equal(a.stop, 50);
}

static void the_limit_of_its_group_is_as_its_cap(void **state)
{
    (void)state;
    unsigned quarantined;
    const struct death killed_there = {
        .reason = EXIT_REASON_OOM_KILLED, .signal = SIGKILL, .stage = STAGE_INDEXING, .sequence = 777};
    struct attempt a = attempt_new(1, 100001), alone = attempt_new(5, 6);
    assert_true(death_is_of_memory(&killed_there) && !death_is_of_others(&killed_there));
    assert_in_range(play(&a, 777, killed_there, &quarantined), 4, 6);
    assert_int_equal(quarantined, 1);
    assert_int_equal(attempt_died(&alone, &killed_there).verdict, VERDICT_AGAIN);
    struct decision what = attempt_died(&alone, &killed_there);
    assert_int_equal(what.verdict, VERDICT_QUARANTINE);
    assert_string_equal(what.code, CODE_TOO_MUCH_MEMORY);
}

static void who_hangs_is_tried_alone_at_once(void **state)
{
    (void)state;
    unsigned quarantined;
    const struct death hung = {
        .reason = EXIT_REASON_TIMEOUT, .signal = SIGKILL, .stage = STAGE_INDEXING, .sequence = 50};
    struct attempt a = attempt_new(1, 101);
    assert_in_range(play(&a, 50, hung, &quarantined), 3, 4); /* two of them hung */
    assert_int_equal(quarantined, 1);
    struct attempt b = attempt_new(1, 101);
    assert_int_equal(attempt_died(&b, &hung).verdict, VERDICT_AGAIN);
    assert_int_equal(b.stop, 50);
}

static void a_full_disk_is_waited_out(void **state)
{
    (void)state;
    struct attempt a = attempt_new(1, 101);
    uint64_t last = 0;
    for (unsigned i = 0; i < 50; i++) {
        struct decision what = attempt_died(&a, &no_disk);
        assert_int_equal(what.verdict, VERDICT_AGAIN);
        assert_true(what.delay_ms >= last && what.delay_ms <= 10000);
        last = what.delay_ms;
    }
    assert_int_equal(last, 10000);
    assert_int_equal(a.stop, 101);
}

static void damage_is_not_blamed_on_operations(void **state)
{
    (void)state;
    struct death corrupt = {.reason = EXIT_REASON_CORRUPT, .stage = STAGE_COMMITTING};
    struct death crashed = {.reason = EXIT_REASON_CRASHED, .signal = SIGSEGV, .stage = STAGE_COMMITTING, .sequence = 1};
    struct attempt a = attempt_new(1, 101), b = attempt_new(1, 2);
    attempt_died(&a, &corrupt);
    attempt_died(&a, &corrupt);
    assert_int_equal(attempt_died(&a, &corrupt).verdict, VERDICT_DAMAGED);
    attempt_died(&b, &crashed);
    attempt_died(&b, &crashed);
    assert_int_equal(attempt_died(&b, &crashed).verdict, VERDICT_DAMAGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_named_operation_is_found_soon),      cmocka_unit_test(an_unnamed_one_is_found_by_halving),
        cmocka_unit_test(a_crash_is_tried_once_more),           cmocka_unit_test(too_much_memory_has_its_own_code),
        cmocka_unit_test(a_killed_worker_blames_nobody),        cmocka_unit_test(a_full_disk_is_waited_out),
        cmocka_unit_test(damage_is_not_blamed_on_operations),   cmocka_unit_test(memory_that_others_took_blames_nobody),
        cmocka_unit_test(the_limit_of_its_group_is_as_its_cap), cmocka_unit_test(who_hangs_is_tried_alone_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
