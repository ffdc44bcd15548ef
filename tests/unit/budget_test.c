/* budget_test - the most memory that a server may come to is what its configuration says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "coordinator/budget.h"

enum { MIB = 1 << 20 };

static const struct config config = {.shards = 3,
                                     .readers = 2,
                                     .workers = 5,
                                     .worker_memory = 100 * MIB,
                                     .region_memory = 70 * MIB,
                                     .query_memory = 9 * MIB,
                                     .shard_heap = 512 * MIB,
                                     .max_connections = 11};

static uint64_t line(const struct budget *b, const char *process, const char *what)
{
    for (size_t i = 0; i < b->count; i++)
        if (strcmp(b->lines[i].process, process) == 0 && strcmp(b->lines[i].what, what) == 0)
            return b->lines[i].count * b->lines[i].each;
    return 0;
}

static void every_line_is_in_the_total(void **state)
{
    (void)state;
    const struct budget b = budget_of(&config, NULL);
    uint64_t sum = 0;
    for (size_t i = 0; i < b.count; i++) {
        assert_true(b.lines[i].count && b.lines[i].each && *b.lines[i].phase && *b.lines[i].held_by);
        sum += b.lines[i].count * b.lines[i].each;
    }
    assert_int_equal(b.total, sum);
}

static void lines_follow_the_configuration(void **state)
{
    (void)state;
    const struct budget b = budget_of(&config, NULL);
    assert_int_equal(line(&b, "worker", "worker-memory"), 5 * 100 * MIB);
    assert_int_equal(line(&b, "coordinator", "batch regions"), 70 * MIB);
    assert_int_equal(line(&b, "shard", "query arenas"), 3 * 2 * 2 * 9 * MIB);
    assert_int_equal(line(&b, "shard", "heap"), UINT64_C(3) * 2 * 512 * MIB);
    struct config more = config;
    more.workers++;
    more.max_connections *= 2;
    assert_int_equal(budget_of(&more, NULL).total - b.total, 100 * MIB + line(&b, "coordinator", "connections"));
}

/* Both servers have shards and buffers then; all else is one's. */
static void a_handover_has_both_servers_shards(void **state)
{
    (void)state;
    const struct budget b = budget_of(&config, NULL);
    assert_int_equal(b.handover, line(&b, "shard", "heap") + line(&b, "shard", "query arenas") +
                                     line(&b, "coordinator", "buffers, tasks"));
}

static void without_groups_there_is_no_allowance_for_them(void **state)
{
    (void)state;
    const struct budget b = budget_of(&config, NULL);
    assert_int_equal(line(&b, "worker", "page cache, tables"), 0);
    assert_string_equal(b.lines[b.count - 1].held_by, "rlimit");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_is_in_the_total),
        cmocka_unit_test(lines_follow_the_configuration),
        cmocka_unit_test(a_handover_has_both_servers_shards),
        cmocka_unit_test(without_groups_there_is_no_allowance_for_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
