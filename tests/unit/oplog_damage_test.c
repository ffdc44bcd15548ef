/* Damage in a log file costs what it hit, and what is lost is known by number. */
#include "coordinator/oplog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/logger.h"
#include "oplog_life.h"

/* So many are there, of those that were given all but the first gap; `end` is behind it. */
static void expect_gap(struct life *l, struct oplog_stream s, uint64_t count, uint64_t first, uint64_t end)
{
    struct ranges has = {.at = NULL};
    struct range gap = {0, 0};
    oplog_present(l->log, &s, &has);
    uint64_t present = 0;
    for (size_t i = 0; i < has.count; i++)
        present += has.at[i].end - has.at[i].first;
    ranges_gap(&has, 1, oplog_tail(l->log, &s), &gap);
    ranges_finish(&has);
    assert_int_equal(present, count);
    assert_int_equal(gap.first, first);
    assert_int_equal(gap.end, end);
}

/* The first file as it was made, and opened. */
static void begin_with(struct life *l, const struct image *image)
{
    store_image(image, image->size);
    begin(l, QUOTA);
}

/* Books 1 to 6 and films 1 to 3, three appends of a third each: where the middle one begins. */
static struct image make_thirds(struct life *l, struct str one, size_t *out_middle)
{
    struct image image = {.size = 0};
    begin(l, QUOTA);
    for (uint64_t i = 0; i < 3; i++) {
        append_and_wait(l, books, 1 + 2 * i, 1, one);
        append_and_wait(l, books, 2 + 2 * i, 1, one);
        append_and_wait(l, films, 1 + i, 1, one);
    }
    end(l);
    assert_int_equal(visit_files(l, load_image, &image), 1);
    *out_middle = FILE_HEAD + (image.size - FILE_HEAD) / 3;
    return image;
}

/* Whatever bit is wrong, all that stands before and behind it is there, and what is lost is known by number. */
static void keeps_what_stands_behind_a_flipped_bit(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x');
    size_t middle, record = RECORD_HEAD + one.len;
    struct image image = make_thirds(l, one, &middle);
    for (size_t at = middle; at < middle + record; at++) { /* of books 3 */
        image.bytes[at] ^= (char)(1 << (at % 8));
        begin_with(l, &image);
        assert_int_equal(oplog_tail(l->log, &books), 7);
        expect_gap(l, books, 5, 3, 4);
        uint64_t end_of_lost = 4;
        assert_int_equal(oplog_lost_task(l->log, &books, 3, &end_of_lost), 7);
        expect_gap(l, films, 3, 0, 0);
        assert_int_equal(oplog_has_lost_unnamed(l->log), at < middle + RECORD_HEAD);
        assert_int_equal(read_stream(l, films, 1, "x"), 3);
        assert_int_equal(size_of(image.path), image.size);
        end(l);
        image.bytes[at] ^= (char)(1 << (at % 8));
    }
    free(image.bytes);
    release(one);
}

/* Its header tells, although no later number of the stream does. */
static void knows_that_the_last_of_a_stream_is_lost(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x');
    size_t middle, record = RECORD_HEAD + one.len;
    struct image image = make_thirds(l, one, &middle);
    image.bytes[image.size - record - 8] ^= 1; /* books 6; films 3 stand behind it */
    begin_with(l, &image);
    assert_int_equal(oplog_tail(l->log, &books), 7);
    expect_gap(l, books, 5, 6, 7);
    assert_false(oplog_has_lost_unnamed(l->log));
    append_and_wait(l, books, oplog_tail(l->log, &books), 1, one);
    end(l);
    begin(l, QUOTA); /* the number of what is lost was not given again */
    expect_gap(l, books, 6, 6, 7);
    end(l);
    free(image.bytes);
    release(one);
}

static void reads_on_behind_a_lost_page(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x');
    size_t middle, record = RECORD_HEAD + one.len;
    struct image image = make_thirds(l, one, &middle);
    memset(image.bytes + middle + 100, 0, 2 * record); /* ends within films 2 */
    begin_with(l, &image);
    expect_gap(l, books, 4, 3, 5);
    expect_gap(l, films, 2, 2, 3);
    end(l);
    free(image.bytes);
    release(one);
}

/* A record in the body of a document is not taken for one of ours as long as the header before it can be read. */
static void takes_no_document_for_a_record(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x');
    size_t middle, record = RECORD_HEAD + one.len;
    struct image image = make_thirds(l, one, &middle);
    visit_files(l, remove_file, NULL);
    struct str outer = make_operation(2 * record, 'o');
    char *body = (char *)(uintptr_t)outer.ptr + 48; /* aligned as a record would be */
    memcpy(body, image.bytes + middle, record);
    free(image.bytes);
    image = make_image(l, outer);
    begin(l, QUOTA);
    append_and_wait(l, films, 1, 1, one);
    end(l);
    image.bytes[image.size - 1] ^= 1; /* the last of the first file; another file follows it */
    begin_with(l, &image);
    expect_gap(l, books, 2, 3, 4);
    end(l);
    free(image.bytes);
    release(one);
    release(outer);
}

static void loses_only_the_document_whose_fragment_is_damaged(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x'), large = make_operation((5 << 19) + 11, 'x');
    const size_t places[] = {FILE_HEAD + 1000, FILE_HEAD + 20, FILE_HEAD + (1 << 20) + 100, FILE_HEAD + (1 << 20) + 8,
                             FILE_HEAD + (2 << 20) + 300, FILE_HEAD + (2 << 20) + 30};
    struct image image = {.size = 0};
    begin(l, QUOTA);
    append_and_wait(l, books, 1, 1, large);
    append_and_wait(l, books, 2, 1, one);
    end(l);
    assert_int_equal(visit_files(l, load_image, &image), 1);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        image.bytes[places[i]] ^= 4;
        begin_with(l, &image);
        assert_int_equal(oplog_tail(l->log, &books), 3);
        expect_gap(l, books, 1, 1, 2);
        assert_int_equal(read_stream(l, books, 2, "x"), 1);
        end(l);
        image.bytes[places[i]] ^= 4;
    }
    free(image.bytes);
    release(one);
    release(large);
}

static void reads_a_file_whose_header_is_damaged(void **state)
{
    struct life *l = *state;
    struct str one = make_operation(200, 'x');
    struct image image = make_image(l, one);
    for (size_t at = 0; at < FILE_HEAD - 4; at++) {
        image.bytes[at] ^= 4; /* no version is one bit away from version 1 */
        begin_with(l, &image);
        assert_int_equal(read_stream(l, books, 1, "x"), 3);
        end(l);
        image.bytes[at] ^= 4;
    }
    free(image.bytes);
    release(one);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, oplog_life_make, oplog_life_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(keeps_what_stands_behind_a_flipped_bit),
        CASE(knows_that_the_last_of_a_stream_is_lost),
        CASE(reads_on_behind_a_lost_page),
        CASE(takes_no_document_for_a_record),
        CASE(loses_only_the_document_whose_fragment_is_damaged),
        CASE(reads_a_file_whose_header_is_damaged),
    };
    log_open("oplog_damage_test", (enum log_level)(LOG_ERROR + 1)); /* torn tails and damage are meant here */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
