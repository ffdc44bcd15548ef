#include "index/snapshot.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// cmocka wants the four above first
#include <cmocka.h>

#include "common/err.h"
#include "common/hash.h"
#include "index/image.h"
#include "index/score.h"

/* One segment whose terms are "every n-th document", deleted in large and small steps; frequencies are compared with
 * counting, also in generations that are held while the journal of deletions is overrun. */
enum { DOCUMENTS = 200000, HELD = 4 };

static const uint32_t strides[] = {1, 2, 3, 7, 50, 1000, 65537, 199999};

struct place {
    char directory[64];
    struct core *core;
};

static struct image *write_home(const char *directory, uint64_t id, uint32_t documents, size_t image)
{
    char path[128];
    snapshot_segment_path(directory, id, path, sizeof path);
    struct segment_options options = {.id = id, .transaction = 1 << 22, .analyzer = STR("1 test"), .image = image};
    struct segment_writer *w;
    assert_int_equal(segment_writer_open(path, &options, &w), 0);
    segment_writer_field(w, STR("f"));
    for (uint32_t i = 0; i < documents; i++) {
        char room[16];
        struct segment_document d = {.stamp = id * 1000000 + i,
                                     .id = {room, (size_t)snprintf(room, sizeof room, "%u", i)},
                                     .body = STR("{}"),
                                     .length_code = 1};
        d.hash = hash64(d.id);
        segment_writer_document(w, &d);
    }
    for (size_t t = 0; t < sizeof strides / sizeof *strides; t++) {
        char key[16];
        const uint32_t p = 1;
        segment_writer_term(w, (struct str){key, (size_t)snprintf(key, sizeof key, "s%zu", t)});
        for (uint32_t i = 0; i < documents; i += strides[t])
            segment_writer_posting(w, i, 1, &p, 1);
    }
    struct segment_result result;
    assert_int_equal(segment_writer_finish(w, &result), 0);
    return result.image;
}

static void write_segment(const char *directory, uint64_t id, uint32_t documents)
{
    assert_null(write_home(directory, id, documents, 0));
}

/* `image` may be NULL: then there is a file. */
static void commit_segment(struct place *p, uint64_t id, uint32_t documents, struct image *image)
{
    struct deletion_chunk *none[4] = {0};
    struct core_segment s = {.id = id,
                             .documents = documents,
                             .live_length = documents,
                             .chunk_count = core_chunks(documents),
                             .chunks = none,
                             .bytes = image ? image->size : 0,
                             .image = image};
    struct core_change change = {.epoch = 1, .added = &s};
    uint64_t generation;
    assert_int_equal(core_begin(p->core), 0);
    assert_int_equal(core_commit(p->core, &change, &generation), 0);
}

static void add_segment(struct place *p, uint64_t id, uint32_t documents)
{
    write_segment(p->directory, id, documents);
    commit_segment(p, id, documents, NULL);
}

static void add_image(struct place *p, uint64_t id, uint32_t documents)
{
    struct image *image = write_home(p->directory, id, documents, IMAGE_MOST);
    assert_non_null(image);
    commit_segment(p, id, documents, image);
    image_release(image);
}

static void mark(struct place *p, uint64_t segment, uint32_t first, uint32_t count, uint32_t step)
{
    struct core_mark *marks = calloc(count, sizeof *marks);
    uint32_t n = 0;
    for (uint32_t document = first; n < count && document < DOCUMENTS; document += step)
        marks[n++] = (struct core_mark){.segment = segment, .document = document, .length = 1};
    struct core_change change = {.epoch = 1, .marks = marks, .mark_count = n};
    uint64_t generation;
    assert_int_equal(core_begin(p->core), 0);
    assert_int_equal(core_commit(p->core, &change, &generation), 0);
    free(marks);
}

static struct snapshot *look(struct place *p, struct snapshot *previous)
{
    struct core_view *view;
    struct snapshot *s;
    struct segment_fault culprit;
    assert_int_equal(core_read(p->core, previous ? previous->view : NULL, &view), 0);
    assert_int_equal(snapshot_open(p->directory, view, previous, &s, &culprit), 0);
    return s;
}

static int64_t frequency_of(struct snapshot_segment *s, struct str key)
{
    struct term term;
    return snapshot_term(s, key, &term);
}

static void check(struct snapshot *s)
{
    for (size_t t = 0; t < sizeof strides / sizeof *strides; t++) {
        char room[16];
        struct str key = {room, (size_t)snprintf(room, sizeof room, "s%zu", t)};
        int64_t count = 0;
        for (uint32_t i = 0; i < s->segments[0].core->documents; i += strides[t])
            count += !core_is_deleted(s->segments[0].core, i);
        assert_int_equal(frequency_of(&s->segments[0], key), count);
    }
    assert_int_equal(frequency_of(&s->segments[0], STR("snone")), 0);
}

static int make_place(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    strcpy(p->directory, "/tmp/mayfly-snapshot-XXXXXX");
    assert_non_null(mkdtemp(p->directory));
    assert_int_equal(core_open_writer(p->directory, &p->core), 0);
    *state = p;
    return 0;
}

static int drop_place(void **state)
{
    struct place *p = *state;
    char command[128];
    core_close(p->core);
    snprintf(command, sizeof command, "rm -rf %s", p->directory);
    assert_int_equal(system(command), 0);
    free(p);
    return 0;
}

