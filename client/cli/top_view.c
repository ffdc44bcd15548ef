#include "client/cli/top_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/table.h"
#include "common/clock.h"

enum { BAR = 10, JOB_BAR = 20, WARN_AT = 75, BAD_AT = 90 /* percent */ };

/* ------------------------------------------------------------------------------------------------------------ samples
 */

void top_sample_take(struct top_sample *s, const Mayfly__Stats *stats)
{
    s->at_us = clock_us();
    s->searches = stats->searches;
    s->operations = stats->operations;
    s->latency_length = stats->n_latency < LATENCY_BUCKETS ? stats->n_latency : LATENCY_BUCKETS;
    if (s->latency_length)
        memcpy(s->latency, stats->latency, s->latency_length * sizeof *s->latency);
}

/* A server that was started anew has counted less than before: then there is nothing to compare. */
struct top_rates top_rates_between(const struct top_sample *before, const struct top_sample *now)
{
    const struct latency_counts a = {before->latency, before->latency_length};
    const struct latency_counts b = {now->latency, now->latency_length};
    if (!before->at_us || now->at_us <= before->at_us || now->searches < before->searches ||
        now->operations < before->operations)
        return (struct top_rates){0};
    double seconds = (double)(now->at_us - before->at_us) / 1e6;
    return (struct top_rates){.known = true,
                              .searches = (double)(now->searches - before->searches) / seconds,
                              .operations = (double)(now->operations - before->operations) / seconds,
                              .p50_us = latency_quantile(b, a, 500),
                              .p99_us = latency_quantile(b, a, 990)};
}

/* ------------------------------------------------------------------------------------------------------------- pieces
 */

static void mark(struct buf *out, enum top_mark m)
{
    buf_append(out, &(char){(char)m}, 1);
}

static void title(struct buf *out, const char *text)
{
    mark(out, TOP_FAINT);
    buf_printf(out, "%s", text);
    mark(out, TOP_PLAIN);
    buf_printf(out, "\n");
}

static unsigned percent_of(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : part >= whole ? 100 : (unsigned)((double)part * 100 / (double)whole);
}

/* [####......] */
static void bar(struct buf *out, unsigned percent, unsigned width, bool is_a_limit)
{
    unsigned filled = (percent * width + 99) / 100;
    buf_printf(out, "[");
    if (is_a_limit)
        mark(out, percent >= BAD_AT ? TOP_BAD : percent >= WARN_AT ? TOP_WARN : TOP_GOOD);
    for (unsigned i = 0; i < width; i++)
        buf_printf(out, "%c", i < filled ? '#' : '.');
    mark(out, TOP_PLAIN);
    buf_printf(out, "]");
}

static void size_cell(struct buf *out, uint64_t bytes)
{
    char text[BYTES_TEXT_SIZE];
    buf_printf(out, " %8s", bytes ? bytes_text(text, bytes) : "-");
}

static void time_text(char to[24], uint64_t us)
{
    if (us == 0)
        snprintf(to, 24, "-");
    else if (us < 1000)
        snprintf(to, 24, "%u us", (unsigned)us);
    else if (us < 1000000)
        snprintf(to, 24, "%.2f ms", (double)us / 1e3);
    else
        snprintf(to, 24, "%.2f s", (double)us / 1e6);
}

/* ------------------------------------------------------------------------------------------------------------- header
 */

static void up_text(char to[32], uint64_t us)
{
    unsigned minutes = (unsigned)(us / 60000000);
    snprintf(to, 32, "%u d %02u:%02u", minutes / 1440, minutes / 60 % 24, minutes % 60);
}

static void header(struct buf *out, const Mayfly__Stats *s, uint64_t wall_us)
{
    char up[32], now[CLOCK_RFC3339_SIZE];
    clock_rfc3339(wall_us, now);
    up_text(up, wall_us > s->started_at ? wall_us - s->started_at : 0);
    mark(out, TOP_STRONG);
    buf_printf(out, "mayflyd %.20s", s->version);
    mark(out, strcmp(s->state, "ready") == 0 ? TOP_GOOD : TOP_WARN);
    buf_printf(out, " %s", s->state);
    mark(out, TOP_PLAIN);
    buf_printf(out, ", up %s, workers capped by %.12s, %.8s UTC\n", up, s->cap_enforced_by, now + 11);
}

