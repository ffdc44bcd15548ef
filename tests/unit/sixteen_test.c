/* Sixteen bytes at a time against one after the other, in both of the ways that there are. */
#include "index/sixteen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "random.h"

enum { ROUNDS = 2000 };

static void are_what_each_byte_is(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        uint8_t bytes[16], before[16], wanted = (uint8_t)(next() % 8), sum_before = 0;
        uint32_t sum = 0, count = next() % 17, first_sum = 0;
        uint64_t set = 0;
        for (unsigned i = 0; i < 16; i++) {
            bytes[i] = (uint8_t)(next() % (round % 2 ? 8 : 15));
            set |= (uint64_t)(bytes[i] == wanted) << i;
            sum += bytes[i];
            first_sum += i < count ? bytes[i] : 0;
            before[i] = sum_before;
            sum_before = (uint8_t)(sum_before + bytes[i]);
        }
        sixteen s = sixteen_at(bytes), sums = sixteen_sums_before(s);
        assert_int_equal(sixteen_set(sixteen_are(s, wanted)), set);
        assert_int_equal(sixteen_sum(s), sum);
        assert_int_equal(sixteen_sum(sixteen_first(s, count)), first_sum);
        assert_memory_equal(&sums, before, sizeof before);
    }
}

static void large_bytes_add_up(void **state)
{
    (void)state;
    assert_int_equal(sixteen_sum(sixteen_of(255)), 16 * 255);
    assert_int_equal(sixteen_set(sixteen_of(255)), 0xffff);
    assert_int_equal(sixteen_set(sixteen_of(127)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(are_what_each_byte_is),
        cmocka_unit_test(large_bytes_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
