/* oplog_queue_test - who is written to the log first, how much at once, and that no stream is put out of order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "coordinator/oplog_queue.h"

enum { KIB = 1 << 10, LARGE = 700 * KIB, TINY = KIB };
static const struct oplog_stream books = {1, 1, 0}, films = {2, 1, 0}, plays = {3, 1, 1};

static void put(struct oplog_queue *q, struct append *a, struct oplog_stream s, size_t bytes)
{
    *a = (struct append){.entry = {.stream = s, .operations = {NULL, bytes}, .small = bytes <= TINY}};
    oplog_queue_put(q, a);
}

/* The next group is these, in this order. */
static void expect(struct oplog_queue *q, size_t count, struct append *const want[])
{
    struct append *a = oplog_queue_take(q, true);
    for (size_t i = 0; i < count; i++, a = a->next)
        assert_ptr_equal(a, want[i]);
    assert_null(a);
}

#define EXPECT(q, ...)                                                                                                 \
    expect(q, sizeof((struct append *[]){__VA_ARGS__}) / sizeof(struct append *), (struct append *[]){__VA_ARGS__})

static void writes_small_ones_of_other_streams_first(void **state)
{
    (void)state;
    struct oplog_queue q;
    struct append a[4];
    oplog_queue_init(&q);
    put(&q, &a[0], books, LARGE);
    put(&q, &a[1], books, LARGE);
    put(&q, &a[2], films, TINY);
    put(&q, &a[3], plays, TINY);
    EXPECT(&q, &a[2], &a[3]);
    EXPECT(&q, &a[0]);
    EXPECT(&q, &a[1]);
    assert_null(oplog_queue_take(&q, true));
}

static void lets_nobody_overtake_its_own_stream(void **state)
{
    (void)state;
    struct oplog_queue q;
    struct append a[5];
    oplog_queue_init(&q);
    put(&q, &a[0], books, LARGE);
    put(&q, &a[1], books, TINY);
    put(&q, &a[2], films, TINY);
    put(&q, &a[3], films, LARGE);
    put(&q, &a[4], films, TINY);
    EXPECT(&q, &a[2]);
    EXPECT(&q, &a[0], &a[1]);
    EXPECT(&q, &a[3], &a[4]);
}

static void lets_those_overtake_that_may(void **state)
{
    (void)state;
    struct oplog_queue q;
    struct append a[4];
    oplog_queue_init(&q);
    put(&q, &a[0], books, LARGE);
    put(&q, &a[1], books, TINY);
    put(&q, &a[2], books, TINY);
    put(&q, &a[3], books, LARGE);
    a[2].entry.overtakes = true;
    EXPECT(&q, &a[2]);
    EXPECT(&q, &a[0], &a[1]);
    EXPECT(&q, &a[3]);
}

static void takes_large_ones_in_turn_however_many_small_ones_come(void **state)
{
    (void)state;
    struct oplog_queue q;
    struct append large[3], small[4];
    oplog_queue_init(&q);
    for (size_t i = 0; i < 3; i++)
        put(&q, &large[i], books, LARGE);
    put(&q, &small[0], films, TINY);
    EXPECT(&q, &small[0]);
    put(&q, &small[1], films, TINY);
    EXPECT(&q, &small[1], &large[0]);
    put(&q, &small[2], films, TINY);
    EXPECT(&q, &small[2]);
    put(&q, &small[3], films, TINY);
    EXPECT(&q, &small[3], &large[1]);
    EXPECT(&q, &large[2]);
}

static void bounds_a_group_but_takes_one_of_any_size(void **state)
{
    (void)state;
    struct oplog_queue q;
    struct append a[6];
    oplog_queue_init(&q);
    put(&q, &a[0], books, 16 * OPLOG_GROUP);
    for (size_t i = 1; i < 6; i++)
        put(&q, &a[i], films, OPLOG_GROUP / 4);
    EXPECT(&q, &a[0]);
    EXPECT(&q, &a[1], &a[2], &a[3], &a[4]);
    EXPECT(&q, &a[5]);
}

static void takes_all_when_nobody_is_in_a_hurry(void **state)
{
    (void)state;
    struct oplog_queue q;
    struct append a[3];
    oplog_queue_init(&q);
    for (size_t i = 0; i < 3; i++)
        put(&q, &a[i], i ? films : books, LARGE);
    struct append *group = oplog_queue_take(&q, false);
    for (size_t i = 0; i < 3; i++, group = group->next)
        assert_ptr_equal(group, &a[i]);
    assert_null(group);
    assert_null(oplog_queue_take(&q, false));
}

static void writes_small_ones_along_with_little_else(void **state)
{
    (void)state;
    struct oplog_queue q;
    struct append a[2];
    oplog_queue_init(&q);
    put(&q, &a[0], books, OPLOG_BESIDE);
    put(&q, &a[1], films, TINY);
    EXPECT(&q, &a[1], &a[0]);
    assert_null(oplog_queue_take(&q, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_small_ones_of_other_streams_first),
        cmocka_unit_test(lets_nobody_overtake_its_own_stream),
        cmocka_unit_test(lets_those_overtake_that_may),
        cmocka_unit_test(takes_large_ones_in_turn_however_many_small_ones_come),
        cmocka_unit_test(bounds_a_group_but_takes_one_of_any_size),
        cmocka_unit_test(takes_all_when_nobody_is_in_a_hurry),
        cmocka_unit_test(writes_small_ones_along_with_little_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