static void traffic(struct buf *out, const Mayfly__Stats *s, const struct top_rates *r)
{
    char p50[24], p99[24], rate[24] = "-", operations[24] = "-";
    time_text(p50, r->p50_us);
    time_text(p99, r->p99_us);
    if (r->known) {
        snprintf(rate, sizeof rate, "%.1f/s", r->searches);
        snprintf(operations, sizeof operations, "%.1f/s", r->operations);
    }
    buf_printf(out, "searches %11s   p50 %9s   p99 %9s   of %" PRIu64 "\n", rate, p50, p99, s->searches);
    buf_printf(out, "writes   %11s   clients %u, ", operations, s->connections);
    mark(out, s->clients_waiting ? TOP_WARN : TOP_PLAIN);
    buf_printf(out, "waiting for room %u", s->clients_waiting);
    mark(out, TOP_PLAIN);
    buf_printf(out, "\n");
}

static void budget(struct buf *out, const char *name, uint64_t bytes, uint64_t most)
{
    char have[BYTES_TEXT_SIZE], all[BYTES_TEXT_SIZE];
    buf_printf(out, "%s ", name);
    bar(out, percent_of(bytes, most), BAR, true);
    buf_printf(out, " %s of %s", bytes_text(have, bytes), bytes_text(all, most));
}

static void pressure(struct buf *out, const Mayfly__Stats *s)
{
    budget(out, "regions ", s->region_bytes, s->region_budget);
    buf_printf(out, " in %" PRIu64 "   ", s->regions);
    budget(out, "log", s->log_bytes, s->log_quota);
    buf_printf(out, "\n");
    if (s->disk && s->disk->full)
        buf_printf(out, "THE DISK IS FULL at %s\n", s->disk->mount);
}

/* ------------------------------------------------------------------------------------------------------------- phases
 */

struct phase {
    const char *name;
    const char *roles[2];
};

static const struct phase phases[] = {
    {"receiving", {"coordinator"}},
    {"searching", {"shard"}},
    {"indexing", {"nursery", "worker"}},
};

static bool is_of(const struct phase *phase, const Mayfly__Stats__Process *p)
{
    return strcmp(phase->roles[0], p->role) == 0 || (phase->roles[1] && strcmp(phase->roles[1], p->role) == 0);
}

struct sums {
    uint64_t own, files, mapped, arena, cap;
};

static void add(struct sums *to, const struct sums *from)
{
    to->own += from->own;
    to->files += from->files;
    to->mapped += from->mapped;
    to->arena += from->arena;
    to->cap += from->cap;
}

static struct sums sums_of(const Mayfly__Stats__Process *p)
{
    return (struct sums){.own = p->rss_anon + p->rss_shmem,
                         .files = p->rss_file,
                         .mapped = p->indexes_mapped,
                         .arena = p->arena_used,
                         .cap = p->cap};
}

static void cells(struct buf *out, const struct sums *s)
{
    size_cell(out, s->own);
    size_cell(out, s->files);
    size_cell(out, s->mapped);
    size_cell(out, s->arena);
    size_cell(out, s->cap);
}

static void process_row(struct buf *out, const Mayfly__Stats__Process *p)
{
    char name[40];
    const struct sums sums = sums_of(p);
    if (strcmp(p->role, "shard") == 0)
        snprintf(name, sizeof name, "shard %d.%u", p->shard, p->reader);
    else
        snprintf(name, sizeof name, "%.20s", p->role);
    buf_printf(out, "  %-13s %7u", name, p->pid);
    cells(out, &sums);
    if (sums.cap) {
        buf_printf(out, " ");
        bar(out, percent_of(sums.arena, sums.cap), BAR - 2, true);
    }
    buf_printf(out, "\n");
}

