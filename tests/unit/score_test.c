#include "index/score.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void lengths_up_to_forty_are_exact(void **state)
{
    (void)state;
    for (uint32_t length = 0; length <= 40; length++)
        assert_int_equal(length_decoded[length_encode(length)], length);
}

static void a_code_decodes_to_at_most_the_length_by_less_than_an_eighth(void **state)
{
    (void)state;
    for (uint64_t length = 41; length < UINT32_MAX; length += 1 + length / 1009) {
        uint64_t decoded = length_decoded[length_encode(length)];
        assert_true(decoded <= length);
        assert_true((length - decoded) * 8 < length);
    }
}

static void codes_are_monotone(void **state)
{
    (void)state;
    uint8_t before = 0;
    for (uint64_t length = 0; length < UINT64_MAX / 2; length += 1 + length / 500) {
        uint8_t code = length_encode(length);
        assert_true(code >= before);
        before = code;
    }
    for (unsigned code = 1; code < 256; code++)
        assert_true(length_decoded[code] >= length_decoded[code - 1]);
    for (unsigned code = 0; code < 254; code++)
        assert_int_equal(length_encode(length_decoded[code]), code);
    assert_int_equal(length_encode(UINT64_MAX), 255);
    assert_int_equal(length_encode(UINT32_MAX), 255);
}

static void contributions_are_rounded_to_the_nearest_even(void **state)
{
    (void)state;
    assert_int_equal(score_contribution(3, 1, 1.0F), 2); /* 1.5 */
    assert_int_equal(score_contribution(5, 1, 1.0F), 2); /* 2.5 */
    assert_int_equal(score_contribution(7, 1, 1.0F), 4); /* 3.5 */
    assert_int_equal(score_contribution(0, 9, 1.0F), 0);
    assert_int_equal(score_contribution(1U << 20, 3, 1.0F), 786432);
}

static void a_contribution_never_overflows(void **state)
{
    (void)state;
    assert_int_equal(score_contribution(INT32_MAX, UINT32_MAX, 0.3F), INT32_MAX);
    assert_true(score_contribution(INT32_MAX, 1, 1.0F) == 1 << 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_up_to_forty_are_exact),
        cmocka_unit_test(a_code_decodes_to_at_most_the_length_by_less_than_an_eighth),
        cmocka_unit_test(codes_are_monotone),
        cmocka_unit_test(contributions_are_rounded_to_the_nearest_even),
        cmocka_unit_test(a_contribution_never_overflows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
