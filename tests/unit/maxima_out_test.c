/* The pairs are the Pareto front of what was added; of a larger front, pairs that are not below any of it. */
#include "index/maxima_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "index/score.h"
#include "random.h"

enum { POSTINGS = 256, ROUNDS = 500 };

static void expect(struct maxima_out *m, const uint8_t (*wanted)[2], size_t count)
{
    uint8_t pairs[2 * KERNEL_PAIRS];
    maxima_out_end(m, 50, pairs);
    for (size_t i = 0; i < KERNEL_PAIRS; i++)
        assert_memory_equal(pairs + 2 * i, wanted[i < count ? i : count - 1], 2);
}

static void few_are_given_as_they_are(void **state)
{
    struct maxima_out m = {0};
    (void)state;
    maxima_out_add(&m, 3, 20);
    maxima_out_add(&m, 3, 30); /* longer */
    maxima_out_add(&m, 1, 20); /* less often, and no shorter */
    maxima_out_add(&m, 2, 10);
    maxima_out_add(&m, 70000, 255); /* the longest there is: more than 254 is any */
    const uint8_t wanted[][2] = {{255, 255}, {3, 20}, {2, 10}};
    expect(&m, wanted, 3);
    maxima_out_add(&m, 1, 255); /* nothing is left of those before */
    const uint8_t longest[][2] = {{1, 255}};
    expect(&m, longest, 1);
    maxima_out_add(&m, 254, 0);
    maxima_out_add(&m, 255, 0);
    const uint8_t shortest[][2] = {{255, 0}};
    expect(&m, shortest, 1);
    const uint8_t none[][2] = {{0, 0}};
    expect(&m, none, 1);
}

static void expect_bounds(const uint32_t *t, const uint8_t *codes, size_t count, const uint8_t *pairs)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t stored = t[i] < UINT8_MAX ? t[i] : UINT8_MAX;
        bool is_bounded = false;
        for (size_t k = 0; k < 2 * KERNEL_PAIRS; k += 2)
            is_bounded |= stored <= pairs[k] && codes[i] >= pairs[k + 1];
        assert_true(is_bounded);
    }
}

/* Whether a posting has just that, and none beats it. */
static bool is_of_the_front(const uint32_t *t, const uint8_t *codes, size_t count, const uint8_t *pair)
{
    bool is_there = false;
    for (size_t i = 0; i < count; i++) {
        uint32_t stored = t[i] < UINT8_MAX ? t[i] : UINT8_MAX;
        if (stored >= pair[0] && codes[i] <= pair[1] && (stored > pair[0] || codes[i] < pair[1]))
            return false;
        is_there |= stored == pair[0] && codes[i] == pair[1];
    }
    return is_there;
}

/* The steeper `spread`, the larger the front: of eight and fewer every pair is of it, of more some stand above. */
static void many_are_joined_and_bound_all(void **state)
{
    uint32_t t[POSTINGS];
    uint8_t codes[POSTINGS], pairs[2 * KERNEL_PAIRS];
    struct maxima_out m = {0};
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        size_t count = 1 + next() % POSTINGS;
        uint32_t spread = 1 + next() % 300;
        bool rises = round % 2; /* with T the length does, too: all are of the front */
        for (size_t i = 0; i < count; i++) {
            t[i] = 1 + next() % spread;
            codes[i] = (uint8_t)(rises ? (t[i] < 200 ? t[i] : 200) + next() % 3 : next());
            maxima_out_add(&m, t[i], codes[i]);
        }
        maxima_out_end(&m, 1 + (float)(next() % 300), pairs);
        expect_bounds(t, codes, count, pairs);
        for (size_t k = 2; k < 2 * KERNEL_PAIRS; k += 2)
            assert_true((pairs[k] < pairs[k - 2] && pairs[k + 1] < pairs[k - 1]) ||
                        memcmp(pairs + k, pairs + k - 2, 2) == 0);
        bool is_whole = memcmp(pairs + 2 * KERNEL_PAIRS - 4, pairs + 2 * KERNEL_PAIRS - 2, 2) == 0;
        for (size_t k = 0; is_whole && k < 2 * KERNEL_PAIRS; k += 2)
            assert_true(is_of_the_front(t, codes, count, pairs + k));
    }
}

/* Nine, two of which are nearly alike: those are joined. */
static void what_costs_least_is_joined(void **state)
{
    struct maxima_out m = {0};
    uint8_t wanted[KERNEL_PAIRS][2];
    (void)state;
    for (uint8_t i = 0; i < KERNEL_PAIRS; i++) {
        wanted[i][0] = (uint8_t)(40 - 5 * i);
        wanted[i][1] = (uint8_t)(200 - 25 * i);
        maxima_out_add(&m, wanted[i][0], wanted[i][1]);
    }
    maxima_out_add(&m, 39, 199); /* beside the first: it is shorter by a trifle */
    wanted[0][1] = 199;
    expect(&m, (const uint8_t(*)[2])wanted, KERNEL_PAIRS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_are_given_as_they_are),
        cmocka_unit_test(many_are_joined_and_bound_all),
        cmocka_unit_test(what_costs_least_is_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
