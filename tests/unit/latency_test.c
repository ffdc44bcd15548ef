#include "proto/latency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

static size_t bucket_that_took(uint64_t us)
{
    struct latency l = {0};
    latency_add(&l, us);
    assert_int_equal(l.sum_us, us);
    return latency_length(&l) - 1;
}

static void a_time_is_counted_below_its_bucket_s_bound_and_above_the_one_before(void **state)
{
    (void)state;
    const uint64_t most = latency_bound(LATENCY_BUCKETS - 1);
    for (uint64_t us = 1; us < most; us += us / 37 + 1) {
        size_t b = bucket_that_took(us);
        assert_true(us <= latency_bound(b));
        assert_true(b == 0 || us > latency_bound(b - 1));
        assert_true(latency_bound(b) - us <= us / LATENCY_STEPS);
    }
}

static void bounds_are_inclusive_powers_of_two_are_among_them(void **state)
{
    (void)state;
    for (size_t b = 0; b < LATENCY_BUCKETS; b++)
        assert_int_equal(bucket_that_took(latency_bound(b)), b);
    for (unsigned power = 3; power < 32; power++)
        assert_int_equal(latency_bound(bucket_that_took(UINT64_C(1) << power)), UINT64_C(1) << power);
}

static void what_is_too_long_is_in_the_last_bucket_and_nothing_in_the_first(void **state)
{
    (void)state;
    assert_int_equal(bucket_that_took(UINT64_MAX), LATENCY_BUCKETS - 1);
    assert_int_equal(bucket_that_took(0), 0);
}

static void quantiles_are_of_what_came_between(void **state)
{
    (void)state;
    struct latency before = {0}, now;
    for (int i = 0; i < 1000; i++)
        latency_add(&before, 5000000);
    now = before;
    for (uint64_t us = 1; us <= 100; us++)
        latency_add(&now, us * 1000);
    struct latency_counts a = {before.counts, latency_length(&before)}, b = {now.counts, latency_length(&now)};
    struct latency_counts none = {0};
    assert_int_equal(latency_total(b, a), 100);
    assert_in_range(latency_quantile(b, a, 500), 50000, 50000 * 9 / 8);
    assert_in_range(latency_quantile(b, a, 990), 99000, 99000 * 9 / 8);
    assert_in_range(latency_quantile(b, none, 990), 5000000, 5000000 * 9 / 8);
    assert_int_equal(latency_quantile(b, b, 990), 0);
    assert_int_equal(latency_quantile(none, none, 500), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_is_counted_below_its_bucket_s_bound_and_above_the_one_before),
        cmocka_unit_test(bounds_are_inclusive_powers_of_two_are_among_them),
        cmocka_unit_test(what_is_too_long_is_in_the_last_bucket_and_nothing_in_the_first),
        cmocka_unit_test(quantiles_are_of_what_came_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
