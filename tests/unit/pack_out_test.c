/* Packed values are read back, and the width that is chosen is the cheapest of all. */
#include "index/pack_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "index/kernels.h"
#include "random.h"

enum { MOST = 300, ROUNDS = 2000 };

static size_t exceptions_of(const uint32_t *values, size_t count, unsigned bits)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += pack_is_exception(values[i], bits);
    return n;
}

/* Most of few bits, some of any: what is chosen costs no more than any other width, with or without exceptions. */
static void chooses_the_cheapest_width(void **state)
{
    uint32_t values[MOST];
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        size_t count = next() % MOST, most = next() % 3 ? 255 : next() % 20, exceptions;
        unsigned low = next() % 33, price = 1 + next() % 40;
        for (size_t i = 0; i < count; i++)
            values[i] = next() % 20 ? (uint32_t)(next() & ((UINT64_C(1) << low) - 1)) : next() << next() % 24;
        if (round % 10 == 0 && count > 0)
            values[0] = UINT32_MAX;
        unsigned width = pack_width(values, count), bits = pack_choose(values, count, price, most, &exceptions);
        uint64_t cost = (uint64_t)bits * count + exceptions * price;
        assert_true(exceptions <= most && bits <= width);
        assert_int_equal(exceptions, bits == width && exceptions == 0 ? 0 : exceptions_of(values, count, bits));
        assert_true(cost <= (uint64_t)width * count);
        for (unsigned other = 1; other < 32; other++) {
            size_t left_out = exceptions_of(values, count, other);
            assert_true(left_out > most || cost <= (uint64_t)other * count + left_out * price);
        }
    }
}

static void gives_back_what_fits(void **state)
{
    struct bytes_out out = {0};
    uint32_t values[MOST];
    (void)state;
    for (unsigned bits = 0; bits <= 32; bits++) {
        uint64_t most = (UINT64_C(1) << bits) - 1;
        size_t count = 1 + next() % (MOST - 1), size = (count * bits + 7) / 8;
        for (size_t i = 0; i < count; i++)
            values[i] = next() % 2 ? next() : (uint32_t)(next() & most);
        out.len = 0;
        bytes_out_append(&out, "before", 6);
        pack_append(&out, values, count, bits);
        assert_int_equal(out.len, 6 + size);
        for (size_t i = 0; bits && i < 8 * size - count * bits; i++)
            assert_false(out.data[out.len - 1] >> (7 - i) & 1);
        assert_true(bytes_out_reserve(&out, KERNEL_OVERREAD)); /* to be read from */
        for (size_t i = 0; i < count; i++)
            assert_int_equal(kernel_unpack_one(out.data + 6, bits, i), values[i] < most ? values[i] : most);
    }
    bytes_out_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chooses_the_cheapest_width),
        cmocka_unit_test(gives_back_what_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
