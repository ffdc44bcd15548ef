/* A log that is in use: its operations are read again, and writes fail. */
#include "coordinator/oplog.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/err.h"
#include "common/logger.h"
#include "oplog_life.h"
#include "proto/batch.h"

struct again {
    char *bytes;
    int64_t size;
    uint64_t lost;
    bool done;
};

static void on_read_again(void *context, int64_t bytes, uint64_t lost)
{
    struct again *a = context;
    a->size = bytes;
    a->lost = lost;
    a->done = true;
}

static struct again read_again(struct life *l, struct oplog_stream s, uint64_t first, uint64_t end, size_t room)
{
    struct again a = {.bytes = malloc(room)};
    const struct oplog_reading r = {
        .stream = s, .numbers = {first, end}, .to = a.bytes, .room = room, .done = on_read_again, .context = &a};
    assert_int_equal(oplog_read(l->log, &r), 0);
    assert_false(oplog_is_idle(l->log));
    while (!a.done)
        uv_run(&l->loop, UV_RUN_ONCE);
    return a;
}

/* The operations must be whole; which are LOST is told as '-' among their stamps. */
static void expect_again(struct life *l, struct oplog_stream s, uint64_t first, const char *stamps, size_t room)
{
    struct again a = read_again(l, s, first, first + strlen(stamps), room);
    assert_true(a.size > 0);
    struct str rest = {a.bytes, (size_t)a.size};
    uint64_t lost = 0;
    for (; *stamps; stamps++) {
        struct operation o;
        assert_int_equal(operation_decode(&rest, &o), 0);
        assert_int_equal(o.kind == OPERATION_LOST, *stamps == '-');
        lost += *stamps == '-';
        for (size_t k = 0; k < o.body.len; k++)
            assert_int_equal(o.body.ptr[k], *stamps);
    }
    assert_int_equal(rest.len, 0);
    assert_int_equal(a.lost, lost);
    free(a.bytes);
}

static void reads_again_what_is_durable(void **state)
{
    struct life *l = *state;
    struct str small = make_operations(3, 100, 'a'), other = make_operation(70, 'b');
    struct str large = make_operation(3 << 20, 'c');
    begin(l, QUOTA);
    append(l, books, 1, 3, small);
    append(l, films, 1, 1, other);
    append_and_wait(l, books, 4, 1, large);
    append(l, books, 5, 3, small);
    while (l->done < 4)
        uv_run(&l->loop, UV_RUN_ONCE);
    expect_again(l, books, 1, "aaacaaa", large.len + 2 * small.len);
    expect_again(l, books, 2, "aac", large.len + small.len);
    expect_again(l, books, 6, "a", small.len / 3); /* no more room than it takes */
    expect_again(l, films, 1, "b", other.len);
    struct again a = read_again(l, books, 1, 8, large.len);
    assert_int_equal(a.size, ERR_FULL);
    free(a.bytes);
    end(l);
    release(small);
    release(other);
    release(large);
}

static void reads_again_what_was_carried_over(void **state)
{
    struct life *l = *state;
    uint64_t most = 0;
    char stamps[101] = {0};
    memset(stamps, 'f', 100);
    begin(l, SMALL_QUOTA);
    play_stuck(l, 100, &most);
    expect_again(l, films, 1, stamps, 100 * operation_size(2, 300));
    expect_again(l, films, 40, stamps + 50, 50 * operation_size(2, 300));
    end(l);
}

/* While it is in use: nobody opens it anew. */
static void says_lost_for_what_was_damaged_since(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x'), large = make_operation((5 << 19) + 8, 'x');
    size_t record = RECORD_HEAD + one.len;
    struct image image = {.size = 0};
    const struct {
        size_t at;
        const char *stamps;
    } flips[] = {{FILE_HEAD + record + 30, "x-xxxx"},
                 {FILE_HEAD + 2 * record + 100, "xx-xxx"},
                 {FILE_HEAD + 3 * record + RECORD_HEAD + 9, "xxx-xx"},
                 {FILE_HEAD + 3 * record + (2 << 20), "xxx-xx"}};
    begin(l, QUOTA);
    for (uint64_t i = 1; i <= 6; i++)
        append_and_wait(l, books, i, 1, i == 4 ? large : one);
    visit_files(l, load_image, &image);
    for (size_t i = 0; i < sizeof flips / sizeof flips[0]; i++) {
        image.bytes[flips[i].at] ^= 1;
        store_image(&image, image.size);
        expect_again(l, books, 1, flips[i].stamps, 6 * large.len);
        image.bytes[flips[i].at] ^= 1;
    }
    store_image(&image, FILE_HEAD + 2 * record);
    expect_again(l, books, 1, "xx----", large.len + 5 * one.len);
    end(l);
    free(image.bytes);
    release(one);
    release(large);
}

