#include "coordinator/stats.h"

#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/process_memory.h"
#include "coordinator/heap.h"
#include "coordinator/nursery.h"
#include "coordinator/shards_start.h"
#include "proto/memory_figures.h"

struct gathering {
    struct arena *arena;
    Mayfly__Stats__Process **processes; /* NULL: counting */
    size_t count, room;
};

static void read_memory(int pid, Mayfly__Stats__Process *out)
{
    struct process_memory memory;
    process_memory_read(pid, &memory);
    out->rss_anon = memory.rss_anon;
    out->rss_shmem = memory.rss_shmem;
    out->rss_file = memory.rss_file;
    out->rss_peak = memory.rss_peak;
}

static Mayfly__Stats__Process *add_process(struct gathering *g, int pid, const char *role, const char *state)
{
    if (pid <= 0)
        return NULL;
    if (!g->processes) {
        g->room++;
        return NULL;
    }
    Mayfly__Stats__Process *p = g->count < g->room ? arena_new(g->arena, Mayfly__Stats__Process) : NULL;
    if (!p)
        return NULL;
    mayfly__stats__process__init(p);
    p->pid = (uint32_t)pid;
    p->role = message_string(role);
    p->state = message_string(state);
    p->shard = -1;
    read_memory(pid, p);
    g->processes[g->count++] = p;
    return p;
}

static Mayfly__Stats__Arena *add_arena(const struct gathering *g, const struct last_words *w)
{
    Mayfly__Stats__Arena *a = arena_new(g->arena, Mayfly__Stats__Arena);
    if (!a)
        return NULL;
    mayfly__stats__arena__init(a);
    a->reserved = w->arena_cap;
    a->committed = a->high_water = w->arena_peak;
    a->used = w->arena_used;
    return a;
}

static void add_words(const struct gathering *g, Mayfly__Stats__Process *p, const struct last_words *w)
{
    if (!p || !w)
        return;
    p->arena_used = w->arena_used;
    p->arena_peak = w->arena_peak;
    p->cap = w->arena_cap;
    if (w->arena_cap)
        p->arena = add_arena(g, w);
}

static Mayfly__Stats__Process *add_child(struct gathering *g, const struct child *c, const char *role)
{
    bool lives = c->state == CHILD_STARTING || c->state == CHILD_READY;
    Mayfly__Stats__Process *p = add_process(g, lives ? c->pid : 0, role, child_state_name(c->state));
    add_words(g, p, child_words(c));
    return p;
}

static Mayfly__Stats__Heap *add_heap(const struct gathering *g, const struct heap_figures *from)
{
    Mayfly__Stats__Heap *h = from->size ? arena_new(g->arena, Mayfly__Stats__Heap) : NULL;
    if (!h)
        return NULL;
    mayfly__stats__heap__init(h);
    h->allocated = from->allocated;
    h->size = from->size;
    h->page_free = from->page_free;
    h->page_unmapped = from->page_unmapped;
    h->central_free = from->central_free;
    h->transfer_free = from->transfer_free;
    h->thread_free = from->thread_free;
    h->limit = from->limit;
    h->released = from->released;
    return h;
}

static void add_figures(const struct gathering *g, Mayfly__Stats__Process *p, const struct memory_figures *f)
{
    p->heap = add_heap(g, &f->heap);
    p->counted = f->counted;
    p->indexes_open = (uint32_t)f->indexes.open;
    p->indexes_mapped = f->indexes.mapped;
    p->indexes_heap = f->indexes.heap;
    if (!p->arena)
        return;
    p->arena->reserved = f->arena.reserved;
    p->arena->committed = f->arena.committed;
    p->arena->high_water = f->arena.high_water;
    p->arena->resets = f->arena.resets;
    p->arena->discards = f->arena.discards;
    p->arena->refusals = f->arena.refusals;
}

static void add_shards(struct gathering *g, const struct shards *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        const struct reader *r = &s->readers[i];
        Mayfly__Stats__Process *p = add_child(g, &r->child, "shard");
        if (!p)
            continue;
        p->shard = (int32_t)r->shard;
        p->reader = r->number;
        if (child_words(&r->child))
            add_figures(g, p, memory_figures_of(child_words(&r->child)));
    }
}

static void add_worker(void *context, const struct worker_view *w)
{
    struct gathering *g = context;
    Mayfly__Stats__Process *p = add_process(g, w->pid, "worker", child_stage_name(w->words->stage));
    if (!p)
        return;
    add_words(g, p, w->words);
    p->job = message_string(w->kind);
    p->documents_done = w->words->documents;
    p->documents_total = w->words->documents_total;
    p->bytes_done = w->words->bytes;
    if (!w->stream)
        return;
    struct str name = arena_copy(g->arena, str_of(w->stream->index->name));
    p->shard = (int32_t)w->stream->shard;
    p->index = name.ptr ? message_string(name.ptr) : p->index;
}

static void add_coordinator(struct gathering *g)
{
    Mayfly__Stats__Process *p = add_process(g, getpid(), "coordinator", "serving");
    struct heap_figures heap = {0};
    if (!p)
        return;
    heap_read(&heap);
    p->heap = add_heap(g, &heap);
}