static void frequencies_stay_exact_through_deletions_great_and_small(void **state)
{
    static const struct {
        uint32_t first, count, step;
    } steps[] = {{5, 1, 1},     {50, 3, 50},   {0, 20000, 7}, {100000, 1, 1}, {1, 30000, 2},  {3, 30000, 2},
                 {90000, 2, 1}, {60001, 9, 3}, {0, 66000, 3}, {199998, 1, 1}, {65530, 20, 1}, {0, DOCUMENTS, 1}};
    struct place *p = *state;
    add_segment(p, 1, DOCUMENTS);
    struct snapshot *held[HELD] = {look(p, NULL)};
    check(held[0]);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        mark(p, 1, steps[i].first, steps[i].count, steps[i].step);
        struct snapshot *newest = held[i % HELD], **place = &held[(i + 1) % HELD];
        struct snapshot *s = look(p, newest);
        assert_ptr_equal(s->segments[0].segment, newest->segments[0].segment);
        check(s);
        snapshot_release(*place);
        *place = s;
        for (size_t h = 0; h < HELD; h++) {
            if (held[h])
                check(held[h]);
        }
    }
    for (size_t h = 0; h < HELD; h++)
        snapshot_release(held[h]);
}

/* From one generation two others, as when a snapshot could not be kept. */
static void branches_of_a_generation_do_not_mix(void **state)
{
    struct place *p = *state;
    add_segment(p, 1, DOCUMENTS);
    struct snapshot *root = look(p, NULL);
    mark(p, 1, 0, 100, 1000);
    struct snapshot *one = look(p, root);
    check(one);
    mark(p, 1, 7, 500, 7);
    struct snapshot *other = look(p, root);
    check(other);
    check(one);
    check(root);
    mark(p, 1, 1, 5, 1);
    struct snapshot *last = look(p, one);
    check(last);
    check(other);
    snapshot_release(root);
    snapshot_release(one);
    check(other);
    snapshot_release(other);
    check(last);
    snapshot_release(last);
}

static void the_live_version_of_an_id_is_found(void **state)
{
    struct place *p = *state;
    add_segment(p, 1, 100);
    add_segment(p, 2, 50);
    mark(p, 1, 0, 49, 1);
    mark(p, 2, 49, 1, 1);
    struct snapshot *s = look(p, NULL);
    static const struct {
        const char *id;
        bool found;
        size_t segment;
    } cases[] = {{"0", true, 1}, {"48", true, 1}, {"49", true, 0}, {"50", true, 0}, {"99", true, 0}, {"100", false, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t segment;
        uint32_t document;
        int err;
        struct str id = str_of(cases[i].id);
        assert_int_equal(snapshot_find(s, hash64(id), id, &segment, &document, &err), cases[i].found);
        assert_int_equal(err, 0);
        if (cases[i].found) {
            assert_int_equal(segment, cases[i].segment);
            assert_int_equal(document, strtoul(cases[i].id, NULL, 10));
        }
    }
    snapshot_release(s);
}

static void a_segment_that_is_not_there_is_named(void **state)
{
    struct place *p = *state;
    add_segment(p, 1, 100);
    add_segment(p, 2, 50);
    char path[128];
    snapshot_segment_path(p->directory, 2, path, sizeof path);
    assert_int_equal(unlink(path), 0);
    struct core_view *view;
    struct snapshot *s;
    struct segment_fault culprit;
    assert_int_equal(core_read(p->core, NULL, &view), 0);
    assert_int_equal(snapshot_open(p->directory, view, NULL, &s, &culprit), -ENOENT);
    assert_int_equal(culprit.segment, 2);
    assert_null(culprit.section);
    write_segment(p->directory, 2, 49); /* another one of that name */
    assert_int_equal(snapshot_open(p->directory, view, NULL, &s, &culprit), ERR_CORRUPT);
    assert_int_equal(culprit.segment, 2);
    assert_string_equal(culprit.section, "TOC, which is of another segment");
    core_view_release(view);
}

static void an_image_is_searched_like_a_file(void **state)
{
    struct place *p = *state;
    add_image(p, 1, 300);
    add_segment(p, 2, 20);
    struct snapshot *first = look(p, NULL);
    check(first);
    mark(p, 1, 0, 150, 2);
    struct snapshot *second = look(p, first);
    assert_ptr_equal(first->segments[0].segment, second->segments[0].segment);
    check(second);
    check(first);
    struct footprint both;
    snapshot_footprint(second, &both);
    assert_int_equal(both.mapped, segment_bytes(second->segments[1].segment));
    assert_true(both.heap > segment_bytes(second->segments[0].segment));
    snapshot_release(first);
    snapshot_trim(second); /* takes nothing of the heap */
    check(second);
    size_t segment;
    uint32_t document;
    int err;
    assert_true(snapshot_find(second, hash64(STR("299")), STR("299"), &segment, &document, &err));
    assert_int_equal(segment, 0);
    assert_int_equal(document, 299);
    snapshot_release(second);
}

static void a_damaged_image_is_named(void **state)
{
    struct place *p = *state;
    struct image *image = write_home(p->directory, 7, 50, IMAGE_MOST);
    image->bytes[image->size - 1] ^= 1;
    commit_segment(p, 7, 50, image);
    image_release(image);
    struct core_view *view;
    struct snapshot *s;
    struct segment_fault culprit;
    char text[FAULT_TEXT];
    assert_int_equal(core_read(p->core, NULL, &view), 0);
    assert_int_equal(snapshot_open(p->directory, view, NULL, &s, &culprit), ERR_CORRUPT);
    segment_fault_text(&culprit, text);
    assert_string_equal(text, "core.mdb, image of segment 7, its table");
    core_view_release(view);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, make_place, drop_place)
    static const struct CMUnitTest tests[] = {
        CASE(frequencies_stay_exact_through_deletions_great_and_small),
        CASE(branches_of_a_generation_do_not_mix),
        CASE(the_live_version_of_an_id_is_found),
        CASE(a_segment_that_is_not_there_is_named),
        CASE(an_image_is_searched_like_a_file),
        CASE(a_damaged_image_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
