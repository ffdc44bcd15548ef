/* id_filter_test - nothing that is there is missed, little that is not is told, and damage is never taken for "not there". */
#include "index/id_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/err.h"
#include "common/hash.h"
#include "index/sort.h"

enum { SEGMENT = 77 };

struct hashes {
    uint64_t *at;
    uint32_t count;
};

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t hash_of(const char *prefix, uint32_t n)
{
    char id[32];
    return hash64((struct str){id, (size_t)snprintf(id, sizeof id, "%s%u", prefix, n)});
}

/* Of ids of one of `shards` shards, which has all those whose hashes begin alike. */
static struct hashes make_hashes(uint32_t count, uint32_t shards)
{
    struct hashes h = {.at = malloc(count * sizeof *h.at)};
    assert_non_null(h.at);
    for (uint32_t n = 0; h.count < count; n++) {
        uint64_t hash = hash_of("there-", n);
        if (hash_slot(hash) * shards / SLOTS == shards / 2)
            h.at[h.count++] = hash;
    }
    sort_in_place(h.at, count, sizeof *h.at, by_value);
    return h;
}

static int take(const void *context, uint32_t at, uint64_t *out)
{
    const struct hashes *h = context;
    *out = h->at[at];
    return 0;
}

static struct id_filter make(const struct hashes *h)
{
    struct id_filter f;
    assert_int_equal(id_filter_make(SEGMENT, h->count, take, h, &f), 0);
    return f;
}

static bool may_have(const struct id_filter *f, uint64_t hash)
{
    int err = 0;
    if (!id_span_has(&f->span, hash))
        return false;
    uint32_t number = id_span_block(&f->span, hash);
    assert_true(number < f->span.blocks);
    bool may = id_block_may_have(&f->span, number, f->blocks + (size_t)number * ID_BLOCK, hash, &err);
    assert_int_equal(err, 0);
    return may;
}

/* ------------------------------------------------------------------------------------------------------------- cases */

static void misses_nothing_and_tells_little_else(uint32_t count, uint32_t shards)
{
    enum { OTHERS = 200000 };
    struct hashes h = make_hashes(count, shards);
    struct id_filter f = make(&h);
    for (uint32_t i = 0; i < count; i++)
        assert_true(may_have(&f, h.at[i]));
    uint32_t asked = 0, told = 0;
    for (uint32_t n = 0; asked < OTHERS / shards; n++) {
        uint64_t hash = hash_of("other-", n);
        if (hash_slot(hash) * shards / SLOTS != shards / 2)
            continue;
        asked++;
        told += may_have(&f, hash);
    }
    assert_true(told * 300 <= asked);
    id_filter_free(&f);
    free(h.at);
}

static void nothing_is_missed_whatever_the_size(void **state)
{
    static const uint32_t counts[] = {1, 2, 31, 32, 33, 1000, 20000}, shards[] = {1, 2, 64};
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        for (size_t k = 0; k < sizeof shards / sizeof shards[0]; k++)
            misses_nothing_and_tells_little_else(counts[i], shards[k]);
}

static void blocks_rise_with_the_hashes(void **state)
{
    (void)state;
    struct hashes h = make_hashes(10000, 1);
    struct id_filter f = make(&h);
    uint32_t before = 0;
    for (uint32_t i = 0; i < h.count; i++) {
        uint32_t number = id_span_block(&f.span, h.at[i]);
        assert_true(number >= before && number < f.span.blocks);
        before = number;
    }
    assert_int_equal(before, f.span.blocks - 1);
    id_filter_free(&f);
    free(h.at);
}

static void hashes_may_be_equal_or_as_far_apart_as_can_be(void **state)
{
    (void)state;
    uint64_t values[][3] = {{5, 5, 5}, {0, 1, UINT64_MAX}, {UINT64_MAX, UINT64_MAX, UINT64_MAX}, {0, 0, UINT32_MAX}};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct hashes h = {values[i], 3};
        struct id_filter f = make(&h);
        for (uint32_t n = 0; n < 3; n++)
            assert_true(may_have(&f, values[i][n]));
        id_filter_free(&f);
    }
}

static void hashes_that_do_not_rise_are_refused(void **state)
{
    (void)state;
    uint64_t values[][3] = {{5, 4, 6}, {5, 7, 6}, {6, 6, 5}};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct hashes h = {values[i], 3};
        struct id_filter f;
        assert_int_equal(id_filter_make(SEGMENT, 3, take, &h, &f), ERR_CORRUPT);
    }
}

static void each_damaged_byte_is_found_and_each_block_that_is_anothers(void **state)
{
    (void)state;
    struct hashes h = make_hashes(ID_BLOCK_IDS * 3, 1);
    struct id_filter f = make(&h);
    for (uint32_t number = 0; number < f.span.blocks; number++) {
        uint8_t *block = f.blocks + (size_t)number * ID_BLOCK;
        assert_int_equal(id_block_check(&f.span, number, block), 0);
        assert_int_equal(id_block_check(&f.span, number + 1, block), ERR_CORRUPT);
        struct id_span other = f.span;
        other.segment++;
        assert_int_equal(id_block_check(&other, number, block), ERR_CORRUPT);
        for (size_t i = 0; i < ID_BLOCK; i++) {
            int err = 0;
            block[i] ^= 0x20;
            assert_false(id_block_may_have(&f.span, number, block, h.at[0], &err));
            assert_int_equal(err, ERR_CORRUPT);
            block[i] ^= 0x20;
        }
    }
    id_filter_free(&f);
    free(h.at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_missed_whatever_the_size),
        cmocka_unit_test(blocks_rise_with_the_hashes),
        cmocka_unit_test(hashes_may_be_equal_or_as_far_apart_as_can_be),
        cmocka_unit_test(hashes_that_do_not_rise_are_refused),
        cmocka_unit_test(each_damaged_byte_is_found_and_each_block_that_is_anothers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
