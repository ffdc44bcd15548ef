/* What was applied, and by whom: ranges, epochs, tombstones, the position of another edition, refusals. */
#include "index/core.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/err.h"
#include "core_place.h"

static void ranges_meet_and_move_the_watermark(void **state)
{
    struct core *c = core_place_writer(state);
    apply(c, 5, 7);
    apply(c, 9, 10);
    apply(c, 20, 30);
    struct core_view *v = read_view(c, NULL);
    assert_int_equal(v->watermark, 1);
    assert_int_equal(v->range_count, 3);
    assert_true(core_is_applied(v, 6) && core_is_applied(v, 9) && core_is_applied(v, 20) && core_is_applied(v, 29));
    assert_false(core_is_applied(v, 4) || core_is_applied(v, 7) || core_is_applied(v, 30));
    core_view_release(v);
    apply(c, 7, 9);
    v = read_view(c, NULL);
    assert_int_equal(v->range_count, 2);
    assert_int_equal(v->ranges[0].first, 5);
    assert_int_equal(v->ranges[0].end, 10);
    core_view_release(v);
    apply(c, 1, 5);
    v = read_view(c, NULL);
    assert_int_equal(v->watermark, 10);
    assert_int_equal(v->range_count, 1);
    core_view_release(v);
    apply(c, 10, 20);
    v = read_view(c, NULL);
    assert_int_equal(v->watermark, 30);
    assert_int_equal(v->range_count, 0);
    core_view_release(v);
    core_close(c);
}

static void leaves_gaps_to_others(void **state)
{
    struct core *c = core_place_writer(state);
    static const struct core_range gaps[] = {{4, 5}, {8, 10}}, beyond = {19, 21};
    struct core_change change = {.epoch = 1, .applied = {1, 20}, .gaps = gaps, .gap_count = 2};
    apply(c, 8, 9);
    assert_int_equal(try_commit(c, &change), 0);
    struct core_view *v = read_view(c, NULL);
    assert_int_equal(v->watermark, 4);
    assert_int_equal(v->range_count, 2);
    assert_false(core_is_applied(v, 4) || core_is_applied(v, 9));
    assert_true(core_is_applied(v, 5) && core_is_applied(v, 8) && core_is_applied(v, 19));
    core_view_release(v);
    assert_int_equal(try_commit(c, &change), ERR_STALE);
    apply(c, 9, 10);
    apply(c, 4, 5);
    v = read_view(c, NULL);
    assert_int_equal(v->watermark, 20);
    assert_int_equal(v->range_count, 0);
    core_view_release(v);
    change = (struct core_change){.epoch = 1, .applied = {20, 21}, .gaps = &beyond, .gap_count = 1};
    assert_int_equal(try_commit(c, &change), ERR_INVALID);
    change.gaps = &(struct core_range){20, 22};
    assert_int_equal(try_commit(c, &change), ERR_INVALID);
    core_close(c);
}

static void refuses_what_is_applied_old_or_gone(void **state)
{
    struct core *c = core_place_writer(state);
    apply(c, 1, 10);
    apply(c, 20, 30);
    add(c, 3, 10);
    struct core_view *before = read_view(c, NULL);
    static const struct core_range twice[] = {{1, 10}, {9, 12}, {9, 11}, {15, 21}, {25, 26}, {29, 40}, {12, 40}};
    for (size_t i = 0; i < sizeof twice / sizeof *twice; i++)
        assert_int_equal(try_commit(c, &(struct core_change){.epoch = 1, .applied = twice[i]}), ERR_STALE);
    assert_int_equal(try_commit(c, &(struct core_change){.epoch = 0, .applied = {10, 11}}), ERR_STALE);
    uint64_t gone = 4;
    assert_int_equal(try_commit(c, &(struct core_change){.epoch = 1, .removed = &gone, .removed_count = 1}), ERR_STALE);
    struct deletion_chunk *none = NULL;
    struct core_segment again = {.id = 3, .documents = 1, .chunk_count = 1, .chunks = &none};
    assert_int_equal(try_commit(c, &(struct core_change){.epoch = 1, .added = &again}), ERR_STALE);
    struct core_mark nowhere = {.segment = 4};
    assert_int_equal(try_commit(c, &(struct core_change){.epoch = 1, .marks = &nowhere, .mark_count = 1}), ERR_INVALID);
    struct core_mark past = {.segment = 3, .document = 10};
    assert_int_equal(try_commit(c, &(struct core_change){.epoch = 1, .marks = &past, .mark_count = 1}), ERR_INVALID);
    struct core_view *after = read_view(c, before);
    assert_ptr_equal(before, after);
    core_view_release(after);
    core_view_release(before);
    apply(c, 12, 13);
    core_close(c);
}

static void epoch_only_rises(void **state)
{
    struct core *c = core_place_writer(state);
    assert_int_equal(try_commit(c, &(struct core_change){.epoch = 5, .applied = {1, 2}}), 0);
    assert_int_equal(try_commit(c, &(struct core_change){.epoch = 4, .applied = {2, 3}}), ERR_STALE);
    struct core_view *v = read_view(c, NULL);
    assert_int_equal(v->epoch, 5);
    core_view_release(v);
    core_close(c);
}

static void delete_by_id(struct core *c, uint64_t sequence, uint64_t stamp, const char *id)
{
    struct core_tombstone t = {.hash = strlen(id), .stamp = stamp, .sequence = sequence, .id = str_of(id)};
    struct core_change change = {
        .epoch = 1, .applied = {sequence, sequence + 1}, .tombstones = &t, .tombstone_count = 1};
    assert_int_equal(try_commit(c, &change), 0);
}

