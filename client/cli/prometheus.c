#include "client/cli/prometheus.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/stats_numbers.h"
#include "proto/latency.h"

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

static void print_resident(const Mayfly__Stats *s)
{
    head("process_resident_bytes", "gauge", "Resident memory of a process: anonymous, shared, or of mapped files.");
    for (size_t i = 0; i < s->n_processes; i++) {
        print_process("process_resident_bytes", s->processes[i], "anon", s->processes[i]->rss_anon);
        print_process("process_resident_bytes", s->processes[i], "shmem", s->processes[i]->rss_shmem);
        print_process("process_resident_bytes", s->processes[i], "file", s->processes[i]->rss_file);
    }
    head("process_proportional_bytes", "gauge", "Share of a process in what is resident (Pss).");
    for (size_t i = 0; i < s->n_processes; i++)
        print_process("process_proportional_bytes", s->processes[i], NULL, s->processes[i]->pss);
    head("process_resident_peak_bytes", "gauge", "Most that was ever resident in a process (VmHWM).");
    for (size_t i = 0; i < s->n_processes; i++)
        print_process("process_resident_peak_bytes", s->processes[i], NULL, s->processes[i]->rss_peak);
}

static void print_caps(const Mayfly__Stats *s)
{
    head("process_arena_bytes", "gauge", "Arena of a worker, or query arenas of a shard: used, peak, and cap.");
    for (size_t i = 0; i < s->n_processes; i++) {
        if (!s->processes[i]->cap)
            continue;
        print_process("process_arena_bytes", s->processes[i], "used", s->processes[i]->arena_used);
        print_process("process_arena_bytes", s->processes[i], "peak", s->processes[i]->arena_peak);
        print_process("process_arena_bytes", s->processes[i], "cap", s->processes[i]->cap);
    }
}

static const void *heap_of(const Mayfly__Stats__Process *p)
{
    return p->heap;
}

static const void *arena_of(const Mayfly__Stats__Process *p)
{
    return p->arena;
}

static const void *holdings_of(const Mayfly__Stats__Process *p)
{
    return strcmp(p->role, "shard") == 0 ? p : NULL;
}

static const char *type_of(const char *metric)
{
    const char *end = strrchr(metric, '_');
    return end && strcmp(end, "_total") == 0 ? "counter" : "gauge";
}

/* A table of numbers, of each process that has that part. */
static void print_parts(const Mayfly__Stats *s, const void *(*part_of)(const Mayfly__Stats__Process *p),
                        const struct stats_number *table)
{
    for (const struct stats_number *n = table; n->key; n++) {
        head(n->metric, type_of(n->metric), n->help);
        for (size_t i = 0; i < s->n_processes; i++) {
            const void *part = part_of(s->processes[i]);
            if (part)
                print_process(n->metric, s->processes[i], NULL, stats_number_of(n, part));
        }
    }
}

static void print_seconds(uint64_t us)
{
    printf("%" PRIu64 ".%06u", us / 1000000, (unsigned)(us % 1000000));
}

static void print_table(const Mayfly__Stats *s, const struct stats_number *table)
{
    for (const struct stats_number *n = table; n->key; n++) {
        const char *unit = strrchr(n->metric, '_');
        head(n->metric, type_of(n->metric), n->help);
        printf("mayfly_%s ", n->metric);
        if (unit && strcmp(unit, "_seconds") == 0)
            print_seconds(stats_number_of(n, s));
        else
            printf("%" PRIu64, stats_number_of(n, s));
        putchar('\n');
    }
}

enum { FIRST_POWER = 6, LAST_POWER = 22 }; /* 64 us to 4 s, which are ends of buckets (proto/latency.h) */

