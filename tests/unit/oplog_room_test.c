/* Files go when every stream has applied them; what a stuck stream needs of them is carried over. */
#include "coordinator/oplog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/err.h"
#include "common/logger.h"
#include "oplog_life.h"
#include "proto/batch.h"

/* Fills files of 64 MiB with operations of one stream; where the next one begins. */
static uint64_t fill(struct life *l, struct oplog_stream s, uint64_t first, uint64_t bytes)
{
    struct str chunk = make_operations(9, 1 << 20, 'f');
    for (uint64_t written = 0; written < bytes; written += chunk.len, first += 9)
        append_and_wait(l, s, first, 9, chunk);
    release(chunk);
    return first;
}

static void removes_files_that_every_stream_has_applied(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x');
    begin(l, QUOTA);
    append_and_wait(l, films, 1, 1, one);
    uint64_t next = fill(l, books, 1, 80 << 20);
    assert_int_equal(visit_files(l, NULL, NULL), 2);
    oplog_trim(l->log, &books, next);
    assert_int_equal(visit_files(l, NULL, NULL), 2); /* films need the first */
    oplog_trim(l->log, &films, 2);
    assert_true(visit_files(l, NULL, NULL) <= 1);
    assert_true(oplog_bytes(l->log) < 64 << 20);
    end(l);
    begin(l, QUOTA);
    assert_true(oplog_tail(l->log, &films) == 0);
    end(l);
    release(one);
}

static void is_full_at_its_quota_until_enough_is_applied(void **state)
{
    struct life *l = *state;
    begin(l, 64 << 20);
    assert_int_equal(oplog_usable(l->log), 0);
    uint64_t next = fill(l, books, 1, 66 << 20);
    assert_int_equal(oplog_usable(l->log), ERR_FULL);
    oplog_trim(l->log, &books, next);
    assert_int_equal(oplog_usable(l->log), 0);
    fill(l, books, next, 9 << 20);
    assert_int_equal(oplog_usable(l->log), 0);
    end(l);
}

/* Recovery trims by what the survey said, whether the log has the stream or not. */
static void trims_streams_it_has_never_seen(void **state)
{
    struct life *l = *state;
    begin(l, QUOTA);
    for (uint32_t i = 1; i < 300; i++) {
        const struct oplog_stream s = {i, 1, i % 3};
        oplog_trim(l->log, &s, i);
        assert_int_equal(oplog_tail(l->log, &s), 0);
    }
    end(l);
}

/* A stream that no longer exists needs nothing. */
static void forgets_a_dropped_index(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x');
    begin(l, QUOTA);
    append_and_wait(l, films, 1, 1, one);
    uint64_t next = fill(l, books, 1, 80 << 20);
    oplog_drop_index(l->log, films.index);
    oplog_trim(l->log, &books, next);
    assert_true(visit_files(l, NULL, NULL) <= 1);
    end(l);
    release(one);
}

/* All numbers of the stream that come back; every operation must be whole, and of `fill`. */
static struct ranges read_all(struct life *l, struct oplog_stream s, char fill)
{
    struct ranges seen = {.at = NULL};
    struct oplog_entry e;
    int got;
    while ((got = oplog_next(l->log, &e)) > 0) {
        struct str rest = e.operations;
        struct operation o;
        if (memcmp(&e.stream, &s, sizeof s) != 0)
            continue;
        assert_int_equal(e.task, 7);
        for (uint32_t i = 0; i < e.count; i++) {
            assert_int_equal(operation_decode(&rest, &o), 0);
            assert_int_equal(o.stamp, fill);
            for (size_t k = 0; k < o.body.len; k++)
                assert_int_equal(o.body.ptr[k], fill);
        }
        assert_int_equal(rest.len, 0);
        ranges_add(&seen, e.first, e.first + e.count);
    }
    assert_int_equal(got, 0);
    oplog_end_reading(l->log);
    return seen;
}

static void expect_all(struct life *l, struct oplog_stream s, uint64_t count, char fill)
{
    struct ranges seen = read_all(l, s, fill);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.at[0].first, 1);
    assert_int_equal(seen.at[0].end, count + 1);
    ranges_finish(&seen);
}