static int64_t tombstone(struct core *c, const char *id)
{
    uint64_t stamp;
    assert_int_equal(core_begin(c), 0);
    int err = core_find_tombstone(c, strlen(id), str_of(id), &stamp);
    core_abort(c);
    return err ? err : (int64_t)stamp;
}

static void tombstones_stay_until_the_watermark_passes_them(void **state)
{
    struct core *c = core_place_writer(state);
    delete_by_id(c, 1, 100, "a");
    assert_int_equal(tombstone(c, "a"), -ENOENT);
    delete_by_id(c, 3, 300, "b");
    delete_by_id(c, 5, 500, "b");
    delete_by_id(c, 6, 600, "c");
    delete_by_id(c, 9, 900, "dd");
    assert_int_equal(tombstone(c, "b"), 500);
    assert_int_equal(tombstone(c, "c"), 600);
    uint64_t hash;
    assert_int_equal(core_begin(c), 0);
    assert_int_equal(core_seek_tombstone(c, 0, &hash), 0);
    assert_int_equal(hash, 1);
    assert_int_equal(core_seek_tombstone(c, 2, &hash), 0);
    assert_int_equal(hash, 2);
    assert_int_equal(core_seek_tombstone(c, 3, &hash), -ENOENT);
    core_abort(c);
    apply(c, 2, 3);
    assert_int_equal(tombstone(c, "b"), 500);
    apply(c, 4, 5);
    assert_int_equal(tombstone(c, "b"), -ENOENT);
    assert_int_equal(tombstone(c, "c"), -ENOENT);
    assert_int_equal(tombstone(c, "dd"), 900);
    apply(c, 7, 9);
    assert_int_equal(tombstone(c, "dd"), -ENOENT);
    core_close(c);
}

struct seen {
    size_t count;
    uint64_t stamps, sequences;
    size_t ids; /* bytes */
};

static int see_tombstone(void *context, const struct core_tombstone *t)
{
    struct seen *s = context;
    s->count++;
    s->stamps += t->stamp;
    s->sequences += t->sequence;
    s->ids += t->id.len;
    assert_int_equal(t->hash, t->id.len);
    return 0;
}

static struct seen tombstones(struct core *c)
{
    struct seen s = {0};
    assert_int_equal(core_tombstones(c, see_tombstone, &s), 0);
    return s;
}

/* Of another edition: whatever the file had is replaced, and generations go on above those that were there. */
static void a_position_is_taken_over_whole(void **state)
{
    struct core *c = core_place_writer(state);
    apply(c, 1, 4);
    apply(c, 8, 9);
    delete_by_id(c, 20, 2000, "old");
    add(c, 3, 10);
    assert_int_equal(tombstones(c).count, 1);
    static const struct core_range ranges[] = {{60, 70}, {80, 81}};
    const struct core_position position = {.generation = 500, .watermark = 50, .ranges = ranges, .range_count = 2};
    const struct core_tombstone kept[] = {{.hash = 2, .stamp = 6500, .sequence = 65, .id = STR("aa")},
                                          {.hash = 3, .stamp = 8000, .sequence = 80, .id = STR("bbb")},
                                          {.hash = 4, .stamp = 4000, .sequence = 40, .id = STR("past")}};
    struct core_change change = {.epoch = 1, .position = &position, .tombstones = kept, .tombstone_count = 3};
    assert_int_equal(try_commit(c, &change), 0);
    struct core_view *v = read_view(c, NULL);
    assert_int_equal(v->generation, 501);
    assert_int_equal(v->watermark, 50);
    assert_int_equal(v->range_count, 2);
    assert_memory_equal(v->ranges, ranges, sizeof ranges);
    assert_int_equal(v->segment_count, 1);
    core_view_release(v);
    struct seen s = tombstones(c);
    assert_int_equal(s.count, 2);
    assert_int_equal(s.stamps, 14500);
    assert_int_equal(s.sequences, 145);
    assert_int_equal(s.ids, 5);
    apply(c, 50, 60); /* and it goes on from there */
    assert_int_equal(tombstones(c).count, 1);
    core_close(c);
}

static int count_refusal(void *context, const struct core_refusal *r)
{
    uint64_t *sum = context;
    assert_true(str_equal(r->code, STR("invalid_document")));
    assert_int_equal(r->message.len, 3000);
    *sum += r->sequence * 1000 + r->generation;
    return 0;
}

static void refusals_stay_until_saved(void **state)
{
    struct core *c = core_place_writer(state);
    char message[3000];
    memset(message, 'm', sizeof message);
    for (uint64_t i = 1; i <= 3; i++) {
        struct core_refusal r = {.sequence = i,
                                 .task = 4,
                                 .position = i,
                                 .id = STR("x"),
                                 .code = STR("invalid_document"),
                                 .message = {message, sizeof message}};
        struct core_change change = {.epoch = 1, .applied = {i, i + 1}, .refusals = &r, .refusal_count = 1};
        assert_int_equal(try_commit(c, &change), 0);
    }
    uint64_t sum = 0;
    assert_int_equal(core_refusals(c, count_refusal, &sum), 0);
    assert_int_equal(sum, 6006);
    assert_int_equal(try_commit(c, &(struct core_change){.epoch = 1, .applied = {4, 5}, .refusals_saved = 2}), 0);
    sum = 0;
    assert_int_equal(core_refusals(c, count_refusal, &sum), 0);
    assert_int_equal(sum, 3003);
    core_close(c);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, core_place_make, core_place_drop)
    static const struct CMUnitTest tests[] = {
        CASE(ranges_meet_and_move_the_watermark),
        CASE(leaves_gaps_to_others),
        CASE(refuses_what_is_applied_old_or_gone),
        CASE(epoch_only_rises),
        CASE(tombstones_stay_until_the_watermark_passes_them),
        CASE(a_position_is_taken_over_whole),
        CASE(refusals_stay_until_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
