/* regions_test - what lies between a job's regions and is others', against one bit per number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "random.h"
#include "worker/regions.h"
#include "worker/words.h"

/* What a worker ends with: nothing here is opened. */
void words_die(struct last_words *w, enum exit_reason reason, const char *format, ...)
{
    (void)w;
    fail_msg("reason %d: %s", (int)reason, format);
    abort();
}

enum exit_reason words_reason(int err)
{
    fail_msg("error %d", err);
    return EXIT_REASON_NONE;
}

enum { NUMBERS = 64, REGIONS = 6, ROUNDS = 20000 };

struct made {
    struct batch batches[REGIONS];
    struct regions regions;
    bool ours[NUMBERS];
};

static uint64_t below(uint32_t *seed, uint64_t limit)
{
    return next_random(seed) % limit;
}

/* `count` regions one behind the other, with nothing, one number or more between two. */
static void make(struct made *m, size_t count, uint32_t *seed)
{
    uint64_t next = 1 + below(seed, 3);
    memset(m, 0, sizeof *m);
    m->regions.batches = m->batches;
    for (; m->regions.count < count; m->regions.count++) {
        struct batch_header *h = &m->batches[m->regions.count].header;
        h->first = next;
        h->count = 1 + (uint32_t)below(seed, 5);
        for (uint32_t i = 0; i < h->count; i++)
            m->ours[h->first + i] = true;
        next = h->first + h->count + below(seed, 4);
    }
    m->regions.first = m->batches[0].header.first;
}

/* The gaps are, from where the job begins to where it has come, the numbers that are in no region; each is a whole range. */
static void check(const struct made *m, uint64_t end)
{
    struct core_range gaps[REGIONS];
    bool found[NUMBERS] = {false};
    size_t count = regions_gaps(&m->regions, end, gaps);
    assert_true(count < m->regions.count);
    for (size_t i = 0; i < count; i++) {
        assert_true(gaps[i].first < gaps[i].end && gaps[i].end <= end);
        assert_true(i == 0 || gaps[i - 1].end < gaps[i].first);
        for (uint64_t n = gaps[i].first; n < gaps[i].end; n++)
            found[n] = true;
    }
    for (uint64_t n = m->regions.first; n < end; n++)
        assert_int_equal(found[n], !m->ours[n]);
}

/* Behind an operation of a region, which is where a worker can have come to. */
static void check_every_end(const struct made *m)
{
    for (uint64_t n = m->regions.first; n < NUMBERS; n++)
        if (m->ours[n])
            check(m, n + 1);
}

static void test_gaps_are_what_no_region_has(void **state)
{
    struct made m;
    (void)state;
    uint32_t seed = 1;
    for (int round = 0; round < ROUNDS; round++) {
        make(&m, 1 + below(&seed, REGIONS), &seed);
        check_every_end(&m);
    }
}

/* It may begin anywhere, also between two regions: what is below is not its business. */
static void test_a_job_that_is_resumed_has_no_gaps_before_it(void **state)
{
    struct made m;
    (void)state;
    uint32_t seed = 2;
    for (int round = 0; round < ROUNDS; round++) {
        make(&m, 1 + below(&seed, REGIONS), &seed);
        const struct batch_header *last = &m.batches[m.regions.count - 1].header;
        m.regions.first += below(&seed, last->first + last->count - m.regions.first);
        check_every_end(&m);
    }
}

static void test_nothing_was_done_and_nothing_is_between(void **state)
{
    struct made m;
    struct core_range gaps[REGIONS];
    (void)state;
    uint32_t seed = 3;
    make(&m, REGIONS, &seed);
    assert_int_equal(regions_gaps(&m.regions, m.regions.first, gaps), 0);
    make(&m, 1, &seed);
    assert_int_equal(regions_gaps(&m.regions, NUMBERS, gaps), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gaps_are_what_no_region_has),
                                       cmocka_unit_test(test_a_job_that_is_resumed_has_no_gaps_before_it),
                                       cmocka_unit_test(test_nothing_was_done_and_nothing_is_between)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
