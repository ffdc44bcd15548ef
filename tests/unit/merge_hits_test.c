/* merge_hits_test - hits of several shards stand as those of one index would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/err.h"
#include "coordinator/merge_hits.h"

enum { SHARDS = 7, HITS = 500 };

static int before(const void *left, const void *right)
{
    const struct merged_hit *a = left, *b = right;
    return merge_hits_before(a, b) ? -1 : merge_hits_before(b, a) ? 1 : 0;
}

static void orders_by_dropped_then_score_then_stamp(void **state)
{
    (void)state;
    const struct merged_hit all[] = {
        {.dropped = 0, .score = 5, .stamp = 9}, {.dropped = 0, .score = 4, .stamp = 1},
        {.dropped = 0, .score = 4, .stamp = 2}, {.dropped = 1, .score = 90, .stamp = 0},
        {.dropped = 1, .score = 0, .stamp = 3}, {.dropped = 2, .score = UINT64_MAX, .stamp = 4}};
    const size_t count = sizeof all / sizeof all[0];
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < count; k++)
            assert_int_equal(merge_hits_before(&all[i], &all[k]), i < k);
}

struct corpus {
    struct merged_hit all[HITS], parts[SHARDS][HITS];
    const struct merged_hit *lists[SHARDS];
    size_t counts[SHARDS];
};

/* Few scores, so that stamps decide; each hit on a shard by chance, one shard always without any. */
static struct corpus *make_corpus(unsigned seed)
{
    struct corpus *c = calloc(1, sizeof *c);
    assert_non_null(c);
    srand(seed);
    for (size_t i = 0; i < HITS; i++)
        c->all[i] = (struct merged_hit){.stamp = i * 37 % HITS,
                                        .score = (uint64_t)rand() % 5,
                                        .dropped = (uint32_t)rand() % 3,
                                        .shard = (uint32_t)rand() % (SHARDS - 1),
                                        .document = (uint32_t)i};
    qsort(c->all, HITS, sizeof c->all[0], before);
    for (size_t i = 0; i < HITS; i++) {
        uint32_t shard = c->all[i].shard;
        c->parts[shard][c->counts[shard]++] = c->all[i];
    }
    for (size_t i = 0; i < SHARDS; i++)
        c->lists[i] = c->parts[i];
    return c;
}

static void merges_to_the_order_of_one_list(void **state)
{
    (void)state;
    const size_t pages[][2] = {{0, HITS}, {0, 1}, {0, 20}, {17, 100}, {HITS - 3, 20}, {HITS, 5}, {HITS + 9, 1}, {3, 0}};
    struct arena arena;
    assert_int_equal(arena_init(&arena, 1 << 20, 0), 0);
    for (unsigned seed = 1; seed <= 20; seed++) {
        struct corpus *c = make_corpus(seed);
        for (size_t p = 0; p < sizeof pages / sizeof pages[0]; p++) {
            size_t offset = pages[p][0], limit = pages[p][1], count;
            struct merged_hit *hits;
            assert_int_equal(merge_hits(&arena, c->lists, c->counts, SHARDS, offset, limit, &hits, &count), 0);
            size_t left = offset < HITS ? HITS - offset : 0;
            assert_int_equal(count, limit < left ? limit : left);
            for (size_t i = 0; i < count; i++)
                assert_memory_equal(&hits[i], &c->all[offset + i], sizeof hits[i]);
            arena_reset(&arena, 0);
        }
        free(c);
    }
    arena_finish(&arena);
}

static void refuses_past_the_cap(void **state)
{
    (void)state;
    struct arena arena;
    struct corpus *c = make_corpus(1);
    struct merged_hit *hits = NULL;
    size_t count = 99;
    assert_int_equal(arena_init(&arena, 4096, 0), 0);
    assert_int_equal(merge_hits(&arena, c->lists, c->counts, SHARDS, 0, HITS, &hits, &count), ERR_FULL);
    assert_null(hits);
    assert_int_equal(count, 99);
    arena_finish(&arena);
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_by_dropped_then_score_then_stamp),
        cmocka_unit_test(merges_to_the_order_of_one_list),
        cmocka_unit_test(refuses_past_the_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
