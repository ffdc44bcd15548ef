/* What a view has: segments, their deletions, their images; core_applied_test.c has what stands beside them. */
#include "index/core.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/err.h"
#include "core_place.h"
#include "index/image.h"

static void reader_finds_no_file_until_a_writer_made_it(void **state)
{
    struct place *p = *state;
    struct core *reader, *c;
    assert_int_equal(core_open_reader(p->directory, &reader), -ENOENT);
    c = core_place_writer(state);
    assert_int_equal(core_open_reader("/nonexistent", &reader), -ENOENT);
    struct core_view *v = read_view(c, NULL);
    assert_int_equal(v->generation, 0);
    assert_int_equal(v->watermark, 1);
    assert_int_equal(v->segment_count, 0);
    assert_false(core_is_applied(v, 1));
    core_view_release(v);
    core_close(c);
    char path[128];
    snprintf(path, sizeof path, "%s/core.mdb", p->directory);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(core_open_reader(p->directory, &reader), -ENOENT);
}

static void counts_follow_the_marks(void **state)
{
    struct core *c = core_place_writer(state);
    add(c, 1, 200000);
    add(c, 2, 5);
    mark(c, 1, 65530, 10);
    mark(c, 1, 65530, 11);
    mark(c, 2, 4, 1);
    struct core_view *v = read_view(c, NULL);
    assert_int_equal(v->segments[0].deleted, 11);
    assert_int_equal(v->segments[0].live_length, (200000 - 11) * 10);
    assert_null(v->segments[0].chunks[2]);
    assert_true(core_is_deleted(&v->segments[0], 65530) && core_is_deleted(&v->segments[0], 65540));
    assert_false(core_is_deleted(&v->segments[0], 65529) || core_is_deleted(&v->segments[0], 65541));
    assert_int_equal(v->documents, 200000 - 11 + 4);
    assert_int_equal(v->total_length, (200000 - 11 + 4) * 10);
    core_view_release(v);
    core_close(c);
}

static void many_marks_become_bits_and_stay_exact(void **state)
{
    struct core *c = core_place_writer(state);
    add(c, 1, 70000);
    mark(c, 1, 100, 1900);
    mark(c, 1, 2000, 1);
    mark(c, 1, 2001, 50000);
    mark(c, 1, 0, 70000);
    struct core_view *v = read_view(c, NULL);
    assert_int_equal(v->segments[0].deleted, 70000);
    assert_int_equal(v->segments[0].live_length, 0);
    assert_int_equal(v->segments[0].chunks[1]->count, 70000 - 65536);
    core_view_release(v);
    core_close(c);
}

static void views_share_what_did_not_change(void **state)
{
    struct core *c = core_place_writer(state);
    add(c, 1, 200000);
    add(c, 2, 100);
    mark(c, 1, 5, 1);
    mark(c, 1, 70000, 1);
    mark(c, 2, 5, 1);
    struct core_view *first = read_view(c, NULL);
    mark(c, 1, 6, 1);
    struct core_view *second = read_view(c, first);
    assert_ptr_not_equal(first, second);
    assert_ptr_not_equal(first->segments[0].chunks[0], second->segments[0].chunks[0]);
    assert_ptr_equal(first->segments[0].chunks[1], second->segments[0].chunks[1]);
    assert_ptr_equal(first->segments[1].chunks[0], second->segments[1].chunks[0]);
    assert_false(core_is_deleted(&first->segments[0], 6));
    assert_true(core_is_deleted(&second->segments[0], 6));
    core_view_release(first);
    assert_true(core_is_deleted(&second->segments[0], 70000));
    core_view_release(second);
    core_close(c);
}

