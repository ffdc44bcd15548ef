/* Lists of every shape, written and read by blocks: documents, T, positions, the block where a document is, and the
 * maxima by which it is passed over. postings_damage_test.c has what damage leaves of them. */
#include "index/postings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants the four above first
#include <cmocka.h>

#include "random.h"
#include "shaped_lists.h"

/* ------------------------------------------------------------------------------------------------ what is read back */

static void expect_documents(const struct posting_list *l, struct posting_block *b, const uint32_t *wanted)
{
    if (b->words) {
        assert_true(b->base % 64 == 0 && l->blocks > 1);
        for (uint32_t i = 0; i < b->count; i++) {
            uint32_t bit = wanted[i] - b->base;
            assert_true(b->bits[bit / 8] >> bit % 8 & 1);
        }
    }
    block_documents(l, b);
    assert_memory_equal(b->documents, wanted, b->count * sizeof *wanted);
}

/* One by one first, all after that. */
static void expect_t(const struct posting_list *l, struct posting_block *b, const uint32_t *wanted)
{
    for (uint32_t i = b->count; i-- > 0;)
        assert_int_equal(block_t(b, i), l->with_positions ? wanted[i] : 1);
    assert_int_equal(block_frequencies(l, b), 0);
    for (uint32_t i = 0; i < b->count; i++)
        assert_int_equal(b->t[i], l->with_positions ? wanted[i] : 1);
}

static void expect_positions(const struct posting_list *l, struct posting_block *b, const struct shaped_list *list,
                             uint32_t base, uint32_t i)
{
    uint32_t out[HUGE_N];
    const size_t *first = list->first + base + i;
    assert_int_equal(block_positions(l, b, i, 0, out), 0);
    assert_memory_equal(out, list->positions + first[0], (first[1] - first[0]) * sizeof *out);
}

/* Forwards, backwards, and any which way. */
static void expect_all_positions(const struct posting_list *l, struct posting_block *b, const struct shaped_list *list,
                                 uint32_t base)
{
    uint32_t seed = base + 1;
    assert_int_equal(block_starts(l, b), 0);
    for (uint32_t i = 0; i <= b->count; i++)
        assert_int_equal(b->starts[i], list->first[base + i] - list->first[base]);
    for (uint32_t i = 0; i < b->count; i++)
        expect_positions(l, b, list, base, i);
    for (uint32_t i = b->count; i > 0; i -= i < 9 ? 1 : 9)
        expect_positions(l, b, list, base, i - 1);
    for (uint32_t k = 0; k < 9; k++)
        expect_positions(l, b, list, base, next_random(&seed) % b->count);
}

static void gives_back_what_was_written(const struct bench *b, const struct kernels *kernels, char kind, size_t shape)
{
    const struct shaped_list *list = &b->lists[shape];
    struct posting_list l = bench_list(b, kind, shape, kernels);
    struct posting_block *block = malloc(sizeof *block);
    for (uint32_t number = l.blocks; number-- > 0;) {
        uint32_t base = number * POSTING_BLOCK;
        assert_int_equal(block_enter(&l, number, block), 0);
        assert_int_equal(block->number, number);
        assert_int_equal(block->count, list->count - base < POSTING_BLOCK ? list->count - base : POSTING_BLOCK);
        expect_documents(&l, block, list->documents + base);
        expect_t(&l, block, list->t + base);
        if (l.blocks > 1)
            assert_int_equal(list_last(&l, number), list->documents[base + block->count - 1]);
        if (l.with_positions)
            expect_all_positions(&l, block, list, base);
    }
    free(block);
}

static void blocks_give_back_what_was_written(void **state)
{
    static const char *const names[] = {"avx512", "avx2", "portable"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        const struct kernels *kernels = kernels_named(names[k]);
        for (size_t s = 0; kernels && s < SHAPES; s++) {
            gives_back_what_was_written(*state, kernels, 's', s);
            gives_back_what_was_written(*state, kernels, 'w', s);
        }
    }
}

static void the_cursor_agrees(void **state)
{
    const struct bench *b = *state;
    uint32_t *room = malloc(HUGE_N * sizeof *room);
    struct postings *p = malloc(sizeof *p);
    for (size_t s = 0; s < SHAPES; s++) {
        const struct shaped_list *l = &b->lists[s];
        struct term t = bench_find(b, 's', s);
        postings_open(p, b->segment, &t);
        for (uint32_t i = 0; i < l->count; i++, postings_next(p)) {
            assert_int_equal(p->document, l->documents[i]);
            assert_int_equal(p->t, l->t[i]);
            assert_int_equal(p->count, l->first[i + 1] - l->first[i]);
            assert_true(postings_positions(p, room));
            assert_memory_equal(room, l->positions + l->first[i], p->count * sizeof *room);
        }
        assert_int_equal(p->document, POSTINGS_END);
        assert_int_equal(p->err, 0);
    }
    free(p);
    free(room);
}