/* The disk says no to everything past `bytes` of a file: fault injection by the kernel. */
static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void says_durable_only_once_a_failed_write_succeeded(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(2000, 'x');
    signal(SIGXFSZ, SIG_IGN);
    begin(l, QUOTA);
    append_and_wait(l, books, 1, 1, one);
    limit_file_size(3000);
    append(l, books, 2, 1, one);
    append(l, books, 3, 1, one);
    while (oplog_usable(l->log) == 0)
        uv_run(&l->loop, UV_RUN_ONCE);
    assert_int_equal(oplog_usable(l->log), -EFBIG);
    assert_int_equal(l->done, 1);
    limit_file_size(RLIM_INFINITY);
    while (l->done < 3)
        uv_run(&l->loop, UV_RUN_ONCE);
    assert_int_equal(oplog_usable(l->log), 0);
    append_and_wait(l, books, 4, 1, one);
    end(l);
    release(one);
}

/* What a failed group left behind may come back a second time, never less and never out of order. */
static void loses_nothing_to_a_failed_write(void **state)
{
    struct life *l = *state;
    says_durable_only_once_a_failed_write_succeeded(state);
    begin(l, QUOTA);
    assert_int_equal(oplog_tail(l->log, &books), 5);
    struct oplog_entry e;
    uint64_t reached = 1;
    while (oplog_next(l->log, &e) > 0) {
        assert_true(e.first <= reached);
        if (e.first + e.count > reached)
            reached = e.first + e.count;
    }
    assert_int_equal(reached, 5);
    oplog_end_reading(l->log);
    end(l);
}

/* Each two are a file of SMALL_QUOTA. */
static void append_four(struct life *l, struct str one)
{
    begin(l, SMALL_QUOTA);
    for (uint64_t i = 1; i < 5; i++)
        append_and_wait(l, books, i, 1, one);
}

static void trim_and_wait(struct life *l)
{
    oplog_trim(l->log, &books, 4);
    while (!oplog_is_idle(l->log))
        uv_run(&l->loop, UV_RUN_ONCE);
}

static void what_is_freed_stays_whole_in_a_backup(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(100 << 10, 'a');
    char first[PATH], kept[PATH];
    append_four(l, one);
    snprintf(first, sizeof first, "%s/1.log", l->directory);
    snprintf(kept, sizeof kept, "%s/kept", l->directory);
    assert_int_equal(link(first, kept), 0);
    size_t size = size_of(kept);
    trim_and_wait(l);
    assert_true(size > 2 * one.len);
    assert_int_equal(size_of(kept), size);
    assert_int_equal(unlink(kept), 0);
    end(l);
    release(one);
}

static void what_is_freed_stays_whole_for_who_reads_it(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(100 << 10, 'a');
    struct again a = {.bytes = malloc(one.len)};
    const struct oplog_reading r = {
        .stream = books, .numbers = {1, 2}, .to = a.bytes, .room = one.len, .done = on_read_again, .context = &a};
    append_four(l, one);
    assert_int_equal(oplog_read(l->log, &r), 0);
    trim_and_wait(l);
    assert_true(a.done);
    assert_int_equal(a.size, one.len);
    assert_memory_equal(a.bytes + one.len - 64, one.ptr + one.len - 64, 64);
    free(a.bytes);
    end(l);
    release(one);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, oplog_life_make, oplog_life_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(reads_again_what_is_durable),
        CASE(reads_again_what_was_carried_over),
        CASE(says_lost_for_what_was_damaged_since),
        CASE(says_durable_only_once_a_failed_write_succeeded),
        CASE(loses_nothing_to_a_failed_write),
        CASE(what_is_freed_stays_whole_in_a_backup),
        CASE(what_is_freed_stays_whole_for_who_reads_it),
    };
    log_open("oplog_use_test", (enum log_level)(LOG_ERROR + 1)); /* torn tails and damage are meant here */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
