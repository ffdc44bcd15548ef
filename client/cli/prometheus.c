#include "client/cli/prometheus.h"

#include <inttypes.h>
#include <stdio.h>

static void head(const char *name, const char *type, const char *help)
{
    printf("# HELP mayfly_%s %s\n# TYPE mayfly_%s %s\n", name, help, name, type);
}

static void single(const char *name, const char *type, const char *help, uint64_t value)
{
    head(name, type, help);
    printf("mayfly_%s %" PRIu64 "\n", name, value);
}

/* A label's value with what must be escaped in it. */
static void print_label(const char *value)
{
    putchar('"');
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            putchar('\\');
        if (*value == '\n')
            fputs("\\n", stdout);
        else
            putchar(*value);
    }
    putchar('"');
}

static void print_process(const char *name, const Mayfly__Stats__Process *p, const char *kind, uint64_t value)
{
    printf("mayfly_%s{pid=\"%u\",role=", name, p->pid);
    print_label(p->role);
    if (p->shard >= 0)
        printf(",shard=\"%d\"", p->shard);
    if (p->shard >= 0 && p->role[0] == 's')
        printf(",reader=\"%u\"", p->reader);
    if (kind)
        printf(",kind=\"%s\"", kind);
    printf("} %" PRIu64 "\n", value);
}

static void print_processes(const Mayfly__Stats *s)
{
    head("process_resident_bytes", "gauge", "Resident memory of a process: anonymous, shared, or of mapped files.");
    for (size_t i = 0; i < s->n_processes; i++) {
        print_process("process_resident_bytes", s->processes[i], "anon", s->processes[i]->rss_anon);
        print_process("process_resident_bytes", s->processes[i], "shmem", s->processes[i]->rss_shmem);
        print_process("process_resident_bytes", s->processes[i], "file", s->processes[i]->rss_file);
    }
    head("process_arena_bytes", "gauge", "Arena of a worker, or query arenas of a shard: used, peak, and cap.");
    for (size_t i = 0; i < s->n_processes; i++) {
        if (!s->processes[i]->cap)
            continue;
        print_process("process_arena_bytes", s->processes[i], "used", s->processes[i]->arena_used);
        print_process("process_arena_bytes", s->processes[i], "peak", s->processes[i]->arena_peak);
        print_process("process_arena_bytes", s->processes[i], "cap", s->processes[i]->cap);
    }
}

static void print_exits(const Mayfly__Stats *s)
{
    head("worker_exits_total", "counter", "Workers that have ended, by reason.");
    for (size_t i = 0; i < s->n_worker_exits; i++) {
        fputs("mayfly_worker_exits_total{reason=", stdout);
        print_label(s->worker_exits[i]->reason);
        printf("} %" PRIu64 "\n", s->worker_exits[i]->count);
    }
}

static uint64_t documents_of(const Mayfly__Stats__Index *index)
{
    return index->documents;
}

static uint64_t segments_of(const Mayfly__Stats__Index *index)
{
    return index->segments;
}

static uint64_t bytes_of(const Mayfly__Stats__Index *index)
{
    return index->bytes;
}

static void print_indexes(const Mayfly__Stats *s)
{
    static const struct {
        const char *name, *help;
        uint64_t (*value)(const Mayfly__Stats__Index *index);
    } families[] = {
        {"index_documents", "Live documents of an index.", documents_of},
        {"index_segments", "Segment files of an index.", segments_of},
        {"index_bytes", "Size of an index on disk.", bytes_of},
    };
    for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
        head(families[f].name, "gauge", families[f].help);
        for (size_t i = 0; i < s->n_indexes; i++) {
            printf("mayfly_%s{index=", families[f].name);
            print_label(s->indexes[i]->uid);
            printf("} %" PRIu64 "\n", families[f].value(s->indexes[i]));
        }
    }
}

void prometheus_print(const Mayfly__Stats *s)
{
    print_processes(s);
    print_exits(s);
    print_indexes(s);
    single("region_bytes", "gauge", "Bytes of batch regions that are held.", s->region_bytes);
    single("region_budget_bytes", "gauge", "Bytes that batch regions may take.", s->region_budget);
    single("log_bytes", "gauge", "Size of the operation log.", s->log_bytes);
    single("log_quota_bytes", "gauge", "Size that the operation log may have.", s->log_quota);
    single("removals", "gauge", "Dropped segments and indexes whose files are not removed yet.", s->removals);
    single("searches_total", "counter", "Searches answered since the start.", s->searches);
    single("operations_total", "counter", "Operations accepted since the start.", s->operations);
    single("weights_bytes", "gauge", "Bytes of remembered term weights of searches.", s->weights_bytes);
    single("weights_budget_bytes", "gauge", "Bytes that remembered term weights may take.", s->weights_budget);
    single("weights_hits_total", "counter", "Searches over several shards that needed no first round.", s->weights_hits);
    single("weights_misses_total", "counter", "Searches over several shards that needed one.", s->weights_misses);
    single("connections", "gauge", "Open connections.", s->connections);
    single("start_time_seconds", "gauge", "When the server was started.", s->started_at / 1000000);
}
