/* fit_test - settings are cut to what a control group allows: in order, no further than needed, never below their least. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/err.h"
#include "coordinator/budget.h"
#include "coordinator/fit.h"

static const uint64_t MIB = 1 << 20;

static struct config defaults(void)
{
    return (struct config){.shards = 2,
                           .readers = 2,
                           .workers = 4,
                           .worker_memory = 256 * MIB,
                           .region_memory = 256 * MIB,
                           .query_memory = 64 * MIB,
                           .max_document_size = 16 * MIB,
                           .max_connections = 1000,
                           .shard_heap = 512 * MIB};
}

static void what_fits_is_left_alone(void **state)
{
    (void)state;
    struct config c = defaults(), before = c;
    struct fit f;
    assert_int_equal(fit_config(&c, NULL, UINT64_MAX, true, &f), 0);
    assert_memory_equal(&c, &before, sizeof c);
    assert_int_equal(f.count, 0);
    assert_int_equal(fit_config(&c, NULL, budget_of(&c, NULL).total, true, &f), 0);
    assert_memory_equal(&c, &before, sizeof c);
}

/* The first that is cut, and only by what is missing. */
static void the_bound_that_nobody_reaches_goes_first(void **state)
{
    (void)state;
    struct config c = defaults();
    struct fit f;
    uint64_t limit = budget_of(&c, NULL).total - 100 * MIB;
    assert_int_equal(fit_config(&c, NULL, limit, true, &f), 0);
    assert_int_equal(f.count, 1);
    assert_int_equal(c.shard_heap, (512 - 25) * MIB); /* four shards */
    assert_string_equal(f.cuts[0].key, "heap of a shard");
    assert_int_equal(f.cuts[0].wanted, 512 * MIB);
    assert_int_equal(f.cuts[0].given, c.shard_heap);
    assert_int_equal(f.total, limit);
}

/* At every limit: it fits or all are at their least; no setting has grown; the one after is cut only when those before it
 * are comfortable at most. */
static void every_limit_is_kept(void **state)
{
    (void)state;
    bool fitted = false;
    for (uint64_t limit = 200 * MIB; limit < 6000 * MIB; limit += 7 * MIB + 1) {
        struct config c = defaults();
        const struct config wanted = c;
        struct fit f;
        int err = fit_config(&c, NULL, limit, true, &f);
        assert_true(err == 0 || err == ERR_FULL);
        assert_int_equal(f.total, budget_of(&c, NULL).total);
        assert_int_equal(err == 0, f.total <= limit);
        assert_true(err == 0 || !fitted); /* no more room, no less luck */
        fitted |= err == 0;
        assert_true(c.shard_heap >= 64 * MIB && c.shard_heap <= wanted.shard_heap);
        assert_true(c.max_connections >= 32 && c.max_connections <= wanted.max_connections);
        assert_true(c.region_memory >= 32 * MIB && c.region_memory <= wanted.region_memory);
        assert_true(c.workers >= 2 && c.workers <= wanted.workers);
        assert_true(c.worker_memory >= 32 * MIB && c.worker_memory <= wanted.worker_memory);
        assert_true(c.query_memory >= 32 * MIB && c.query_memory <= wanted.query_memory);
        assert_true(c.readers >= 1 && c.readers <= wanted.readers);
        if (c.workers < wanted.workers)
            assert_true(c.shard_heap <= 128 * MIB && c.max_connections <= 200 && c.region_memory <= 64 * MIB);
        if (c.readers < wanted.readers)
            assert_true(c.worker_memory == 32 * MIB && c.shard_heap == 64 * MIB && c.max_connections == 32);
        if (err)
            assert_true(c.readers == 1 && c.workers == 2 && c.worker_memory == 32 * MIB && c.query_memory == 32 * MIB);
    }
    assert_true(fitted);
}

static void documents_fit_whatever_is_cut(void **state)
{
    (void)state;
    struct config c = defaults();
    struct fit f;
    c.max_document_size = 50 * MIB + 1;
    assert_int_equal(fit_config(&c, NULL, 1, true, &f), ERR_FULL);
    assert_true(c.worker_memory >= 2 * c.max_document_size && c.worker_memory < 102 * MIB);
    assert_true(c.region_memory >= 2 * c.max_document_size);
    assert_int_equal(c.query_memory, 64 * MIB); /* less already than what it would be cut to */
}

static void a_server_that_runs_keeps_its_heaps_and_readers(void **state)
{
    (void)state;
    struct config c = defaults();
    struct fit f;
    assert_int_equal(fit_config(&c, NULL, 1, false, &f), ERR_FULL);
    assert_true(c.readers == 2 && c.shard_heap == 512 * MIB);
    assert_true(c.workers == 2 && c.max_connections == 32);
    assert_false(fit_has_cut(&f, "readers"));
    assert_true(fit_has_cut(&f, "workers"));
}

static void cuts_are_written_as_people_write_settings(void **state)
{
    (void)state;
    char text[FIT_VALUE];
    fit_format(&(struct fit_cut){.is_size = true}, 96 * MIB, text);
    assert_string_equal(text, "96M");
    fit_format(&(struct fit_cut){.is_size = false}, 3, text);
    assert_string_equal(text, "3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_is_left_alone),
        cmocka_unit_test(the_bound_that_nobody_reaches_goes_first),
        cmocka_unit_test(every_limit_is_kept),
        cmocka_unit_test(documents_fit_whatever_is_cut),
        cmocka_unit_test(a_server_that_runs_keeps_its_heaps_and_readers),
        cmocka_unit_test(cuts_are_written_as_people_write_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