static void a_merge_replaces_its_inputs(void **state)
{
    struct core *c = core_place_writer(state);
    add(c, 1, 70000);
    add(c, 2, 5);
    add(c, 3, 5);
    mark(c, 1, 1, 1);
    mark(c, 1, 66000, 1);
    mark(c, 3, 1, 1);
    struct deletion_chunk *born = core_chunk_new();
    born->count = 1;
    born->bits[0] = 4;
    struct core_segment out = {
        .id = 9, .documents = 10, .deleted = 1, .live_length = 90, .chunk_count = 1, .chunks = &born};
    uint64_t inputs[] = {1, 2};
    struct core_change change = {.epoch = 1, .added = &out, .removed = inputs, .removed_count = 2};
    assert_int_equal(try_commit(c, &change), 0);
    core_chunk_release(born);
    struct core_view *v = read_view(c, NULL);
    assert_int_equal(v->segment_count, 2);
    assert_int_equal(v->segments[0].id, 3);
    assert_int_equal(v->segments[1].id, 9);
    assert_true(core_is_deleted(&v->segments[1], 2));
    assert_int_equal(v->documents, 4 + 9);
    assert_int_equal(v->total_length, 40 + 90);
    core_view_release(v);
    core_close(c);
}

static void expect_image(const struct core_segment *s, uint32_t bytes, char fill)
{
    assert_non_null(s->image);
    assert_int_equal(s->bytes, bytes);
    assert_int_equal(s->image->size, bytes);
    assert_int_equal((uintptr_t)s->image->bytes % 32, 0);
    for (uint32_t i = 0; i < bytes; i++)
        assert_int_equal(s->image->bytes[i], fill);
}

static void images_are_kept_and_shared_by_views(void **state)
{
    struct core *c = core_place_writer(state);
    static const uint32_t sizes[] = {1, 100, 2039, 2040, 4096, 30000, IMAGE_MOST};
    size_t count = sizeof sizes / sizeof *sizes;
    for (uint64_t i = 0; i < count; i++)
        assert_int_equal(try_add_image(c, i + 1, sizes[i], (char)('a' + i)), 0);
    add(c, 90, 5);
    struct core_view *first = read_view(c, NULL);
    mark(c, 2, 5, 3);
    mark(c, 6, 0, 100); /* so many that its value is written anew, with the image */
    struct core_view *second = read_view(c, first), *fresh = read_view(c, NULL);
    for (uint64_t i = 0; i < count; i++) {
        expect_image(&first->segments[i], sizes[i], (char)('a' + i));
        expect_image(&fresh->segments[i], sizes[i], (char)('a' + i));
        assert_ptr_equal(first->segments[i].image, second->segments[i].image);
    }
    assert_null(first->segments[count].image);
    assert_int_equal(second->segments[1].deleted, 3);
    assert_int_equal(second->segments[5].live_length, 0);
    assert_true(core_view_heap(second) > 30000 + IMAGE_MOST);
    core_view_release(first);
    expect_image(&second->segments[6], IMAGE_MOST, 'g');
    core_view_release(second);
    core_view_release(fresh);
    core_close(c);
}

static void so_many_images_fit_and_so_much_together(void **state)
{
    struct core *c = core_place_writer(state);
    uint64_t inputs[CORE_IMAGES_MOST];
    for (uint64_t i = 0; i < CORE_IMAGES_MOST; i++) {
        inputs[i] = i + 1;
        assert_int_equal(try_add_image(c, i + 1, 100, 'x'), 0);
    }
    assert_int_equal(try_add_image(c, 50, 100, 'x'), ERR_FULL);
    add(c, 51, 5); /* a file does */
    struct core_view *v = read_view(c, NULL);
    assert_int_equal(v->segment_count, CORE_IMAGES_MOST + 1);
    core_view_release(v);
    struct core_change fold = {.epoch = 1, .removed = inputs, .removed_count = CORE_IMAGES_MOST};
    assert_int_equal(try_commit(c, &fold), 0);
    uint64_t last = CORE_IMAGE_BYTES_MOST / IMAGE_MOST;
    for (uint64_t i = 0; i < last; i++)
        assert_int_equal(try_add_image(c, 60 + i, IMAGE_MOST, 'y'), 0);
    assert_int_equal(try_add_image(c, 99, 1, 'z'), ERR_FULL);
    core_close(c);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, core_place_make, core_place_drop)
    static const struct CMUnitTest tests[] = {
        CASE(reader_finds_no_file_until_a_writer_made_it),
        CASE(counts_follow_the_marks),
        CASE(many_marks_become_bits_and_stay_exact),
        CASE(views_share_what_did_not_change),
        CASE(a_merge_replaces_its_inputs),
        CASE(images_are_kept_and_shared_by_views),
        CASE(so_many_images_fit_and_so_much_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
