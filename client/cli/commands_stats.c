#include "client/cli/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client/cli/emit.h"
#include "client/cli/prometheus.h"
#include "client/cli/report.h"
#include "client/cli/stats_numbers.h"
#include "client/cli/table.h"
#include "common/clock.h"
#include "proto/latency.h"

/* A state of a later version is at least not ready. */
static int readiness(const char *state)
{
    static const struct {
        const char *state;
        int status;
    } all[] = {{"ready", STATUS_DONE},
               {"starting", STATUS_STARTING},
               {"degraded", STATUS_DEGRADED},
               {"stopping", STATUS_STOPPING}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (strcmp(all[i].state, state) == 0)
            return all[i].status;
    return STATUS_REFUSED;
}

/* As long as nobody is there, or it is not ready: a server that was just started. What is said of it then is the caller's. */
static void await_ready(struct cli *c, uint64_t seconds)
{
    const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
    Mayfly__Ping ping = MAYFLY__PING__INIT;
    REQUEST(request, ping, PING, ping);
    struct mayfly_failure failure;
    struct mayfly_answer answer;
    c->endpoint.client = "mayfly " MAYFLY_VERSION;
    for (uint64_t until = clock_us() + seconds * 1000000; clock_us() < until; nanosleep(&pause, NULL)) {
        if (!c->connection && mayfly_connect(&c->connection, &c->endpoint, &failure))
            continue;
        if (mayfly_call(c->connection, &request, MAYFLY__ENVELOPE__MESSAGE_PONG, &answer, &failure)) {
            mayfly_close(c->connection);
            c->connection = NULL;
        } else if (readiness(answer.envelope->pong->state) == STATUS_DONE) {
            return;
        }
    }
}

int command_ping(struct cli *c)
{
    Mayfly__Ping ping = MAYFLY__PING__INIT;
    REQUEST(request, ping, PING, ping);
    struct mayfly_answer answer;
    uint32_t seconds;
    int status = args_number(c, "wait", 0, 1, 86400, &seconds);
    if (!status && args_option(c, "wait"))
        await_ready(c, seconds);
    if (!status)
        status = report_connect(c);
    uint64_t began = clock_us();
    if (!status)
        status = report_call(c, &request, MAYFLY__ENVELOPE__MESSAGE_PONG, &answer);
    if (status)
        return status;
    status = args_flag(c, "ready") || args_option(c, "wait") ? readiness(answer.envelope->pong->state) : STATUS_DONE;
    if (!c->json) {
        puts(answer.envelope->pong->state);
        return status;
    }
    struct buf b = {0};
    emit_begin(&b, '{');
    emit_member_string(&b, "state", answer.envelope->pong->state);
    emit_member_string(&b, "server", mayfly_server(c->connection));
    emit_member_number(&b, "took_us", clock_us() - began);
    emit_end(&b, '}');
    report_json(&b);
    buf_finish(&b);
    return status;
}

static void emit_numbers(struct buf *b, const char *key, const struct stats_number *numbers, const void *of)
{
    emit_key(b, key);
    emit_begin(b, '{');
    for (const struct stats_number *n = numbers; n->key; n++)
        emit_member_number(b, n->key, stats_number_of(n, of));
    emit_end(b, '}');
}

static void emit_worker(struct buf *b, const Mayfly__Stats__Process *p)
{
    emit_member_string(b, "job", p->job);
    emit_member_string(b, "index", p->index);
    emit_member_number(b, "documents_done", p->documents_done);
    emit_member_number(b, "documents_total", p->documents_total);
    emit_member_number(b, "bytes_done", p->bytes_done);
}

static void emit_process(struct buf *b, const Mayfly__Stats__Process *p)
{
    emit_begin(b, '{');
    emit_member_number(b, "pid", p->pid);
    emit_member_string(b, "role", p->role);
    emit_key(b, "shard");
    if (p->shard >= 0)
        emit_signed(b, p->shard);
    else
        emit_raw(b, STR("null"));
    emit_member_number(b, "reader", p->reader);
    emit_member_string(b, "state", p->state);
    emit_member_number(b, "rss_anon", p->rss_anon);
    emit_member_number(b, "rss_shmem", p->rss_shmem);
    emit_member_number(b, "rss_file", p->rss_file);
    if (p->cap) {
        emit_member_number(b, "arena_used", p->arena_used);
        emit_member_number(b, "arena_peak", p->arena_peak);
        emit_member_number(b, "cap", p->cap);
    }
    emit_member_number(b, "pss", p->pss);
    emit_member_number(b, "rss_peak", p->rss_peak);
    if (p->arena)
        emit_numbers(b, "arena", stats_arena_numbers, p->arena);
    if (p->heap)
        emit_numbers(b, "heap", stats_heap_numbers, p->heap);
    if (strcmp(p->role, "shard") == 0)
        emit_numbers(b, "indexes", stats_holding_numbers, p);
    if (*p->job)
        emit_worker(b, p);
    emit_end(b, '}');
}

static void emit_index(struct buf *b, const Mayfly__Stats__Index *index)
{
    emit_begin(b, '{');
    emit_member_string(b, "uid", index->uid);
    emit_member_number(b, "documents", index->documents);
    emit_member_number(b, "shards", index->shards);
    emit_member_number(b, "segments", index->segments);
    emit_member_number(b, "images", index->images);
    emit_member_number(b, "bytes", index->bytes);
    emit_member_number(b, "mapped", index->mapped);
    emit_member_number(b, "heap", index->heap);
    emit_member_number(b, "open_in", index->open_in);
    emit_end(b, '}');
}

static void emit_lists(struct buf *b, const Mayfly__Stats *s)
{
    emit_key(b, "processes");
    emit_begin(b, '[');
    for (size_t i = 0; i < s->n_processes; i++)
        emit_process(b, s->processes[i]);
    emit_end(b, ']');
    emit_key(b, "worker_exits");
    emit_begin(b, '{');
    for (size_t i = 0; i < s->n_worker_exits; i++)
        emit_member_number(b, s->worker_exits[i]->reason, s->worker_exits[i]->count);
    emit_end(b, '}');
    emit_key(b, "indexes");
    emit_begin(b, '[');
    for (size_t i = 0; i < s->n_indexes; i++)
        emit_index(b, s->indexes[i]);
    emit_end(b, ']');
}

static void emit_latency(struct buf *b, const Mayfly__Stats *s)
{
    const struct latency_counts all = {s->latency, s->n_latency}, none = {0};
    emit_key(b, "latency");
    emit_begin(b, '{');
    emit_member_number(b, "count", latency_total(all, none));
    emit_member_number(b, "sum_us", s->latency_sum_us);
    emit_member_number(b, "p50_us", latency_quantile(all, none, 500));
    emit_member_number(b, "p99_us", latency_quantile(all, none, 990));
    emit_end(b, '}');
}

static void emit_disk(struct buf *b, const Mayfly__Stats__Disk *d)
{
    emit_key(b, "disk");
    emit_begin(b, '{');
    emit_member_string(b, "path", d->path);
    emit_member_string(b, "mount", d->mount);
    emit_member_number(b, "bytes", d->bytes);
    emit_member_number(b, "free", d->free);
    emit_key(b, "full");
    emit_bool(b, d->full);
    emit_member_string(b, "lacking", d->lacking);
    emit_member_number(b, "missing", d->missing);
    emit_member_number(b, "refusals", d->refusals);
    emit_member_number(b, "failures", d->failures);
    emit_end(b, '}');
}

static void print_json(const Mayfly__Stats *s)
{
    struct buf b = {0};
    emit_begin(&b, '{');
    emit_lists(&b, s);
    emit_member_number(&b, "shards", s->shards);
    emit_member_number(&b, "region_bytes", s->region_bytes);
    emit_member_number(&b, "region_budget", s->region_budget);
    emit_member_number(&b, "log_bytes", s->log_bytes);
    emit_member_number(&b, "log_quota", s->log_quota);
    if (s->disk)
        emit_disk(&b, s->disk);
    emit_member_number(&b, "searches", s->searches);
    emit_member_number(&b, "operations", s->operations);
    emit_member_number(&b, "connections", s->connections);
    emit_member_number(&b, "epoch", s->epoch);
    emit_member_date(&b, "started_at", s->started_at);
    emit_member_string(&b, "version", s->version);
    emit_member_string(&b, "state", s->state);
    emit_member_string(&b, "cap_enforced_by", s->cap_enforced_by);
    emit_member_string(&b, "worker_groups", s->worker_groups);
    emit_member_number(&b, "group_limit", s->group_limit);
    emit_member_number(&b, "group_peak", s->group_peak);
    emit_member_number(&b, "hangs", s->hangs);
    emit_member_number(&b, "removals", s->removals);
    emit_member_number(&b, "removals_due_ms", s->removals_due_ms);
    emit_member_number(&b, "tasks_kept", s->tasks_kept);
    emit_member_number(&b, "tasks_bytes", s->tasks_bytes);
    emit_member_number(&b, "tasks_budget", s->tasks_budget);
    emit_member_number(&b, "weights_cached", s->weights_cached);
    emit_member_number(&b, "weights_bytes", s->weights_bytes);
    emit_member_number(&b, "weights_budget", s->weights_budget);
    emit_member_number(&b, "weights_hits", s->weights_hits);
    emit_member_number(&b, "weights_misses", s->weights_misses);
    emit_member_number(&b, "words_cached", s->words_cached);
    emit_member_number(&b, "words_bytes", s->words_bytes);
    emit_member_number(&b, "words_budget", s->words_budget);
    emit_numbers(&b, "workers", stats_worker_numbers, s);
    emit_numbers(&b, "regions", stats_region_numbers, s);
    emit_latency(&b, s);
    emit_end(&b, '}');
    report_json(&b);
    buf_finish(&b);
}

static void print_process_table(const Mayfly__Stats *s)
{
    static const char *const columns[] = {">pid",   "role",   ">shard", "state", ">anon", ">shmem",
                                          ">files", ">arena", ">peak",  ">cap",  NULL};
    struct table t;
    table_init(&t, columns);
    for (size_t i = 0; i < s->n_processes; i++) {
        const Mayfly__Stats__Process *p = s->processes[i];
        char shard[32] = "-";
        if (p->shard >= 0)
            snprintf(shard, sizeof shard, p->role[0] == 's' ? "%d.%u" : "%d", p->shard, p->reader);
        table_number(&t, p->pid);
        table_text(&t, p->role);
        table_text(&t, shard);
        table_text(&t, p->state);
        table_bytes(&t, p->rss_anon);
        table_bytes(&t, p->rss_shmem);
        table_bytes(&t, p->rss_file);
        table_bytes(&t, p->arena_used);
        table_bytes(&t, p->arena_peak);
        table_bytes(&t, p->cap);
    }
    table_print(&t);
    table_finish(&t);
}

static void print_index_table(const Mayfly__Stats *s)
{
    static const char *const columns[] = {"index", ">documents", ">shards", ">segments", ">bytes", NULL};
    struct table t;
    table_init(&t, columns);
    for (size_t i = 0; i < s->n_indexes; i++) {
        table_text(&t, s->indexes[i]->uid);
        table_number(&t, s->indexes[i]->documents);
        table_number(&t, s->indexes[i]->shards);
        table_number(&t, s->indexes[i]->segments);
        table_bytes(&t, s->indexes[i]->bytes);
    }
    table_print(&t);
    table_finish(&t);
}

/* Only what has happened. */
static void print_exits(const Mayfly__Stats *s)
{
    const char *before = "workers ended: ";
    for (size_t i = 0; i < s->n_worker_exits; i++) {
        if (!s->worker_exits[i]->count)
            continue;
        printf("%s%s %" PRIu64, before, s->worker_exits[i]->reason, s->worker_exits[i]->count);
        before = ", ";
    }
    if (*before == ',')
        putchar('\n');
}

static void print_workers(const Mayfly__Stats *s)
{
    char last[BYTES_TEXT_SIZE], most[BYTES_TEXT_SIZE];
    if (!s->workers_started)
        return;
    printf("\nworkers started %" PRIu64 ", arena of the last %s, of any %s, memory back %.1f ms after the last, %.1f at most\n",
           s->workers_started, bytes_text(last, s->worker_peak_last), bytes_text(most, s->worker_peak_most),
           (double)s->worker_teardown_last_us / 1e3, (double)s->worker_teardown_most_us / 1e3);
}

static void print_latency(const Mayfly__Stats *s)
{
    const struct latency_counts all = {s->latency, s->n_latency}, none = {0};
    if (s->n_latency)
        printf(", half within %.2f ms, 99 %% within %.2f ms", (double)latency_quantile(all, none, 500) / 1e3,
               (double)latency_quantile(all, none, 990) / 1e3);
}

static void print_disk(const Mayfly__Stats__Disk *d)
{
    char free[BYTES_TEXT_SIZE], all[BYTES_TEXT_SIZE], missing[BYTES_TEXT_SIZE];
    printf("disk at %s: %s free of %s\n", d->mount, bytes_text(free, d->free), bytes_text(all, d->bytes));
    if (d->full)
        printf("THE DISK IS FULL: %s/%s lacks %s; %" PRIu64 " refused since the start\n", d->path, d->lacking,
               bytes_text(missing, d->missing), d->refusals);
}

static void print_text(const Mayfly__Stats *s)
{
    char since[CLOCK_RFC3339_SIZE], have[BYTES_TEXT_SIZE], most[BYTES_TEXT_SIZE];
    clock_rfc3339(s->started_at, since);
    printf("mayflyd %s, %s since %.19sZ, epoch %" PRIu64 ", workers capped by %s\n", s->version, s->state, since,
           s->epoch, s->cap_enforced_by);
    printf("%" PRIu64 " searches", s->searches);
    print_latency(s);
    printf(", %" PRIu64 " operations, %u connections, %u waiting for room\n", s->operations, s->connections,
           s->clients_waiting);
    printf("weights of %" PRIu64 " searches remembered in %s of %s, %" PRIu64 " searches used them, %" PRIu64 " did not\n",
           s->weights_cached, bytes_text(have, s->weights_bytes), bytes_text(most, s->weights_budget), s->weights_hits,
           s->weights_misses);
    printf("and %" PRIu64 " of their words one by one in %s of %s\n", s->words_cached, bytes_text(have, s->words_bytes),
           bytes_text(most, s->words_budget));
    printf("batch regions %s of %s in %" PRIu64 " of %" PRIu64 " memory files", bytes_text(have, s->region_bytes),
           bytes_text(most, s->region_budget), s->regions, s->memfds);
    printf(", log %s of %s\n", bytes_text(have, s->log_bytes), bytes_text(most, s->log_quota));
    if (s->disk)
        print_disk(s->disk);
    putchar('\n');
    print_process_table(s);
    putchar('\n');
    print_index_table(s);
    print_workers(s);
    print_exits(s);
}

int command_stats(struct cli *c)
{
    Mayfly__StatsGet get = MAYFLY__STATS_GET__INIT;
    REQUEST(request, stats_get, STATS_GET, get);
    struct mayfly_answer answer;
    int status = report_call(c, &request, MAYFLY__ENVELOPE__MESSAGE_STATS, &answer);
    if (status)
        return status;
    if (args_flag(c, "prometheus"))
        prometheus_print(answer.envelope->stats);
    else if (c->json)
        print_json(answer.envelope->stats);
    else
        print_text(answer.envelope->stats);
    return STATUS_DONE;
}
