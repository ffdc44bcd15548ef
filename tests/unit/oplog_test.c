/* What was said to be durable comes back, whole and in order; what is torn never does. */
#include "coordinator/oplog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/logger.h"
#include "oplog_life.h"

static void brings_back_what_was_appended(void **state)
{
    struct life *l = *state;
    struct str few = make_operations(3, 100, 'a'), other = make_operations(2, 50, 'b');
    begin(l, QUOTA);
    assert_int_equal(oplog_tail(l->log, &books), 0);
    for (uint64_t i = 0; i < 50; i++) {
        append(l, books, 1 + 3 * i, 3, few);
        append(l, films, 1 + 2 * i, 2, other);
    }
    assert_true(oplog_is_writing(l->log));
    end(l);
    assert_int_equal(l->done, 100);
    begin(l, QUOTA);
    assert_int_equal(oplog_tail(l->log, &books), 151);
    assert_int_equal(oplog_tail(l->log, &films), 101);
    assert_int_equal(read_stream(l, books, 1, "a"), 150);
    end(l);
    begin(l, QUOTA); /* reading changes nothing */
    assert_int_equal(read_stream(l, films, 1, "b"), 100);
    end(l);
    release(few);
    release(other);
}

static void splits_what_is_larger_than_a_record(void **state)
{
    struct life *l = *state;
    struct str many = make_operations(500, 10000, 'm'), huge = make_operation(5 << 20, 'h');
    begin(l, QUOTA);
    append(l, books, 1, 500, many);
    append(l, films, 1, 1, huge);
    append(l, books, 501, 500, many);
    end(l);
    begin(l, QUOTA);
    assert_int_equal(read_stream(l, books, 1, "m"), 1000);
    end(l);
    begin(l, QUOTA);
    assert_int_equal(read_stream(l, films, 1, "h"), 1);
    end(l);
    release(many);
    release(huge);
}

static void cuts_a_tail_that_is_torn_at_any_byte(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x');
    struct image image = make_image(l, one);
    size_t record = RECORD_HEAD + one.len;
    for (size_t cut = image.size - record; cut < image.size; cut++) {
        store_image(&image, cut);
        begin(l, QUOTA);
        assert_int_equal(oplog_tail(l->log, &books), 3);
        assert_int_equal(size_of(image.path), image.size - record);
        assert_int_equal(read_stream(l, books, 1, "x"), 2);
        end(l);
    }
    free(image.bytes);
    release(one);
}

static void store_with_zeros(const struct image *i, size_t size, size_t zeros)
{
    store_image(i, size);
    assert_int_equal(truncate(i->path, (off_t)(size + zeros)), 0);
}

/* Room that was made for small groups, of which a kill left some, behind whole records or a torn one. */
static void takes_zero_bytes_at_the_end_for_room(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x');
    struct image image = make_image(l, one);
    size_t record = RECORD_HEAD + one.len;
    for (size_t zeros = 1; zeros < 300; zeros++) {
        store_with_zeros(&image, image.size, zeros);
        begin(l, QUOTA);
        assert_int_equal(read_stream(l, books, 1, "x"), 3);
        assert_int_equal(oplog_bytes(l->log), image.size);
        end(l);
        assert_int_equal(size_of(image.path), image.size + zeros); /* nothing was torn */
    }
    for (size_t cut = image.size - record + 1; cut < image.size - 8; cut++) { /* its last bytes are zero */
        store_with_zeros(&image, cut, 1000);
        begin(l, QUOTA);
        assert_int_equal(oplog_tail(l->log, &books), 3);
        assert_int_equal(read_stream(l, books, 1, "x"), 2);
        end(l);
        assert_int_equal(size_of(image.path), image.size - record);
    }
    free(image.bytes);
    release(one);
}

/* A group behind a group in the same file, and one by one: the file is as long as what was written when it is closed. */
static void writes_small_groups_over_room_that_it_made(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x');
    struct image image = {.size = 0}, whole = {.size = 0};
    begin(l, QUOTA);
    append_and_wait(l, books, 1, 1, one);
    assert_int_equal(visit_files(l, load_image, &image), 1);
    assert_true(image.size > 60000);
    for (uint64_t n = 2; n < 400; n++)
        append_and_wait(l, books, n, 1, one);
    end(l);
    assert_int_equal(visit_files(l, load_image, &whole), 1);
    assert_int_equal(whole.size, FILE_HEAD + 399 * (RECORD_HEAD + one.len));
    begin(l, QUOTA);
    assert_int_equal(read_stream(l, books, 1, "x"), 399);
    end(l);
    free(image.bytes);
    free(whole.bytes);
    release(one);
}

static void goes_on_after_a_torn_tail(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x');
    struct image image = make_image(l, one);
    store_image(&image, image.size - 1);
    begin(l, QUOTA);
    append_and_wait(l, books, oplog_tail(l->log, &books), 1, one);
    end(l);
    begin(l, QUOTA);
    assert_int_equal(read_stream(l, books, 1, "x"), 3);
    end(l);
    free(image.bytes);
    release(one);
}

/* Of an operation in fragments there is all or nothing. */
static void gives_no_operation_without_its_last_fragment(void **state)
{
    struct life *l = *state;
    struct str large = make_operation((5 << 19) + 11, 'x');
    struct image image = make_image(l, large);
    const size_t cuts[] = {1, 100, 1 << 19, (1 << 19) + 200, 1 << 20, 3 << 19, 2 << 20, 5 << 19};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        store_image(&image, image.size - cuts[i]);
        begin(l, QUOTA);
        assert_int_equal(oplog_tail(l->log, &books), 3);
        assert_int_equal(read_stream(l, books, 1, "x"), 2);
        end(l);
    }
    free(image.bytes);
    release(large);
}

/* Whatever bit of the last record is wrong, what comes back is what was written. */
static void gives_nothing_with_a_flipped_bit(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x');
    struct image image = make_image(l, one);
    for (size_t at = image.size - RECORD_HEAD - one.len; at < image.size; at++) {
        image.bytes[at] ^= (char)(1 << (at % 8));
        store_image(&image, image.size);
        begin(l, QUOTA);
        assert_int_equal(read_stream(l, books, 1, "x"), 2);
        end(l);
        image.bytes[at] ^= (char)(1 << (at % 8));
    }
    free(image.bytes);
    release(one);
}

static void reads_on_past_a_file_that_never_got_its_header(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x');
    struct image image = make_image(l, one);
    char *number = strrchr(image.path, '/') + 1;
    snprintf(number, 32, "%llu.log", strtoull(number, NULL, 10) + 1);
    store_image(&image, 5);
    begin(l, QUOTA);
    append_and_wait(l, books, oplog_tail(l->log, &books), 1, one);
    end(l);
    begin(l, QUOTA);
    assert_int_equal(read_stream(l, books, 1, "x"), 4);
    end(l);
    free(image.bytes);
    release(one);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, oplog_life_make, oplog_life_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(brings_back_what_was_appended),
        CASE(splits_what_is_larger_than_a_record),
        CASE(cuts_a_tail_that_is_torn_at_any_byte),
        CASE(takes_zero_bytes_at_the_end_for_room),
        CASE(writes_small_groups_over_room_that_it_made),
        CASE(goes_on_after_a_torn_tail),
        CASE(gives_no_operation_without_its_last_fragment),
        CASE(gives_nothing_with_a_flipped_bit),
        CASE(reads_on_past_a_file_that_never_got_its_header),
    };
    log_open("oplog_test", (enum log_level)(LOG_ERROR + 1)); /* torn tails and damage are meant here */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