static void visit_processes(const struct stats_sources *from, struct gathering *g)
{
    add_coordinator(g);
    add_child(g, &from->nursery->child, "nursery");
    add_shards(g, from->shards);
    jobs_visit(from->jobs, add_worker, g);
}

static int collect_processes(const struct stats_sources *from, struct arena *arena, Mayfly__Stats *out)
{
    struct gathering g = {.arena = arena};
    visit_processes(from, &g);
    g.processes = arena_new_array(arena, g.room, Mayfly__Stats__Process *);
    if (!g.processes)
        return ERR_FULL;
    visit_processes(from, &g);
    out->processes = g.processes;
    out->n_processes = g.count;
    return g.count == g.room ? 0 : ERR_FULL;
}

static int collect_exits(const struct jobs *jobs, struct arena *arena, Mayfly__Stats *out)
{
    out->worker_exits = message_list(arena, &mayfly__stats__exit__descriptor, EXIT_REASONS);
    if (!out->worker_exits)
        return ERR_FULL;
    for (unsigned reason = 0; reason < EXIT_REASONS; reason++) {
        out->worker_exits[reason]->reason = message_string(exit_reason_name(reason));
        out->worker_exits[reason]->count = jobs_exits(jobs, (enum exit_reason)reason);
    }
    out->n_worker_exits = EXIT_REASONS;
    return 0;
}

static void add_holdings(const struct shards *s, const struct index *i, Mayfly__Stats__Index *x)
{
    for (uint32_t n = 0; n < s->count; n++) {
        const struct holding *h = holdings_find(&s->readers[n].holdings, i->number, i->edition);
        if (!h)
            continue;
        x->open_in++;
        x->mapped += h->mapped;
        x->heap += h->heap;
    }
}

static int collect_index(const struct shards *shards, const struct index *i, struct arena *arena, Mayfly__Stats *out)
{
    Mayfly__Stats__Index *x = arena_new(arena, Mayfly__Stats__Index);
    struct str name = arena_copy(arena, str_of(i->name));
    if (!x || !name.ptr)
        return ERR_FULL;
    mayfly__stats__index__init(x);
    x->uid = message_string(name.ptr);
    x->documents = index_documents(i);
    x->shards = i->shards;
    for (uint32_t n = 0; n < i->shards; n++) {
        const struct stream *s = &i->streams[n];
        x->segments += s->segment_count;
        for (size_t k = 0; k < s->segment_count; k++) {
            x->bytes += s->segments[k].bytes;
            x->images += s->segments[k].image;
        }
    }
    add_holdings(shards, i, x);
    out->indexes[out->n_indexes++] = x;
    return 0;
}

static int collect_indexes(const struct indexes *all, const struct shards *shards, struct arena *arena,
                           Mayfly__Stats *out)
{
    size_t count = 0;
    for (const struct index *i = all->first; i; i = i->next)
        count++;
    if (!count)
        return 0;
    out->indexes = arena_new_array(arena, count, Mayfly__Stats__Index *);
    if (!out->indexes)
        return ERR_FULL;
    for (const struct index *i = all->first; i; i = i->next) {
        int err = collect_index(shards, i, arena, out);
        if (err)
            return err;
    }
    return 0;
}

static void collect_workers(const struct worker_counts *c, Mayfly__Stats *out)
{
    out->workers_started = c->started;
    out->worker_peak_last = c->peak_last;
    out->worker_peak_most = c->peak_most;
    out->worker_teardown_last_us = c->teardown_last_us;
    out->worker_teardown_most_us = c->teardown_most_us;
}

/* A copy: it goes on while the answer waits to be sent. */
static int collect_latency(const struct latency *from, struct arena *arena, Mayfly__Stats *out)
{
    size_t length = latency_length(from);
    out->latency = arena_new_array(arena, length, uint64_t);
    if (!out->latency)
        return ERR_FULL;
    memcpy(out->latency, from->counts, length * sizeof *out->latency);
    out->n_latency = length;
    out->latency_sum_us = from->sum_us;
    return 0;
}

static uint64_t count_hangs(const struct stats_sources *from)
{
    uint64_t hangs = from->nursery->child.hangs;
    for (uint32_t i = 0; i < from->shards->count; i++)
        hangs += from->shards->readers[i].child.hangs;
    return hangs;
}

int stats_collect(const struct stats_sources *from, struct arena *arena, Mayfly__Stats *out)
{
    out->epoch = catalog_epoch(from->catalog);
    out->started_at = from->started_at;
    out->shards = from->indexes->shards;
    out->version = message_string(MAYFLY_VERSION);
    out->region_budget = from->config->region_memory;
    out->log_quota = from->config->log_quota;
    out->cap_enforced_by = message_string(cap_name(from->cap));
    out->worker_groups = message_string(cap_group(from->cap));
    out->group_limit = cap_limit(from->cap, from->config->worker_memory, (struct cap_need){0});
    out->group_peak = cap_peak(from->cap);
    out->removals = jobs_removals(from->jobs, &out->removals_due_ms);
    out->hangs = count_hangs(from);
    collect_workers(jobs_worker_counts(from->jobs), out);
    int err = collect_processes(from, arena, out);
    if (!err)
        err = collect_exits(from->jobs, arena, out);
    if (!err)
        err = collect_latency(from->latency, arena, out);
    return err ? err : collect_indexes(from->indexes, from->shards, arena, out);
}
