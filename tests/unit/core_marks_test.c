/* Where marks of deleted documents stand, which readers are not to see. */
#include "index/core.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/err.h"
#include "core_place.h"
#include "index/core_keys.h"

static bool has_deletions_of(void **state, uint64_t segment)
{
    return core_place_has(state, CORE_DELETIONS, segment, 0);
}

/* So a small commit writes neither a segment's value nor its deletions; who has a view keeps what it has of them. */
static void few_marks_stand_with_the_meta_value_until_there_are_many(void **state)
{
    struct core *c = core_place_writer(state);
    add(c, 1, 200000);
    add(c, 2, 100);
    for (uint32_t i = 0; i < CORE_RECENT_MOST; i++)
        mark(c, 1 + i % 2, i, 1);
    mark(c, 1, 0, 3); /* two are there already */
    core_close(c);
    assert_true(has_deletions_of(state, 1) && has_deletions_of(state, 2));
    c = core_place_writer(state);
    struct core_view *first = read_view(c, NULL);
    assert_int_equal(first->segments[0].deleted, CORE_RECENT_MOST / 2 + 1);
    assert_int_equal(first->segments[1].deleted, CORE_RECENT_MOST / 2);
    add(c, 3, 100);
    mark(c, 3, 7, 1);
    mark(c, 1, 70000, 2);
    core_close(c);
    assert_false(has_deletions_of(state, 3));
    c = core_place_writer(state);
    struct core_view *second = read_view(c, NULL);
    assert_true(core_is_deleted(&second->segments[2], 7) && core_is_deleted(&second->segments[0], 70001));
    assert_int_equal(second->segments[2].live_length, 990);
    mark(c, 2, 60, 30);
    mark(c, 1, 100, 30); /* together with those before it too many */
    struct core_view *third = read_view(c, second);
    assert_ptr_equal(second->segments[2].chunks[0], third->segments[2].chunks[0]);
    assert_ptr_equal(second->segments[0].chunks[1], third->segments[0].chunks[1]);
    assert_int_equal(third->segments[0].deleted, CORE_RECENT_MOST / 2 + 1 + 2 + 30);
    assert_int_equal(third->segments[1].deleted, CORE_RECENT_MOST / 2 + 30);
    core_close(c);
    assert_true(has_deletions_of(state, 3));
    core_view_release(first);
    core_view_release(second);
    core_view_release(third);
}

static void marks_go_with_the_segment_that_is_merged_away(void **state)
{
    struct core *c = core_place_writer(state);
    uint64_t inputs[] = {1};
    add(c, 1, 100);
    add(c, 2, 100);
    mark(c, 1, 5, 3);
    mark(c, 2, 5, 1);
    struct core_change merge = {.epoch = 1, .removed = inputs, .removed_count = 1};
    assert_int_equal(try_commit(c, &merge), 0);
    struct core_view *v = read_view(c, NULL);
    assert_int_equal(v->segment_count, 1);
    assert_int_equal(v->documents, 99);
    core_view_release(v);
    core_close(c);
}

static void refuses_marks_that_cannot_be(void **state)
{
    struct core *c = core_place_writer(state);
    add(c, 1, 100);
    struct core_mark behind = {.segment = 1, .document = 100, .length = 10}, nowhere = {.segment = 9, .length = 10},
                     longer = {.segment = 1, .length = 1001};
    struct core_change change = {.epoch = 1, .marks = &behind, .mark_count = 1};
    assert_int_equal(try_commit(c, &change), ERR_INVALID);
    change.marks = &nowhere;
    assert_int_equal(try_commit(c, &change), ERR_INVALID);
    change.marks = &longer;
    assert_int_equal(try_commit(c, &change), ERR_CORRUPT);
    struct core_view *v = read_view(c, NULL);
    assert_int_equal(v->documents, 100);
    core_view_release(v);
    core_close(c);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, core_place_make, core_place_drop)
    static const struct CMUnitTest tests[] = {
        CASE(few_marks_stand_with_the_meta_value_until_there_are_many),
        CASE(marks_go_with_the_segment_that_is_merged_away),
        CASE(refuses_marks_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