static void print_latency(const Mayfly__Stats *s)
{
    uint64_t below = 0;
    size_t at = 0;
    head("search_duration_seconds", "histogram", "How long searches took, in the coordinator.");
    for (unsigned power = FIRST_POWER; power <= LAST_POWER; power++) {
        for (; at < s->n_latency && latency_bound(at) <= UINT64_C(1) << power; at++)
            below += s->latency[at];
        fputs("mayfly_search_duration_seconds_bucket{le=\"", stdout);
        print_seconds(UINT64_C(1) << power);
        printf("\"} %" PRIu64 "\n", below);
    }
    for (; at < s->n_latency; at++)
        below += s->latency[at];
    printf("mayfly_search_duration_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n", below);
    fputs("mayfly_search_duration_seconds_sum ", stdout);
    print_seconds(s->latency_sum_us);
    printf("\nmayfly_search_duration_seconds_count %" PRIu64 "\n", below);
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

static uint64_t images_of(const Mayfly__Stats__Index *index)
{
    return index->images;
}

static uint64_t bytes_of(const Mayfly__Stats__Index *index)
{
    return index->bytes;
}

static uint64_t mapped_of(const Mayfly__Stats__Index *index)
{
    return index->mapped;
}

static uint64_t heap_bytes_of(const Mayfly__Stats__Index *index)
{
    return index->heap;
}

static void print_indexes(const Mayfly__Stats *s)
{
    static const struct {
        const char *name, *help;
        uint64_t (*value)(const Mayfly__Stats__Index *index);
    } families[] = {
        {"index_documents", "Live documents of an index.", documents_of},
        {"index_segments", "Segments of an index.", segments_of},
        {"index_images", "Small segments of an index that stand in core.mdb in place of a file.", images_of},
        {"index_bytes", "Size of an index on disk.", bytes_of},
        {"index_mapped_bytes", "Files of an index that shard processes have mapped, each counted.", mapped_of},
        {"index_heap_bytes", "Heap that all shard processes hold for an index.", heap_bytes_of},
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

static void print_disk(const Mayfly__Stats__Disk *d)
{
    single("disk_bytes", "gauge", "Size of the file system that the data is on.", d->bytes);
    single("disk_free_bytes", "gauge", "What is free of it for the server.", d->free);
    single("disk_full", "gauge", "Whether somebody could not write for lack of room, and has not written since.", d->full ? 1 : 0);
    single("disk_missing_bytes", "gauge", "What it lacks.", d->missing);
    single("disk_refusals_total", "counter", "Operations and requests refused because the disk was full.", d->refusals);
    single("disk_failures_total", "counter", "Writes that failed because the disk was full.", d->failures);
}

void prometheus_print(const Mayfly__Stats *s)
{
    print_resident(s);
    print_caps(s);
    print_parts(s, arena_of, stats_arena_numbers);
    print_parts(s, heap_of, stats_heap_numbers);
    print_parts(s, holdings_of, stats_holding_numbers);
    print_exits(s);
    print_table(s, stats_worker_numbers);
    print_table(s, stats_region_numbers);
    print_latency(s);
    print_indexes(s);
    single("region_bytes", "gauge", "Bytes of batch regions that are held.", s->region_bytes);
    single("region_budget_bytes", "gauge", "Bytes that batch regions may take.", s->region_budget);
    single("group_limit_bytes", "gauge", "What the kernel lets a worker have, with its page cache.", s->group_limit);
    single("group_peak_bytes", "gauge", "The most that the kernel has counted of one worker.", s->group_peak);
    single("log_bytes", "gauge", "Size of the operation log.", s->log_bytes);
    single("log_quota_bytes", "gauge", "Size that the operation log may have.", s->log_quota);
    if (s->disk)
        print_disk(s->disk);
    single("removals", "gauge", "Dropped segments and indexes whose files are not removed yet.", s->removals);
    single("hangs_total", "counter", "Shards and nurseries ended because they did not answer.", s->hangs);
    single("searches_total", "counter", "Searches answered since the start.", s->searches);
    single("operations_total", "counter", "Operations accepted since the start.", s->operations);
    single("tasks_kept", "gauge", "Tasks that are kept, those that have ended included.", s->tasks_kept);
    single("tasks_bytes", "gauge", "Bytes of tasks that are kept.", s->tasks_bytes);
    single("tasks_budget_bytes", "gauge", "Bytes that tasks may take.", s->tasks_budget);
    single("weights_bytes", "gauge", "Bytes of remembered term weights of searches.", s->weights_bytes);
    single("weights_budget_bytes", "gauge", "Bytes that remembered term weights may take.", s->weights_budget);
    single("weights_hits_total", "counter", "Searches over several shards that needed no first round.",
           s->weights_hits);
    single("weights_misses_total", "counter", "Searches over several shards that needed one.", s->weights_misses);
    single("words_bytes", "gauge", "Bytes of remembered words of searches.", s->words_bytes);
    single("words_budget_bytes", "gauge", "Bytes that remembered words may take.", s->words_budget);
    single("connections", "gauge", "Open connections.", s->connections);
    single("start_time_seconds", "gauge", "When the server was started.", s->started_at / 1000000);
}
