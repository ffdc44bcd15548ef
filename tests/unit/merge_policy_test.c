/* merge_policy_test - which segments are merged when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "coordinator/merge_policy.h"

enum { COUNT = 100 };

static size_t fill(struct stream_segment *s, size_t count, uint64_t bytes)
{
    for (size_t i = 0; i < count; i++)
        s[i] = (struct stream_segment){.id = i + 1, .bytes = bytes, .documents = 100};
    return count;
}

static void eight_alike_become_one(void **state)
{
    (void)state;
    struct stream_segment s[COUNT];
    uint64_t ids[MERGE_MOST];
    fill(s, 8, 3 << 20);
    assert_int_equal(merge_policy_choose(s, 7, ids), 0);
    assert_int_equal(merge_policy_choose(s, 8, ids), 8);
    s[3].bytes = 300 << 20; /* of another tier */
    assert_int_equal(merge_policy_choose(s, 8, ids), 0);
}

static void what_was_folded_is_not_merged_with_what_was_merged(void **state)
{
    (void)state;
    struct stream_segment s[COUNT];
    uint64_t ids[MERGE_MOST];
    fill(s, 10, 80 << 10);
    s[0].bytes = s[1].bytes = s[2].bytes = 200 << 10;
    assert_int_equal(merge_policy_choose(s, 10, ids), 0);
    fill(s, 11, 80 << 10);
    s[0].bytes = s[1].bytes = s[2].bytes = 200 << 10;
    assert_int_equal(merge_policy_choose(s, 11, ids), 8);
    assert_int_equal(ids[0], 4);
}

static void what_is_merging_is_left_alone(void **state)
{
    (void)state;
    struct stream_segment s[COUNT];
    uint64_t ids[MERGE_MOST];
    fill(s, 9, 1000);
    s[0].merging = s[1].merging = true;
    assert_int_equal(merge_policy_choose(s, 9, ids), 0);
    assert_int_equal(merge_policy_all(s, 9, ids), 0);
}

static void deleted_documents_are_cleaned(void **state)
{
    (void)state;
    struct stream_segment s[COUNT];
    uint64_t ids[MERGE_MOST];
    fill(s, 2, 1000);
    s[1].deleted = 20;
    assert_int_equal(merge_policy_choose(s, 2, ids), 0);
    s[1].deleted = 21;
    assert_int_equal(merge_policy_choose(s, 2, ids), 1);
    assert_int_equal(ids[0], 2);
}

static void optimize_takes_all(void **state)
{
    (void)state;
    struct stream_segment s[COUNT];
    uint64_t ids[MERGE_MOST];
    fill(s, COUNT, 1000);
    assert_int_equal(merge_policy_all(s, 0, ids), 0);
    assert_int_equal(merge_policy_all(s, 1, ids), 0);
    assert_int_equal(merge_policy_all(s, 2, ids), 2);
    s[0].deleted = 1;
    assert_int_equal(merge_policy_all(s, 1, ids), 1);
    s[0].bytes = 1 << 20; /* the largest waits for the last step */
    assert_int_equal(merge_policy_all(s, COUNT, ids), MERGE_MOST);
    for (size_t i = 0; i < MERGE_MOST; i++)
        assert_int_not_equal(ids[i], 1);
}

static void many_or_large_images_become_a_file(void **state)
{
    (void)state;
    struct stream_segment s[COUNT];
    uint64_t ids[MERGE_MOST];
    bool again;
    fill(s, COUNT, FOLD_SMALL_BYTES);
    for (size_t i = 0; i < 2 * FOLD_IMAGES; i += 2)
        s[i].image = true;
    assert_int_equal(merge_policy_fold(s, 2 * FOLD_IMAGES - 2, ids, &again), 0);
    assert_int_equal(merge_policy_fold(s, 2 * FOLD_IMAGES, ids, &again), FOLD_IMAGES);
    assert_false(again);
    for (size_t i = 0; i < FOLD_IMAGES; i++)
        assert_int_equal(ids[i], 1 + 2 * i); /* and no file */
    s[0].merging = true;
    assert_int_equal(merge_policy_fold(s, 2 * FOLD_IMAGES, ids, &again), 0);
    s[2].bytes = FOLD_BYTES; /* few, but large */
    assert_int_equal(merge_policy_fold(s, 3, ids, &again), 1);
    assert_int_equal(ids[0], 3);
    assert_false(again);
}

static void small_images_become_one_before(void **state)
{
    (void)state;
    struct stream_segment s[COUNT];
    uint64_t ids[MERGE_MOST];
    bool again;
    fill(s, COUNT, 1000);
    for (size_t i = 0; i < COUNT; i++)
        s[i].image = true;
    s[4].bytes = FOLD_SMALL_BYTES;
    assert_int_equal(merge_policy_fold(s, FOLD_SMALL, ids, &again), 0);
    assert_int_equal(merge_policy_fold(s, FOLD_SMALL + 1, ids, &again), FOLD_SMALL);
    assert_true(again);
    assert_int_equal(ids[3], 4);
    assert_int_equal(ids[4], 6); /* and not the large one */
    assert_int_equal(merge_policy_fold(s, FOLD_IMAGES, ids, &again), FOLD_IMAGES);
    assert_false(again);
}

static void images_are_of_no_tier(void **state)
{
    (void)state;
    struct stream_segment s[COUNT];
    uint64_t ids[MERGE_MOST];
    fill(s, 9, 1000);
    s[0].image = s[1].image = true;
    s[1].deleted = 100;
    assert_int_equal(merge_policy_choose(s, 9, ids), 0);
    assert_int_equal(merge_policy_all(s, 1, ids), 1); /* to become a file */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eight_alike_become_one),
        cmocka_unit_test(what_was_folded_is_not_merged_with_what_was_merged),
        cmocka_unit_test(what_is_merging_is_left_alone),
        cmocka_unit_test(deleted_documents_are_cleaned),
        cmocka_unit_test(optimize_takes_all),
        cmocka_unit_test(many_or_large_images_become_a_file),
        cmocka_unit_test(small_images_become_one_before),
        cmocka_unit_test(images_are_of_no_tier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
