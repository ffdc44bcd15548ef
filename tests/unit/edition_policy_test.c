/* edition_policy_test - when the passes of a re-analysis come to an end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "coordinator/edition_policy.h"

static void a_large_first_pass_is_followed_by_one_beside_builds(void **state)
{
    (void)state;
    assert_false(edition_is_last_next(1, 5000000, UINT64_MAX));
}

static void little_is_done_in_a_pause(void **state)
{
    (void)state;
    assert_true(edition_is_last_next(1, 0, UINT64_MAX));
    assert_true(edition_is_last_next(1, 1000, UINT64_MAX));
    assert_true(edition_is_last_next(3, 12, 100000));
}

static void passes_that_do_not_get_shorter_come_to_an_end(void **state)
{
    (void)state;
    assert_false(edition_is_last_next(2, 400000, 5000000));
    assert_true(edition_is_last_next(3, 390000, 400000));
    assert_true(edition_is_last_next(3, 600000, 400000));
}

static void there_is_an_end_in_any_case(void **state)
{
    (void)state;
    unsigned passes = 1;
    for (uint64_t left = UINT64_MAX / 4, before = UINT64_MAX; !edition_is_last_next(passes, left, before); passes++) {
        before = left;
        left /= 3;
    }
    assert_in_range(passes, 2, 10);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_first_pass_is_followed_by_one_beside_builds),
        cmocka_unit_test(little_is_done_in_a_pause),
        cmocka_unit_test(passes_that_do_not_get_shorter_come_to_an_end),
        cmocka_unit_test(there_is_an_end_in_any_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
