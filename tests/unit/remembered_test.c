/* remembered_test - what is remembered is found until it is taken out or has to go, and its memory goes with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "coordinator/remembered.h"

enum { KIB = 1 << 10, PIECE = 4 * KIB, SIZE = 240 };

struct number { /* an entry */
    struct remembered_entry at;
    uint64_t value;
    char filling[SIZE - sizeof(struct remembered_entry) - sizeof(uint64_t)];
};

static void expect(const struct number *n, uint64_t value)
{
    if (!n || n->value != value)
        fail();
}

static void use(struct number *n)
{
    if (!n)
        fail();
    else
        n->at.used = true;
}

static void keep(struct remembered *r, uint64_t value)
{
    struct number *n = remembered_new(r, sizeof *n);
    assert_non_null(n);
    assert_true((uintptr_t)n % 16 == 0);
    n->value = value;
    memset(n->filling, (int)value, sizeof n->filling);
    remembered_put(r, &n->at, value % 1000); /* some have the same hash */
}

static void copy(void *context, const struct remembered_entry *entry)
{
    keep(context, ((const struct number *)entry)->value);
}

static struct number *find(struct remembered *r, uint64_t value)
{
    struct remembered_entry *e = remembered_first(r, value % 1000);
    while (e && ((struct number *)e)->value != value)
        e = remembered_next(e);
    return (struct number *)e;
}

static void take_out(struct remembered *r, uint64_t value)
{
    struct number *n = find(r, value);
    expect(n, value);
    remembered_take_out(r, &n->at);
}

static void begin(struct remembered *r, size_t entries, size_t bytes)
{
    remembered_init(r, (struct remembered_limits){entries, bytes});
    r->context = r;
    r->copy = copy;
}

static void holds(struct remembered *r, size_t entries)
{
    assert_int_equal(r->entries, entries);
    assert_true(remembered_bytes(r) >= entries * SIZE);
    assert_true(remembered_bytes(r) <= entries * SIZE * 5 / 4 + PIECE);
}

static void memory_comes_and_goes_with_the_entries(void **state)
{
    (void)state;
    struct remembered r;
    begin(&r, 10000, 16 * KIB * KIB);
    assert_int_equal(remembered_bytes(&r), 0);
    for (uint64_t i = 0; i < 5000; i++)
        keep(&r, i);
    holds(&r, 5000);
    for (uint64_t i = 0; i < 5000; i++)
        expect(find(&r, i), i);
    assert_null(find(&r, 5000));
    for (uint64_t i = 0; i < 5000; i += 2)
        take_out(&r, i);
    assert_int_equal(r.entries, 2500);
    for (uint64_t i = 0; i < 5000; i++)
        assert_true((find(&r, i) != NULL) == (i % 2 == 1));
    for (uint64_t i = 1; i < 4500; i += 2) /* what came first: its pieces are empty */
        take_out(&r, i);
    assert_true(remembered_bytes(&r) < 512 * SIZE + 64 * KIB + 2 * 64 * KIB);
    remembered_finish(&r);
    assert_int_equal(remembered_bytes(&r), 0);
}

static bool is_odd(void *context, const struct remembered_entry *entry)
{
    (void)context;
    return ((const struct number *)entry)->value % 2;
}

static bool is_of_no_use(void *context, const struct remembered_entry *entry)
{
    (void)context;
    (void)entry;
    return false;
}

static void a_sweep_takes_out_what_is_of_no_use(void **state)
{
    (void)state;
    struct remembered r;
    begin(&r, 10000, 1024 * KIB);
    for (uint64_t i = 0; i < 2000; i++)
        keep(&r, i);
    for (int i = 0; i < 100; i++)
        remembered_sweep(&r, 100, is_odd, NULL);
    assert_int_equal(r.entries, 1000);
    assert_true(find(&r, 1999) && !find(&r, 1998));
    remembered_sweep(&r, r.bucket_count, is_of_no_use, NULL);
    assert_int_equal(r.entries, 0);
    assert_int_equal(remembered_bytes(&r), 0);
    keep(&r, 1);
    assert_non_null(find(&r, 1));
    remembered_finish(&r);
}

static void who_has_an_entry_keeps_it_alone(void **state)
{
    (void)state;
    struct remembered r;
    begin(&r, 10000, 1024 * KIB);
    for (uint64_t i = 0; i < 2000; i++)
        keep(&r, i);
    struct number *held = find(&r, 700);
    expect(held, 700);
    remembered_hold(&held->at);
    remembered_sweep(&r, r.bucket_count, is_of_no_use, NULL);
    assert_null(find(&r, 700));
    assert_false(held->at.is_in);
    assert_true(held->value == 700 && held->filling[0] == (char)700);
    assert_int_equal(remembered_bytes(&r), PIECE);
    remembered_release(&r, &held->at);
    assert_int_equal(remembered_bytes(&r), 0);
    remembered_finish(&r);
}

static void old_ones_go_where_there_are_too_many_but_for_those_that_are_used(void **state)
{
    (void)state;
    struct remembered r;
    begin(&r, 10000, 256 * KIB);
    for (uint64_t i = 0; i < 10000; i++) {
        keep(&r, i);
        assert_true(remembered_bytes(&r) <= 256 * KIB);
        for (uint64_t often = 0; often < 10 && often <= i; often++) {
            use(find(&r, often));
        }
        assert_non_null(find(&r, i));
    }
    assert_in_range(r.entries, 600, 256 * KIB / SIZE);
    assert_true(find(&r, 9500) && !find(&r, 5000));
    remembered_finish(&r);

    begin(&r, 100, 1024 * KIB); /* the same by number */
    for (uint64_t i = 0; i < 1000; i++) {
        keep(&r, i);
        assert_true(r.entries <= 100);
    }
    assert_true(r.entries > 50 && find(&r, 999));
    remembered_finish(&r);
}

static void some_are_displaced_though_all_are_used(void **state)
{
    (void)state;
    struct remembered r;
    begin(&r, 10000, 256 * KIB);
    for (uint64_t i = 0; i < 3000; i++) {
        keep(&r, i);
        use(find(&r, i));
        assert_true(remembered_bytes(&r) <= 256 * KIB);
    }
    assert_true(r.entries > 500);
    remembered_finish(&r);
}

static void what_is_too_large_is_not_remembered(void **state)
{
    (void)state;
    struct remembered r;
    begin(&r, 100, 1024 * KIB);
    assert_null(remembered_new(&r, 16 * KIB + 1));
    struct number *large = remembered_new(&r, 16 * KIB); /* more than a piece */
    assert_non_null(large);
    memset((char *)large + sizeof large->at, 1, 16 * KIB - sizeof large->at);
    remembered_put(&r, &large->at, 1);
    assert_in_range(remembered_bytes(&r), 16 * KIB, 16 * KIB + 2 * PIECE);
    remembered_take_out(&r, &large->at);
    remembered_finish(&r);
    assert_int_equal(remembered_bytes(&r), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_comes_and_goes_with_the_entries),
        cmocka_unit_test(a_sweep_takes_out_what_is_of_no_use),
        cmocka_unit_test(who_has_an_entry_keeps_it_alone),
        cmocka_unit_test(old_ones_go_where_there_are_too_many_but_for_those_that_are_used),
        cmocka_unit_test(some_are_displaced_though_all_are_used),
        cmocka_unit_test(what_is_too_large_is_not_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
