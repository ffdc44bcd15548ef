/* reader_choice_test - which of a shard's readers is given what comes next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "coordinator/reader_choice.h"

enum { NOW = 1000000 };

static const struct reader_load idle = {.ready = true};

static struct reader_load busy(uint32_t in_flight)
{
    return (struct reader_load){.ready = true, .in_flight = in_flight, .moved_us = NOW};
}

static struct reader_load held_up(uint32_t in_flight)
{
    return (struct reader_load){.ready = true, .in_flight = in_flight, .moved_us = NOW - READER_HELD_UP_US - 1};
}

static struct reader_load silent(void)
{
    return (struct reader_load){.ready = true, .silent = true};
}

static int choose(struct reader_load a, struct reader_load b, struct reader_places places)
{
    const struct reader_load both[] = {a, b};
    places.count = 2;
    return reader_choose(both, &places, NOW);
}

static void counts_those_that_there_are_processors_for(void **state)
{
    (void)state;
    assert_int_equal(readers_at_once(2, 1, 2), 2);
    assert_int_equal(readers_at_once(2, 2, 2), 1);
    assert_int_equal(readers_at_once(2, 8, 2), 1);
    assert_int_equal(readers_at_once(64, 8, 2), 2);
    assert_int_equal(readers_at_once(64, 8, 16), 8);
}

static void gives_it_to_the_one_with_the_least_to_do(void **state)
{
    (void)state;
    assert_int_equal(choose(busy(3), busy(2), (struct reader_places){.at_once = 2}), 1);
    assert_int_equal(choose(busy(2), busy(3), (struct reader_places){.at_once = 2, .turn = 1}), 0);
}

static void of_equally_busy_ones_takes_turns(void **state)
{
    (void)state;
    assert_int_equal(choose(idle, idle, (struct reader_places){.at_once = 2, .turn = 0}), 0);
    assert_int_equal(choose(idle, idle, (struct reader_places){.at_once = 2, .turn = 1}), 1);
    assert_int_equal(choose(idle, idle, (struct reader_places){.at_once = 2, .turn = UINT32_MAX}), 1);
}

static void leaves_alone_who_stands_by(void **state)
{
    (void)state;
    const struct reader_places places = {.at_once = 1, .turn = 1};
    assert_int_equal(choose(busy(READER_AHEAD), idle, places), 0);
    assert_int_equal(choose(idle, busy(READER_AHEAD), (struct reader_places){.at_once = 1, .first = 1}), 1);
}

static void asks_who_stands_by_where_the_other_is_held_up(void **state)
{
    (void)state;
    const struct reader_places places = {.at_once = 1};
    assert_int_equal(choose(held_up(1), idle, places), 1);
    assert_int_equal(choose(held_up(1), busy(5), places), 1);
    assert_int_equal(choose(held_up(1), held_up(1), places), 0);
    assert_int_equal(choose(busy(READER_AHEAD + 1), idle, places), 1);
    assert_int_equal(choose(busy(2 * READER_AHEAD), busy(READER_AHEAD), places), 0);
}

/* It was idle for long, which is no reason. */
static void does_not_take_an_idle_one_for_held_up(void **state)
{
    (void)state;
    assert_int_equal(choose(idle, busy(1), (struct reader_places){.at_once = 1}), 0);
}

static void asks_a_silent_one_only_where_there_is_no_other(void **state)
{
    (void)state;
    const struct reader_places places = {.at_once = 1};
    assert_int_equal(choose(silent(), held_up(40), places), 1);
    assert_int_equal(choose(silent(), (struct reader_load){0}, places), 0);
    assert_int_equal(choose((struct reader_load){0}, (struct reader_load){0}, places), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_those_that_there_are_processors_for),
        cmocka_unit_test(gives_it_to_the_one_with_the_least_to_do),
        cmocka_unit_test(of_equally_busy_ones_takes_turns),
        cmocka_unit_test(leaves_alone_who_stands_by),
        cmocka_unit_test(asks_who_stands_by_where_the_other_is_held_up),
        cmocka_unit_test(does_not_take_an_idle_one_for_held_up),
        cmocka_unit_test(asks_a_silent_one_only_where_there_is_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
