#include "index/differences.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants the four above first
#include <cmocka.h>

#include "common/err.h"
#include "common/hash.h"
#include "index/core.h"
#include "index/segment_writer.h"
#include "random.h"

/* Two editions of random documents, dealt to random segments, some of them deleted: what the walk says is compared with
 * two arrays of bits. */

enum { STAMPS = 3000, SEGMENTS = 7, ROUNDS = 20, KEPT_PERCENT = 70 };

struct edition {
    char directory[80];
    struct core *core;
    struct snapshot *snapshot;
    bool live[STAMPS + 1];
};

static void write_document(struct segment_writer *w, uint64_t stamp)
{
    char room[16];
    struct segment_document d = {.stamp = stamp,
                                 .id = {room, (size_t)snprintf(room, sizeof room, "%llu", (unsigned long long)stamp)},
                                 .body = STR("{}"),
                                 .length_code = 1};
    d.hash = hash64(d.id);
    segment_writer_document(w, &d);
}

static void commit(struct core *c, const struct core_change *change)
{
    uint64_t generation;
    assert_int_equal(core_begin(c), 0);
    assert_int_equal(core_commit(c, change, &generation), 0);
}

/* Stamps that `of` deals to this segment; some of them end up deleted. */
static void add_segment(struct edition *e, const uint8_t *of, uint64_t id)
{
    char path[200];
    struct segment_options options = {.id = id, .transaction = 1 << 22, .analyzer = STR("1 test")};
    struct segment_writer *w;
    struct segment_result result;
    struct core_mark *marks = calloc(STAMPS, sizeof *marks);
    size_t mark_count = 0;
    uint32_t documents = 0;
    snapshot_segment_path(e->directory, id, path, sizeof path);
    assert_int_equal(segment_writer_open(path, &options, &w), 0);
    for (uint64_t stamp = 1; stamp <= STAMPS; stamp++) {
        if (of[stamp] != id)
            continue;
        write_document(w, stamp);
        e->live[stamp] = next() % 100 < KEPT_PERCENT;
        if (!e->live[stamp])
            marks[mark_count++] = (struct core_mark){.segment = id, .document = documents, .length = 1};
        documents++;
    }
    assert_int_equal(segment_writer_finish(w, &result), 0);
    struct deletion_chunk *none = NULL;
    struct core_segment s = {.id = id, .documents = documents, .live_length = documents, .chunk_count = 1, .chunks = &none};
    if (documents) {
        commit(e->core, &(struct core_change){.epoch = 1, .added = &s});
        commit(e->core, &(struct core_change){.epoch = 1, .marks = marks, .mark_count = mark_count});
    }
    free(marks);
}

/* Of stamps that are `part` of so many parts: as shards have them. */
static void open_part(struct edition *e, const char *root, unsigned number, unsigned parts, unsigned part)
{
    uint8_t of[STAMPS + 1];
    uint64_t segments = next() % SEGMENTS;
    struct core_view *view;
    struct segment_fault fault;
    memset(e->live, 0, sizeof e->live);
    snprintf(e->directory, sizeof e->directory, "%s/%u", root, number);
    assert_int_equal(core_open_writer(e->directory, &e->core), 0);
    for (uint64_t stamp = 1; stamp <= STAMPS; stamp++)
        of[stamp] = stamp % parts == part ? (uint8_t)next() % (SEGMENTS + 1) : 0;
    for (uint64_t id = 1; id <= segments; id++)
        add_segment(e, of, id);
    assert_int_equal(core_read(e->core, NULL, &view), 0);
    assert_int_equal(snapshot_open(e->directory, view, NULL, &e->snapshot, &fault), 0);
}

static void open_edition(struct edition *e, const char *root, unsigned number)
{
    open_part(e, root, number, 1, 0);
}

static void close_edition(struct edition *e)
{
    snapshot_release(e->snapshot);
    core_close(e->core);
}

static void expect_named(const struct edition *e, const struct difference *d)
{
    assert_in_range(d->segment, 0, e->snapshot->segment_count - 1);
    const struct snapshot_segment *s = &e->snapshot->segments[d->segment];
    assert_int_equal(segment_stamps(s->segment)[d->document], d->stamp);
    assert_false(core_is_deleted(s->core, d->document));
}

static void expect_differences(const struct edition *from, const struct edition *to, uint64_t first)
{
    struct differences walk;
    struct difference d;
    struct segment_fault fault;
    uint64_t at = first;
    assert_int_equal(differences_open(&walk, (const struct snapshot *[]){from->snapshot}, 1, to->snapshot, first, &fault), 0);
    while (differences_next(&walk, &d)) {
        for (; at < d.stamp; at++)
            assert_int_equal(from->live[at], to->live[at]);
        assert_true(d.is_surplus ? to->live[at] && !from->live[at] : from->live[at] && !to->live[at]);
        expect_named(d.is_surplus ? to : from, &d);
        at++;
    }
    for (; at <= STAMPS; at++)
        assert_int_equal(from->live[at], to->live[at]);
    differences_close(&walk);
}

/* Two shards together, and the one that is to be what they are. */
static void tell_shards_apart(void **state)
{
    static struct edition from[2], to;
    char root[] = "/tmp/mayfly-differences-XXXXXX", command[80];
    struct differences walk;
    struct difference d;
    struct segment_fault fault;
    uint64_t at = 1;
    (void)state;
    assert_non_null(mkdtemp(root));
    open_part(&from[0], root, 1, 2, 0);
    open_part(&from[1], root, 2, 2, 1);
    open_edition(&to, root, 3);
    const struct snapshot *snapshots[] = {from[0].snapshot, from[1].snapshot};
    assert_int_equal(differences_open(&walk, snapshots, 2, to.snapshot, 1, &fault), 0);
    while (differences_next(&walk, &d)) {
        for (; at < d.stamp; at++)
            assert_int_equal(from[at % 2].live[at], to.live[at]);
        assert_true(d.is_surplus ? !from[at % 2].live[at] : d.snapshot == at % 2);
        expect_named(d.is_surplus ? &to : &from[d.snapshot], &d);
        at++;
    }
    differences_close(&walk);
    close_edition(&from[0]);
    close_edition(&from[1]);
    close_edition(&to);
    snprintf(command, sizeof command, "rm -rf %s", root);
    assert_int_equal(system(command), 0);
}

static void tell_the_live_documents_apart(void **state)
{
    static struct edition from, to;
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        char root[] = "/tmp/mayfly-differences-XXXXXX", command[80];
        assert_non_null(mkdtemp(root));
        open_edition(&from, root, 1);
        open_edition(&to, root, 2);
        expect_differences(&from, &to, 1);
        expect_differences(&to, &from, 1);
        expect_differences(&from, &from, 1);
        expect_differences(&from, &to, 1 + next() % (STAMPS + 10));
        close_edition(&from);
        close_edition(&to);
        snprintf(command, sizeof command, "rm -rf %s", root);
        assert_int_equal(system(command), 0);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(tell_the_live_documents_apart),
                                              cmocka_unit_test(tell_shards_apart)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
