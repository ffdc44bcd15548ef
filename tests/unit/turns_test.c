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
    assert_true(turns_begin(&t, false, 5));
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
    assert_true(turns_begin(&t, false, 100));
    turns_take(&t, TURN_BYTES);
    assert_true(turns_begin(&t, false, 101));
    assert_int_equal(t.left, TURN_BYTES);
}

static void gives_turns_seldom_but_for_sure_while_somebody_searches(void **state)
{
    (void)state;
    struct turns t = {.left = 0};
    assert_true(turns_begin(&t, true, TURN_EVERY_US));
    turns_take(&t, TURN_BYTES);
    assert_false(turns_begin(&t, true, TURN_EVERY_US + 1));
    assert_false(turns_begin(&t, true, 2 * TURN_EVERY_US - 1));
    assert_int_equal(t.left, 0);
    assert_true(turns_begin(&t, true, 2 * TURN_EVERY_US));
    assert_int_equal(t.left, TURN_BYTES);
}

static void goes_on_at_once_when_searches_end(void **state)
{
    (void)state;
    struct turns t = {.left = 0, .given_us = 1000};
    assert_false(turns_begin(&t, true, 1500));
    assert_true(turns_begin(&t, false, 1501));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_what_a_turn_takes),
        cmocka_unit_test(gives_each_turn_afresh_while_nobody_searches),
        cmocka_unit_test(gives_turns_seldom_but_for_sure_while_somebody_searches),
        cmocka_unit_test(goes_on_at_once_when_searches_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
