#include "common/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

enum { MIB = 1 << 20 };

static void gives_zeroed_aligned_memory(void **state)
{
    (void)state;
    struct arena a;
    assert_int_equal(arena_init(&a, MIB, 0), 0);
    for (size_t size = 1; size < 5000; size = size * 3 + 1) {
        char *block = arena_alloc(&a, size);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 16, 0);
        for (size_t i = 0; i < size; i++) {
            assert_int_equal(block[i], 0);
            block[i] = 1;
        }
    }
    arena_finish(&a);
}

static void refuses_past_its_cap_and_goes_on(void **state)
{
    (void)state;
    struct arena a;
    assert_int_equal(arena_init(&a, MIB, 0), 0);
    assert_non_null(arena_alloc(&a, MIB / 2));
    assert_null(arena_alloc(&a, MIB));
    assert_null(arena_alloc(&a, SIZE_MAX - 8));
    assert_null(arena_array(&a, SIZE_MAX / 2, 3));
    assert_int_equal(a.refusals, 3);
    assert_non_null(arena_alloc(&a, MIB / 2));
    assert_null(arena_alloc(&a, 1));
    arena_finish(&a);
}

static void is_zero_again_after_a_rewind(void **state)
{
    (void)state;
    struct arena a;
    assert_int_equal(arena_init(&a, 8 * MIB, 0), 0);
    size_t mark = arena_mark(&a);
    char *first = arena_alloc(&a, 3 * MIB);
    memset(first, 0xff, 3 * MIB);
    arena_rewind(&a, mark);
    char *second = arena_alloc(&a, 4 * MIB);
    assert_ptr_equal(first, second);
    for (size_t i = 0; i < 4 * MIB; i++)
        assert_int_equal(second[i], 0);
    arena_finish(&a);
}

static void memory_that_was_taken_unset_is_zero_when_it_is_given_out_again(void **state)
{
    (void)state;
    struct arena a;
    assert_int_equal(arena_init(&a, 8 * MIB, 0), 0);
    size_t mark = arena_mark(&a);
    char *first = arena_alloc_unset(&a, 3 * MIB);
    memset(first, 0xff, 3 * MIB);
    arena_rewind(&a, mark);
    assert_ptr_equal(arena_alloc_unset(&a, MIB), first);
    char *second = arena_alloc(&a, 2 * MIB);
    for (size_t i = 0; i < 2 * MIB; i++)
        assert_int_equal(second[i], 0);
    assert_null(arena_alloc_unset(&a, 8 * MIB));
    assert_int_equal(a.refusals, 1);
    arena_finish(&a);
}

static void gives_back_what_a_reset_does_not_keep(void **state)
{
    (void)state;
    struct arena a;
    assert_int_equal(arena_init(&a, 64 * MIB, 0), 0);
    memset(arena_alloc(&a, 40 * MIB), 1, 40 * MIB);
    arena_reset(&a, MIB);
    assert_int_equal(a.committed, MIB);
    assert_int_equal(a.used, 0);
    assert_int_equal(a.peak, 40 * MIB);
    char *again = arena_alloc(&a, 2 * MIB);
    for (size_t i = 0; i < 2 * MIB; i++)
        assert_int_equal(again[i], 0);
    arena_finish(&a);
}

static void counts_what_it_asks_for_and_gives_back(void **state)
{
    (void)state;
    struct arena a;
    assert_int_equal(arena_init(&a, 64 * MIB, 0), 0);
    for (int i = 0; i < 3; i++)
        assert_non_null(arena_alloc(&a, MIB));
    assert_int_equal(a.commits, 3);
    assert_int_equal(a.committed, 3 * MIB);
    arena_reset(&a, 3 * MIB);
    assert_int_equal(a.discards, 0);
    arena_reset(&a, MIB);
    assert_int_equal(a.discards, 1);
    arena_finish(&a);
}

static void a_presized_one_asks_once(void **state)
{
    (void)state;
    struct arena a;
    assert_int_equal(arena_init(&a, 64 * MIB, 0), 0);
    assert_non_null(arena_alloc(&a, MIB / 2));
    assert_true(arena_presize(&a, 10 * MIB));
    assert_int_equal(a.committed, 11 * MIB);
    for (int i = 0; i < 10; i++)
        assert_non_null(arena_alloc(&a, MIB));
    assert_int_equal(a.commits, 2);
    assert_int_equal(a.used, 10 * MIB + MIB / 2);
    assert_false(arena_presize(&a, 54 * MIB));
    assert_false(arena_presize(&a, SIZE_MAX));
    assert_true(arena_presize(&a, 53 * MIB));
    assert_int_equal(a.refusals, 0);
    assert_int_equal(a.used, 10 * MIB + MIB / 2);
    arena_finish(&a);
}

static void grows_the_newest_in_place_and_copies_others(void **state)
{
    (void)state;
    struct arena a;
    assert_int_equal(arena_init(&a, MIB, 0), 0);
    char *block = arena_alloc(&a, 100);
    memset(block, 7, 100);
    assert_ptr_equal(arena_grow(&a, block, 100, 300), block);
    assert_int_equal(block[99], 7);
    assert_int_equal(block[299], 0);
    arena_alloc(&a, 1);
    char *moved = arena_grow(&a, block, 300, 400);
    assert_ptr_not_equal(moved, block);
    assert_int_equal(moved[99], 7);
    assert_int_equal(moved[399], 0);
    arena_finish(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_zeroed_aligned_memory),
        cmocka_unit_test(refuses_past_its_cap_and_goes_on),
        cmocka_unit_test(is_zero_again_after_a_rewind),
        cmocka_unit_test(memory_that_was_taken_unset_is_zero_when_it_is_given_out_again),
        cmocka_unit_test(gives_back_what_a_reset_does_not_keep),
        cmocka_unit_test(counts_what_it_asks_for_and_gives_back),
        cmocka_unit_test(a_presized_one_asks_once),
        cmocka_unit_test(grows_the_newest_in_place_and_copies_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