static void is_not_filled_by_what_stands_beside_a_stuck_stream(void **state)
{
    struct life *l = *state;
    uint64_t most = 0;
    begin(l, SMALL_QUOTA);
    play_stuck(l, 100, &most);
    assert_true(most < SMALL_QUOTA / 2);
    assert_int_equal(oplog_usable(l->log), 0);
    assert_true(visit_files(l, NULL, NULL) <= 4);
    end(l);
    begin(l, SMALL_QUOTA);
    assert_int_equal(oplog_tail(l->log, &films), 101);
    expect_all(l, films, 100, 'f');
    oplog_trim(l->log, &films, 101);
    assert_true(visit_files(l, NULL, NULL) <= 1);
    end(l);
}

/* One that was already full when it was opened: nothing is appended any more, and still there will be room. */
static void makes_room_in_a_full_log_with_a_stuck_stream(void **state)
{
    struct life *l = *state;
    uint64_t most = 0;
    begin(l, 64 * SMALL_QUOTA); /* nobody counts as stuck */
    play_stuck(l, 100, &most);
    assert_true(oplog_bytes(l->log) > 2 * SMALL_QUOTA);
    end(l);
    begin(l, SMALL_QUOTA);
    assert_int_equal(oplog_usable(l->log), ERR_FULL);
    struct ranges seen = read_all(l, films, 'f');
    ranges_finish(&seen);
    oplog_trim(l->log, &books, 101);
    uv_run(&l->loop, UV_RUN_DEFAULT);
    assert_int_equal(oplog_usable(l->log), 0);
    end(l);
    begin(l, SMALL_QUOTA);
    expect_all(l, films, 100, 'f');
    end(l);
}

/* In parts, between which others write, and never a document without all of its fragments. */
static void carries_over_documents_in_fragments(void **state)
{
    struct life *l = *state;
    struct str large = make_operation(9 << 20, 'b'), two = make_operation((5 << 19) + 8, 'f');
    begin(l, 256 << 20); /* files of 32 MiB */
    for (uint64_t i = 1; i <= 5; i++)
        append_and_wait(l, films, i, 1, two);
    for (uint64_t i = 1; i <= 9; i++) {
        append_and_wait(l, books, i, 1, large);
        oplog_trim(l->log, &books, i + 1);
    }
    uv_run(&l->loop, UV_RUN_DEFAULT);
    assert_true(oplog_bytes(l->log) < 64 << 20);
    end(l);
    begin(l, 256 << 20);
    expect_all(l, films, 5, 'f');
    end(l);
    release(large);
    release(two);
}

static void store_oldest(const char *path, void *context)
{
    struct image *oldest = context;
    if (!oldest->bytes || strverscmp(path, oldest->path) < 0) {
        free(oldest->bytes);
        load_image(path, oldest);
    }
}

static void store_newest(const char *path, void *context)
{
    struct image *newest = context;
    if (!newest->bytes || strverscmp(path, newest->path) > 0) {
        free(newest->bytes);
        load_image(path, newest);
    }
}

/* Killed while copies are written, or when they are durable and the old file still stands: all of it is there. */
static void loses_nothing_when_killed_while_it_carries_over(void **state)
{
    struct life *l = *state;
    struct image old = {.size = 0}, fresh = {.size = 0};
    uint64_t most = 0;
    begin(l, 64 * SMALL_QUOTA);
    play_stuck(l, 20, &most);
    visit_files(l, store_oldest, &old);
    end(l);
    begin(l, SMALL_QUOTA);
    struct ranges seen = read_all(l, films, 'f');
    ranges_finish(&seen);
    oplog_trim(l->log, &books, 21);
    end(l); /* it ends when nothing is under way */
    visit_files(l, store_newest, &fresh);
    assert_true(fresh.size < 20 * 500);
    assert_int_not_equal(access(old.path, F_OK), 0);
    for (size_t cut = fresh.size % 701; cut <= fresh.size; cut += 701) {
        store_image(&old, old.size);
        store_image(&fresh, cut);
        begin(l, SMALL_QUOTA);
        expect_all(l, films, 20, 'f');
        end(l);
    }
    free(old.bytes);
    free(fresh.bytes);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, oplog_life_make, oplog_life_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(removes_files_that_every_stream_has_applied),
        CASE(is_full_at_its_quota_until_enough_is_applied),
        CASE(trims_streams_it_has_never_seen),
        CASE(forgets_a_dropped_index),
        CASE(is_not_filled_by_what_stands_beside_a_stuck_stream),
        CASE(makes_room_in_a_full_log_with_a_stuck_stream),
        CASE(carries_over_documents_in_fragments),
        CASE(loses_nothing_when_killed_while_it_carries_over),
    };
    log_open("oplog_room_test", (enum log_level)(LOG_ERROR + 1)); /* torn tails and damage are meant here */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
