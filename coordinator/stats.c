#include "coordinator/stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "coordinator/nursery.h"
#include "coordinator/shards_start.h"

struct gathering {
    struct arena *arena;
    Mayfly__Stats__Process **processes; /* NULL: counting */
    size_t count, room;
};

/* The three kinds of resident pages; a process that is gone has none. */
static void read_memory(int pid, Mayfly__Stats__Process *out)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    while (fgets(line, sizeof line, file)) {
        unsigned long long kib;
        if (sscanf(line, "RssAnon: %llu kB", &kib) == 1)
            out->rss_anon = kib * 1024;
        else if (sscanf(line, "RssShmem: %llu kB", &kib) == 1)
            out->rss_shmem = kib * 1024;
        else if (sscanf(line, "RssFile: %llu kB", &kib) == 1)
            out->rss_file = kib * 1024;
    }
    fclose(file);
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

static void add_words(Mayfly__Stats__Process *p, const struct last_words *w)
{
    if (!p || !w)
        return;
    p->arena_used = w->arena_used;
    p->arena_peak = w->arena_peak;
    p->cap = w->arena_cap;
}

static Mayfly__Stats__Process *add_child(struct gathering *g, const struct child *c, const char *role)
{
    bool lives = c->state == CHILD_STARTING || c->state == CHILD_READY;
    Mayfly__Stats__Process *p = add_process(g, lives ? c->pid : 0, role, child_state_name(c->state));
    add_words(p, child_words(c));
    return p;
}

static void add_shards(struct gathering *g, const struct shards *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        Mayfly__Stats__Process *p = add_child(g, &s->readers[i].child, "shard");
        if (!p)
            continue;
        p->shard = (int32_t)s->readers[i].shard;
        p->reader = s->readers[i].number;
    }
}

static void add_worker(void *context, int pid, const struct stream *s, const struct last_words *words)
{
    Mayfly__Stats__Process *p = add_process(context, pid, "worker", child_stage_name(words->stage));
    add_words(p, words);
    if (p && s)
        p->shard = (int32_t)s->shard;
}

static void visit_processes(const struct stats_sources *from, struct gathering *g)
{
    add_process(g, getpid(), "coordinator", "serving");
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
    out->worker_exits = arena_new_array(arena, EXIT_REASONS, Mayfly__Stats__Exit *);
    if (!out->worker_exits)
        return ERR_FULL;
    for (unsigned reason = 0; reason < EXIT_REASONS; reason++) {
        Mayfly__Stats__Exit *e = arena_new(arena, Mayfly__Stats__Exit);
        if (!e)
            return ERR_FULL;
        mayfly__stats__exit__init(e);
        e->reason = message_string(exit_reason_name(reason));
        e->count = jobs_exits(jobs, (enum exit_reason)reason);
        out->worker_exits[out->n_worker_exits++] = e;
    }
    return 0;
}

static int collect_index(const struct index *i, struct arena *arena, Mayfly__Stats *out)
{
    Mayfly__Stats__Index *x = arena_new(arena, Mayfly__Stats__Index);
    struct str name = arena_copy(arena, str_of(i->name));
    if (!x || !name.ptr)
        return ERR_FULL;
    mayfly__stats__index__init(x);
    x->uid = message_string(name.ptr);
    x->documents = index_documents(i);
    for (uint32_t n = 0; n < i->shards; n++) {
        const struct stream *s = &i->streams[n];
        x->segments += s->segment_count;
        for (size_t k = 0; k < s->segment_count; k++)
            x->bytes += s->segments[k].bytes;
    }
    out->indexes[out->n_indexes++] = x;
    return 0;
}

static int collect_indexes(const struct indexes *all, struct arena *arena, Mayfly__Stats *out)
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
        int err = collect_index(i, arena, out);
        if (err)
            return err;
    }
    return 0;
}

int stats_collect(const struct stats_sources *from, struct arena *arena, Mayfly__Stats *out)
{
    out->epoch = catalog_epoch(from->catalog);
    out->started_at = from->started_at;
    out->version = message_string(MAYFLY_VERSION);
    out->region_budget = from->config->region_memory;
    out->log_quota = from->config->log_quota;
    out->cap_enforced_by = message_string("rlimit");
    out->removals = jobs_removals(from->jobs, &out->removals_due_ms);
    int err = collect_processes(from, arena, out);
    if (!err)
        err = collect_exits(from->jobs, arena, out);
    return err ? err : collect_indexes(from->indexes, arena, out);
}
