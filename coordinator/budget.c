#include "coordinator/budget.h"

#include <stdio.h>

#include "common/logger.h"
#include "coordinator/config_keys.h"
#include "coordinator/jobs.h"
#include "coordinator/session_state.h"

enum {
    MIB = 1 << 20,
    /* Arenas of a request and of a shard's answer (96 MiB together), remembered weights and words (28 MiB), tasks (16 MiB),
     * and with room to spare streams, libuv. */
    COORDINATOR = 160 * MIB,
    CONNECTION = PAUSE_ABOVE + FRAME_MAX_ENVELOPE, /* an answer not taken, and a request that is not whole */
    NURSERY = 16 * MIB,                            /* analyzers, their dictionaries */
    ARENAS = 2,                                    /* of a shard process: a query's, and its scratch */
};

static void add(struct budget *b, struct budget_line line)
{
    if (!line.each)
        return;
    b->lines[b->count++] = line;
    b->total += line.count * line.each;
}

static uint64_t backup_most(const struct cap *cap)
{
    return cap_limit(cap, BACKUP_MEMORY, (struct cap_need){0});
}

/* Workers, nursery and regions are one server's at a time (succession.h), and a connection is too. */
struct budget budget_of(const struct config *c, const struct cap *cap)
{
    struct budget b = {.count = 0};
    uint64_t shards = c->shards * c->readers, workers = config_workers(c);
    uint64_t beside = cap_limit(cap, c->worker_memory, (struct cap_need){0}) - c->worker_memory;
    add(&b, (struct budget_line){"always", "coordinator", "buffers, tasks", "its code", 1, COORDINATOR});
    add(&b, (struct budget_line){"always", "coordinator", "connections", "its code", c->max_connections, CONNECTION});
    add(&b, (struct budget_line){"always", "nursery", "analyzers", "its code", 1, NURSERY});
    add(&b, (struct budget_line){"always", "shard", "heap", "tcmalloc", shards, c->shard_heap});
    add(&b, (struct budget_line){"searching", "shard", "query arenas", "arenas", shards, ARENAS * c->query_memory});
    add(&b, (struct budget_line){"writing", "coordinator", "batch regions", "its code", 1, c->region_memory});
    add(&b, (struct budget_line){"indexing", "worker", "worker-memory", cap_name(cap), workers, c->worker_memory});
    add(&b, (struct budget_line){"indexing", "worker", "page cache, tables", cap_name(cap), workers, beside});
    add(&b, (struct budget_line){"indexing", "worker", "forked ahead", "its code", 1, STANDBY_MEMORY});
    add(&b, (struct budget_line){"backup", "worker", "copies, checksums", cap_name(cap), 1, backup_most(cap)});
    b.handover = COORDINATOR + shards * (c->shard_heap + ARENAS * c->query_memory);
    return b;
}

static void format(uint64_t bytes, char to[24])
{
    snprintf(to, 24, "%.1fM", (double)bytes / MIB);
}

void budget_log(const struct config *config, const struct cap *cap)
{
    const struct budget b = budget_of(config, cap);
    char each[24], total[24], room[24];
    for (size_t i = 0; i < b.count; i++) {
        const struct budget_line *l = &b.lines[i];
        format(l->each, each);
        format(l->count * l->each, total);
        log_info("budget phase=%s process=%s: %s %llu x %s = %s, held by %s", l->phase, l->process, l->what,
                 (unsigned long long)l->count, each, total, l->held_by);
    }
    format(b.total, total);
    format(cap_room(cap), room);
    log_info("budget: at most %s of %s, workers capped by %s", total, room, cap_name(cap));
    format(b.handover, total);
    log_info("budget: while another mayflyd takes over, besides at most %s", total);
}
