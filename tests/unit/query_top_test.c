/* The best hits against sorting all of them, for rooms that are heaps and such that are not. */
#include "index/query_top.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "random.h"

enum { MOST = 5000 };

static int by_order(const void *left, const void *right)
{
    const struct top_entry *a = left, *b = right;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    return a->stamp < b->stamp ? -1 : a->stamp > b->stamp;
}

/* So many different scores, and numbers of words dropped; stamps are unique, and of all eight bytes. */
static void make(struct top_entry *entries, size_t count, uint32_t scores, uint32_t drops)
{
    for (size_t i = 0; i < count; i++)
        entries[i] = (struct top_entry){
            .rank = top_rank(next() % drops, (uint64_t)(next() % scores) * (1 + TOP_MOST_SCORE / scores / 2)),
            .stamp = (uint64_t)next() << 32 | i,
            .segment = next() % 9,
            .document = (uint32_t)i,
        };
}

/* What is full never lets a hit out that belongs to the best. */
static void add_all(struct top *t, const struct top_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct top_entry *e = &entries[i];
        uint32_t dropped = (uint32_t)(e->rank >> TOP_SCORE_BITS);
        if (top_may_take(t, dropped, TOP_MOST_SCORE - (e->rank & TOP_MOST_SCORE)))
            top_add(t, e);
        assert_int_equal(top_is_full(t), i + 1 >= t->room);
    }
}

static void check(struct arena *a, size_t room, size_t count, uint32_t scores, uint32_t drops)
{
    static struct top_entry entries[MOST];
    struct query_hit *hits;
    struct top t;
    make(entries, count, scores, drops);
    assert_int_equal(top_init(a, room, &t), 0);
    add_all(&t, entries, count);
    assert_int_equal(top_hits(&t, a, &hits), 0);
    qsort(entries, count, sizeof *entries, by_order);
    assert_int_equal(t.count, count < room ? count : room);
    for (size_t i = 0; i < t.count; i++) {
        assert_int_equal(top_rank(hits[i].dropped, hits[i].score), entries[i].rank);
        assert_int_equal(hits[i].stamp, entries[i].stamp);
        assert_int_equal(hits[i].segment, entries[i].segment);
        assert_int_equal(hits[i].document, entries[i].document);
    }
    arena_reset(a, 1 << 20);
}

static void keeps_the_best_in_order(void **state)
{
    static const size_t rooms[] = {1, 2, 10, 63, 64, 65, 66, 100, 1000, MOST};
    static const uint32_t scores[] = {1, 2, 50, UINT32_MAX}; /* nothing but ties; hardly any */
    struct arena a;
    (void)state;
    assert_int_equal(arena_init(&a, 16 << 20, 0), 0);
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        for (size_t k = 0; k < sizeof scores / sizeof *scores; k++) {
            check(&a, rooms[i], MOST, scores[k], 1 + next() % 4);
            check(&a, rooms[i], rooms[i], scores[k], 1);
            check(&a, rooms[i], rooms[i] - 1, scores[k], 3);
            check(&a, rooms[i], next() % MOST, scores[k], 2);
        }
    }
    arena_finish(&a);
}

/* Each better than all before: everything is replaced again and again. Then each worse: nothing gets in. */
static void takes_rising_and_falling_scores(void **state)
{
    struct arena a;
    struct top t;
    struct query_hit *hits;
    (void)state;
    assert_int_equal(arena_init(&a, 16 << 20, 0), 0);
    for (size_t room = 1; room <= 200; room += 33) {
        assert_int_equal(top_init(&a, room, &t), 0);
        for (uint64_t score = 0; score < 1000; score++)
            top_add(&t, &(struct top_entry){.rank = top_rank(0, score), .stamp = score});
        for (uint64_t score = 1000 - room; score-- > 0;) {
            assert_true(top_worst_score(&t) <= 1000 - room);
            top_add(&t, &(struct top_entry){.rank = top_rank(0, score), .stamp = 2000 + score});
        }
        assert_int_equal(top_hits(&t, &a, &hits), 0);
        assert_int_equal(t.count, room);
        for (size_t i = 0; i < room; i++)
            assert_int_equal(hits[i].score, 999 - i);
    }
    arena_finish(&a);
}

static void no_room_is_full_and_keeps_nothing(void **state)
{
    struct arena a;
    struct top t;
    struct query_hit *hits;
    (void)state;
    assert_int_equal(arena_init(&a, 1 << 20, 0), 0);
    assert_int_equal(top_init(&a, 0, &t), 0);
    assert_true(top_is_full(&t));
    assert_false(top_may_take(&t, 0, TOP_MOST_SCORE));
    top_add(&t, &(struct top_entry){.rank = top_rank(0, 5), .stamp = 1});
    assert_int_equal(top_hits(&t, &a, &hits), 0);
    assert_int_equal(t.count, 0);
    assert_int_not_equal(top_init(&a, SIZE_MAX, &t), 0);
    assert_int_not_equal(top_init(&a, 1 << 20, &t), 0); /* more than the arena's cap */
    arena_finish(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_best_in_order),
        cmocka_unit_test(takes_rising_and_falling_scores),
        cmocka_unit_test(no_room_is_full_and_keeps_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
