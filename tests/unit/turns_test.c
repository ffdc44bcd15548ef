/* turns_test - how much of bulk loads a turn of the loop takes, and how often it does while somebody searches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "coordinator/turns.h"

static void bounds_what_a_turn_takes(void **state)
{
    (void)state;
    struct turns t = {.left = 0};
    assert_true(turns_begin(&t, 0, 5));
    assert_int_equal(t.left, TURN_BYTES);
    turns_take(&t, TURN_BYTES - 1);
    assert_int_equal(t.left, 1);
    turns_take(&t, 64 << 10);
    assert_int_equal(t.left, 0);
}

static void gives_each_turn_afresh_while_nobody_searches(void **state)
{
    (void)state;
    struct turns t = {.left = 0, .given_us = 100};
    assert_true(turns_begin(&t, 0, 100));
    turns_take(&t, TURN_BYTES);
    assert_true(turns_begin(&t, 0, 101));
    assert_int_equal(t.left, TURN_BYTES);
}

static void gives_turns_seldom_but_for_sure_while_somebody_searches(void **state)
{
    (void)state;
    struct turns t = {.left = 0};
    assert_true(turns_begin(&t, TURN_EVERY_US, TURN_EVERY_US));
    turns_take(&t, TURN_BYTES);
    assert_false(turns_begin(&t, TURN_EVERY_US, TURN_EVERY_US + 1));
    assert_false(turns_begin(&t, TURN_EVERY_US, 2 * TURN_EVERY_US - 1));
    assert_int_equal(t.left, 0);
    assert_true(turns_begin(&t, TURN_EVERY_US, 2 * TURN_EVERY_US));
    assert_int_equal(t.left, TURN_BYTES);
}

static void goes_on_at_once_when_searches_end(void **state)
{
    (void)state;
    struct turns t = {.left = 0, .given_us = 1000};
    assert_false(turns_begin(&t, TURN_EVERY_US, 1500));
    assert_true(turns_begin(&t, 0, 1501));
}

static void ends_when_it_is_told(void **state)
{
    (void)state;
    struct turns t = {.left = 0};
    assert_true(turns_begin(&t, 0, 5));
    turns_end(&t);
    assert_int_equal(t.left, 0);
    assert_true(turns_begin(&t, 0, 6));
    assert_int_equal(t.left, TURN_BYTES);
}

static void turns_are_far_apart_where_workers_have_enough(void **state)
{
    (void)state;
    enum { SIXTEENTH = 16 << 20, HALF = 128 << 20, BUDGET = 256 << 20 };
    const struct {
        struct turns_wanted wanted;
        uint64_t period_us;
    } cases[] = {
        {{false, false, 0, BUDGET}, 0},
        {{false, false, BUDGET, BUDGET}, 0},
        {{true, false, 0, BUDGET}, TURN_EVERY_US},
        {{true, false, SIXTEENTH, BUDGET}, TURN_EVERY_US},
        {{true, false, SIXTEENTH + 1, BUDGET}, TURN_AHEAD_US},
        {{false, true, HALF, BUDGET}, 0},
        {{false, true, HALF + 1, BUDGET}, TURN_AHEAD_US},
        {{true, true, SIXTEENTH, BUDGET}, TURN_EVERY_US},
        {{true, true, HALF, BUDGET}, TURN_AHEAD_US},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(turns_period(cases[i].wanted), cases[i].period_us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_what_a_turn_takes),
        cmocka_unit_test(gives_each_turn_afresh_while_nobody_searches),
        cmocka_unit_test(gives_turns_seldom_but_for_sure_while_somebody_searches),
        cmocka_unit_test(goes_on_at_once_when_searches_end),
        cmocka_unit_test(ends_when_it_is_told),
        cmocka_unit_test(turns_are_far_apart_where_workers_have_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
