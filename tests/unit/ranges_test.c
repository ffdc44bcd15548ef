/* ranges_test - sets of sequence numbers, against one bit per number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "coordinator/ranges.h"

enum { NUMBERS = 60, ROUNDS = 400 };

static void check(const struct ranges *r, const bool *wanted)
{
    for (size_t i = 0; i < r->count; i++) {
        assert_true(r->at[i].first < r->at[i].end);
        assert_true(i == 0 || r->at[i - 1].end < r->at[i].first);
    }
    for (uint64_t n = 0; n < NUMBERS; n++)
        assert_int_equal(ranges_has(r, n), wanted[n]);
}

/* The gaps from any number on are what the bits say. */
static void check_gaps(const struct ranges *r, const bool *wanted)
{
    for (uint64_t from = 0; from < NUMBERS; from++) {
        uint64_t next = from;
        struct range gap;
        while (ranges_gap(r, next, NUMBERS, &gap)) {
            for (; next < gap.first; next++)
                assert_true(wanted[next]);
            for (; next < gap.end; next++)
                assert_false(wanted[next]);
        }
        for (; next < NUMBERS; next++)
            assert_true(wanted[next]);
    }
}

static void holds_what_was_added(void **state)
{
    (void)state;
    srand(7);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct ranges r = {.at = NULL};
        bool wanted[NUMBERS] = {false};
        for (unsigned i = 0; i < 12; i++) {
            uint64_t first = (uint64_t)rand() % NUMBERS, end = first + (uint64_t)rand() % 9;
            end = end < NUMBERS ? end : NUMBERS;
            ranges_add(&r, first, end);
            for (uint64_t n = first; n < end; n++)
                wanted[n] = true;
            check(&r, wanted);
        }
        check_gaps(&r, wanted);
        uint64_t below = (uint64_t)rand() % NUMBERS;
        ranges_cut(&r, below);
        memset(wanted, 0, below * sizeof *wanted);
        check(&r, wanted);
        ranges_finish(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(holds_what_was_added)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