static void phase_rows(struct buf *out, const Mayfly__Stats *s, const struct phase *phase)
{
    struct sums all = {0};
    for (size_t i = 0; i < s->n_processes; i++) {
        const struct sums sums = sums_of(s->processes[i]);
        if (is_of(phase, s->processes[i]))
            add(&all, &sums);
    }
    mark(out, TOP_STRONG);
    buf_printf(out, "%-23s", phase->name);
    cells(out, &all);
    mark(out, TOP_PLAIN);
    buf_printf(out, "\n");
    for (size_t i = 0; i < s->n_processes; i++)
        if (is_of(phase, s->processes[i]))
            process_row(out, s->processes[i]);
}

/* --------------------------------------------------------------------------------------------------------------- jobs
 */

static void job_row(struct buf *out, const Mayfly__Stats__Process *p)
{
    char name[160], read[BYTES_TEXT_SIZE];
    if (*p->index)
        snprintf(name, sizeof name, "%s %s.%d", p->job, p->index, p->shard);
    else
        snprintf(name, sizeof name, "%s", p->job);
    buf_printf(out, "  %-22.22s %-10.10s ", name, p->state);
    bar(out, percent_of(p->documents_done, p->documents_total), JOB_BAR, false);
    buf_printf(out, " %" PRIu64 " of %" PRIu64, p->documents_done, p->documents_total);
    if (p->bytes_done)
        buf_printf(out, ", %s", bytes_text(read, p->bytes_done));
    buf_printf(out, "\n");
}

static void jobs(struct buf *out, const Mayfly__Stats *s)
{
    bool any = false;
    for (size_t i = 0; i < s->n_processes; i++) {
        if (!*s->processes[i]->job)
            continue;
        if (!any)
            title(out, "JOB                      STAGE      DOCUMENTS");
        any = true;
        job_row(out, s->processes[i]);
    }
}

static void workers(struct buf *out, const Mayfly__Stats *s)
{
    char last[BYTES_TEXT_SIZE], most[BYTES_TEXT_SIZE], gone[24], longest[24];
    if (!s->workers_started)
        return;
    time_text(gone, s->worker_teardown_last_us);
    time_text(longest, s->worker_teardown_most_us);
    buf_printf(out, "workers %" PRIu64 ", arena last %s, most %s, memory back in %s, most %s\n", s->workers_started,
               bytes_text(last, s->worker_peak_last), bytes_text(most, s->worker_peak_most), gone, longest);
    const char *before = "ended: ";
    for (size_t i = 0; i < s->n_worker_exits; i++) {
        if (!s->worker_exits[i]->count)
            continue;
        buf_printf(out, "%s%s %" PRIu64, before, s->worker_exits[i]->reason, s->worker_exits[i]->count);
        before = ", ";
    }
    if (*before == ',')
        buf_printf(out, "\n");
}

/* ------------------------------------------------------------------------------------------------------------ indexes
 */

static void indexes(struct buf *out, const Mayfly__Stats *s)
{
    if (!s->n_indexes)
        return;
    title(out, "INDEX                    DOCUMENTS SEGMENTS  ON DISK   MAPPED     HELD  OPEN IN");
    for (size_t i = 0; i < s->n_indexes; i++) {
        const Mayfly__Stats__Index *x = s->indexes[i];
        buf_printf(out, "  %-20.20s %11" PRIu64 " %8" PRIu64, x->uid, x->documents, x->segments);
        size_cell(out, x->bytes);
        size_cell(out, x->mapped);
        size_cell(out, x->heap);
        buf_printf(out, " %8u\n", x->open_in);
    }
}

void top_view(struct buf *out, const Mayfly__Stats *stats, const struct top_rates *rates, uint64_t wall_us)
{
    header(out, stats, wall_us);
    traffic(out, stats, rates);
    pressure(out, stats);
    title(out, "PHASE AND PROCESS   PID      OWN    FILES   MAPPED    ARENA      CAP");
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++)
        phase_rows(out, stats, &phases[i]);
    jobs(out, stats);
    workers(out, stats);
    indexes(out, stats);
}