/* All forms that a list may have were there: else the shapes above are not what they are meant to be. */
static void shapes_cover_the_format(void **state)
{
    const struct bench *b = *state;
    bool inlined = false, one = false, bitset = false, packed = false, t_exceptions = false, n_exceptions = false;
    struct posting_block *block = malloc(sizeof *block);
    for (size_t s = 0; s < SHAPES; s++) {
        struct posting_list l = bench_list(b, 's', s, kernels_best());
        inlined |= l.inlined.len > 0;
        one |= l.inlined.len == 0 && l.blocks == 1;
        for (uint32_t number = 0; l.inlined.len == 0 && number < l.blocks; number++) {
            assert_int_equal(block_enter(&l, number, block), 0);
            bitset |= block->words > 0;
            packed |= block->words == 0 && l.blocks > 1;
            t_exceptions |= block->t_values.exception_count > 0;
            n_exceptions |= !block->n_is_t && block->n_values.exception_count > 0;
        }
    }
    free(block);
    assert_true(inlined && one && bitset && packed && t_exceptions && n_exceptions);
}

static void finds_the_block_that_a_linear_search_finds(void **state)
{
    const struct bench *b = *state;
    for (size_t s = 0; s < SHAPES; s++) {
        struct posting_list l = bench_list(b, 'w', s, kernels_best());
        for (uint32_t from = 0; from <= l.blocks; from += 1 + from / 3) {
            for (uint32_t document = 0; document < DOCUMENTS; document += 1 + document / 50) {
                uint32_t wanted = from;
                while (wanted < l.blocks && list_last(&l, wanted) < document)
                    wanted++;
                assert_int_equal(list_find(&l, from, document), wanted);
            }
        }
        for (uint32_t number = 0; l.blocks > 1 && number < l.blocks; number++) {
            assert_int_equal(list_find(&l, 0, list_last(&l, number)), number);
            assert_int_equal(list_find(&l, number, list_last(&l, number) + 1), number + 1);
        }
    }
}

/* ----------------------------------------------------------------------------------------------------------- maxima */

static uint32_t stored_t(uint32_t t)
{
    return t < UINT8_MAX ? t : UINT8_MAX;
}

static bool is_bounded(const uint8_t *pairs, uint32_t t, uint8_t code)
{
    for (size_t i = 0; i < MAXIMA; i += 2)
        if (stored_t(t) <= pairs[i] && code >= pairs[i + 1])
            return true;
    return false;
}

/* The points of `count` postings that no other one beats, by falling T. */
static size_t front_of(const struct shaped_list *l, bool words, uint32_t from, uint32_t count, uint8_t (*out)[2])
{
    size_t points = 0;
    int shortest = 256, lowest[UINT8_MAX + 1];
    for (uint32_t t = 0; t <= UINT8_MAX; t++)
        lowest[t] = 256;
    for (uint32_t i = from; i < from + count; i++) {
        uint32_t t = words ? 1 : stored_t(l->t[i]);
        int code = bench_length_code(l->documents[i]);
        lowest[t] = code < lowest[t] ? code : lowest[t];
    }
    for (uint32_t t = UINT8_MAX; t > 0; t--) {
        if (lowest[t] >= shortest)
            continue;
        shortest = lowest[t];
        out[points][0] = (uint8_t)t;
        out[points++][1] = (uint8_t)shortest;
    }
    return points;
}

/* Every posting is below a pair. Where the front has four points or fewer, the pairs are those; else they are tight at
 * both ends, and each stands between two of them. */
static void expect_maxima(const struct shaped_list *l, bool words, uint32_t from, uint32_t count, const uint8_t *pairs)
{
    uint8_t front[256][2];
    size_t points = front_of(l, words, from, count, front);
    for (uint32_t i = from; i < from + count; i++)
        assert_true(is_bounded(pairs, words ? 1 : l->t[i], bench_length_code(l->documents[i])));
    for (size_t i = 0; points <= 4 && i < 4; i++)
        assert_memory_equal(pairs + 2 * i, front[i < points ? i : points - 1], 2);
    assert_int_equal(pairs[0], front[0][0]);
    assert_int_equal(pairs[MAXIMA - 1], front[points - 1][1]);
    for (size_t i = 0; i < MAXIMA; i += 2) {
        bool has_t = false, has_code = false;
        for (size_t k = 0; k < points; k++) {
            has_t |= front[k][0] == pairs[i];
            has_code |= front[k][1] == pairs[i + 1];
        }
        assert_true(has_t && has_code);
    }
}

static void maxima_bound_every_posting(void **state)
{
    const struct bench *b = *state;
    for (size_t s = 0; s < 2 * SHAPES; s++) {
        bool words = s >= SHAPES;
        const struct shaped_list *list = &b->lists[s % SHAPES];
        struct posting_list l = bench_list(b, words ? 'w' : 's', s % SHAPES, kernels_best());
        for (uint32_t from = 0; l.blocks > 1 && from < l.documents; from += POSTING_BLOCK) {
            uint32_t count = l.documents - from < POSTING_BLOCK ? l.documents - from : POSTING_BLOCK;
            expect_maxima(list, words, from, count, list_maxima(&l, from / POSTING_BLOCK));
        }
        const uint32_t group = POSTING_BLOCK * GROUP_BLOCKS;
        for (uint32_t from = 0; l.blocks > 1 && from < l.documents; from += group) {
            uint32_t count = l.documents - from < group ? l.documents - from : group;
            expect_maxima(list, words, from, count, list_group_maxima(&l, from / group));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_give_back_what_was_written),
        cmocka_unit_test(the_cursor_agrees),
        cmocka_unit_test(shapes_cover_the_format),
        cmocka_unit_test(finds_the_block_that_a_linear_search_finds),
        cmocka_unit_test(maxima_bound_every_posting),
    };
    return cmocka_run_group_tests(tests, bench_open, bench_close);
}
