/* core_ids_test - filters of segments' ids in core.mdb: they come and go with their segments, and what is damaged is not relied on. */
#include "index/core_ids.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/err.h"
#include "core_place.h"
#include "index/core_keys.h"

enum { FEW = 100, MANY = 100000 /* four parts */ };

/* Spread evenly, as hashes are; `odd` are between those that are there. */
static uint64_t hash_at(uint32_t i, uint32_t count, bool odd)
{
    uint64_t step = UINT64_MAX / (2 * (uint64_t)count + 1);
    return (2 * (uint64_t)i + odd) * step + (i * UINT32_C(2654435761) & 0xffff);
}

static int source(const void *context, uint32_t at, uint64_t *out)
{
    *out = hash_at(at, *(const uint32_t *)context, false);
    return 0;
}

static int try_add_with_ids(struct core *c, uint64_t id, uint32_t count)
{
    struct deletion_chunk *none[2] = {0};
    struct id_filter ids;
    struct core_segment s = {
        .id = id, .documents = count, .bytes = 4096, .chunk_count = core_chunks(count), .chunks = none};
    assert_int_equal(id_filter_make(id, count, source, &count, &ids), 0);
    struct core_change change = {.epoch = 1, .added = &s, .ids = &ids};
    int err = try_commit(c, &change);
    id_filter_free(&ids);
    return err;
}

/* How many of the segment's own hashes, or of those between them, it may have. */
static size_t told(struct core *c, uint64_t segment, uint32_t count, bool odd)
{
    uint64_t *hashes = malloc(count * sizeof *hashes);
    uint32_t *places = malloc(count * sizeof *places);
    size_t found;
    assert_true(hashes && places);
    for (uint32_t i = 0; i < count; i++)
        hashes[i] = hash_at(i, count, odd);
    assert_int_equal(core_may_have(c, segment, hashes, count, places, &found), 0);
    for (size_t i = 1; i < found; i++)
        assert_true(places[i - 1] < places[i] && places[i] < count);
    free(hashes);
    free(places);
    return found;
}

/* --------------------------------------------------------------------------------------------------------------- cases */

static void what_is_there_is_told_and_little_else(void **state)
{
    struct core *c = core_place_writer(state);
    assert_int_equal(try_add_with_ids(c, 1, FEW), 0);
    assert_int_equal(try_add_with_ids(c, 2, MANY), 0);
    for (int locked = 0; locked < 2; locked++) {
        assert_int_equal(locked ? core_begin(c) : 0, 0);
        assert_int_equal(told(c, 1, FEW, false), FEW);
        assert_int_equal(told(c, 2, MANY, false), MANY);
        assert_true(told(c, 1, FEW, true) <= 2);
        assert_true(told(c, 2, MANY, true) < MANY / 300);
    }
    core_abort(c);
    core_close(c);
}

static void of_who_has_none_everything_may_be_there(void **state)
{
    struct core *c = core_place_writer(state);
    add(c, 1, FEW);
    assert_int_equal(told(c, 1, FEW, true), FEW);
    assert_int_equal(told(c, 9, FEW, true), FEW);
    core_close(c);
}

static bool has_part(void **state, uint64_t segment, uint32_t number)
{
    return core_place_has(state, CORE_IDS, segment, number);
}

static void it_goes_with_its_segment(void **state)
{
    struct core *c = core_place_writer(state);
    const uint64_t inputs[] = {1, 2};
    assert_int_equal(try_add_with_ids(c, 1, MANY), 0);
    assert_int_equal(try_add_with_ids(c, 2, FEW), 0);
    assert_int_equal(try_add_with_ids(c, 3, FEW), 0);
    struct core_change change = {.epoch = 1, .removed = inputs, .removed_count = 2};
    assert_int_equal(try_commit(c, &change), 0);
    core_close(c);
    assert_false(has_part(state, 1, 0) || has_part(state, 1, 3) || has_part(state, 2, 0));
    assert_true(has_part(state, 3, 0) && !has_part(state, 3, 1));
    c = core_place_writer(state);
    assert_int_equal(core_verify(c), 0);
    assert_int_equal(told(c, 3, FEW, false), FEW);
    core_close(c);
}

static void what_is_stale_leaves_none(void **state)
{
    struct core *c = core_place_writer(state);
    add(c, 1, FEW);
    assert_int_equal(try_add_with_ids(c, 1, FEW), ERR_STALE);
    core_close(c);
    assert_false(has_part(state, 1, 0));
}

/* Where the value's header is, in the file. */
static off_t find_value(int fd, char kind)
{
    char here[8];
    for (off_t at = 0; pread(fd, here, sizeof here, at) == sizeof here; at += 16)
        if (memcmp(here, "MFCV", 4) == 0 && here[6] == kind)
            return at;
    fail_msg("there is no value of that kind");
    return 0;
}

static void turn_over(int fd, off_t at)
{
    char byte;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x40;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

/* Then nothing is known of the ids, which costs a look at the file; who verifies is told. */
static void damage_hides_no_id(void **state)
{
    struct place *p = *state;
    char path[160];
    struct core *c = core_place_writer(state);
    assert_int_equal(try_add_with_ids(c, 1, FEW), 0);
    core_close(c);
    snprintf(path, sizeof path, "%s/core.mdb", p->directory);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    off_t value = find_value(fd, CORE_IDS), end = value + CORE_HEADER + 32 + (FEW / ID_BLOCK_IDS + 1) * ID_BLOCK;
    for (off_t at = value; at < end; at++) {
        turn_over(fd, at);
        assert_int_equal(core_open_reader(p->directory, &c), 0);
        assert_int_equal(told(c, 1, FEW, false), FEW);
        int err = core_verify(c);
        assert_true(err == ERR_CORRUPT || err == ERR_VERSION);
        core_close(c);
        turn_over(fd, at);
    }
    assert_int_equal(close(fd), 0);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, core_place_make, core_place_drop)
    const struct CMUnitTest tests[] = {
        CASE(what_is_there_is_told_and_little_else), CASE(of_who_has_none_everything_may_be_there),
        CASE(it_goes_with_its_segment),              CASE(what_is_stale_leaves_none),
        CASE(damage_hides_no_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
