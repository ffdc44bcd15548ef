/* Stats: what the coordinator knows is gathered at once, what the kernel must be asked for at length in libuv's pool.
 */
#include "coordinator/requests.h"

#include "common/check.h"
#include "common/fd.h"
#include "common/process_memory.h"
#include "coordinator/budget.h"
#include "coordinator/session_state.h"
#include "coordinator/stats.h"
#include "coordinator/tasks_state.h"

struct stats_request { /* in the arena of its workspace */
    struct pending pending;
    struct server *server;
    struct workspace *space;
    uv_work_t work;
    Mayfly__Stats stats;
};

/* Nothing is freed while the pool has it: without a session, after_pool only does that. */
static void cancel(struct pending *p)
{
    (void)p;
}

static void in_pool(uv_work_t *work)
{
    Mayfly__Stats *stats = &((struct stats_request *)work->data)->stats;
    for (size_t i = 0; i < stats->n_processes; i++)
        stats->processes[i]->pss = process_memory_share((int)stats->processes[i]->pid);
    fd_count_memfds(&stats->memfds, &stats->memfd_bytes);
}

static void after_pool(uv_work_t *work, int status)
{
    struct stats_request *r = work->data;
    struct server *server = r->server;
    Mayfly__Envelope answer = MAYFLY__ENVELOPE__INIT;
    (void)status;
    answer.message_case = MAYFLY__ENVELOPE__MESSAGE_STATS;
    answer.stats = &r->stats;
    if (r->pending.session)
        session_send(r->pending.session, r->pending.request, &answer, (struct str){0});
    session_remove_pending(&r->pending);
    workspace_give_back(&server->spare, r->space);
}

static void fill_weights(const struct server *server, Mayfly__Stats *out)
{
    struct weights_counts c = weights_counts(server->weights);
    struct words_counts words = words_counts(server->words);
    out->weights_cached = c.entries;
    out->weights_bytes = c.bytes;
    out->weights_budget = WEIGHTS_BYTES;
    out->weights_hits = c.hits + words.hits;
    out->weights_misses = c.misses;
    out->words_cached = words.entries;
    out->words_bytes = words.bytes;
    out->words_budget = WORDS_BYTES;
}

static void fill_tasks(const struct tasks *tasks, Mayfly__Stats *out)
{
    out->tasks_kept = tasks_count(tasks);
    out->tasks_bytes = tasks_bytes(tasks);
    out->tasks_budget = TASKS_BYTES;
}

static void fill_traffic(const struct server *server, Mayfly__Stats *out)
{
    out->region_bytes = ingest_bytes(server->ingest);
    out->regions = ingest_regions(server->ingest);
    out->log_bytes = oplog_bytes(server->log);
    out->connections = sessions_count(server->sessions);
    out->clients_waiting = sessions_waiting(server->sessions);
    out->searches = server->searches;
    out->operations = server->operations;
    out->state = message_string(server_state_name(server));
}

static void fill_disk(const struct server *server, struct arena *arena, Mayfly__Stats *out)
{
    const struct disk *d = &server->disk;
    Mayfly__Stats__Disk *m = out->disk = arena_new(arena, Mayfly__Stats__Disk);
    if (!m)
        return;
    const struct disk_room room = disk_room(d);
    mayfly__stats__disk__init(m);
    m->path = message_string(d->directory);
    m->mount = message_string(d->mount);
    m->bytes = room.bytes;
    m->free = room.free;
    m->full = disk_is_full(d);
    m->lacking = message_string(disk_lacking(d));
    m->missing = disk_missing(d);
    m->since = d->full_since;
    m->refusals = d->refusals;
    m->failures = d->failures;
}

static int fill(const struct server *server, struct arena *arena, Mayfly__Stats *out)
{
    const struct stats_sources from = {.config = &server->config,
                                       .catalog = server->catalog,
                                       .indexes = &server->indexes,
                                       .nursery = &server->nursery,
                                       .shards = server->shards,
                                       .jobs = server->jobs,
                                       .cap = server->cap,
                                       .latency = &server->latency,
                                       .started_at = server->started_at};
    mayfly__stats__init(out);
    fill_traffic(server, out);
    fill_tasks(server->tasks, out);
    fill_weights(server, out);
    fill_disk(server, arena, out);
    return stats_collect(&from, arena, out);
}

void handle_stats(struct session *s, const Mayfly__Envelope *e)
{
    struct server *server = session_server(s);
    struct workspace *w = workspace_take(&server->spare, server->loop);
    struct stats_request *r = w ? arena_new(&w->arena, struct stats_request) : NULL;
    if (!r || fill(server, &w->arena, &r->stats)) {
        if (w)
            workspace_give_back(&server->spare, w);
        session_error(s, e->request, CODE_INTERNAL, NULL, "the stats do not fit one answer");
        return;
    }
    session_add_pending(s, &r->pending, e->request, cancel);
    r->server = server;
    r->space = w;
    r->work.data = r;
    require(uv_queue_work(server->loop, &r->work, in_pool, after_pool) == 0);
}

/* ------------------------------------------------------------------------------------------------------------- budget
 */

static void fill_cuts(const struct fit *f, struct arena *a, Mayfly__Budget *out)
{
    out->limit = f->limit == UINT64_MAX ? 0 : f->limit;
    out->cuts = arena_new_array(a, f->count, Mayfly__Budget__Cut *);
    for (size_t i = 0; i < f->count && out->cuts; i++) {
        Mayfly__Budget__Cut *cut = arena_new(a, Mayfly__Budget__Cut);
        char *texts = arena_alloc(a, (size_t)2 * FIT_VALUE);
        if (!cut || !texts)
            return;
        mayfly__budget__cut__init(cut);
        fit_format(&f->cuts[i], f->cuts[i].wanted, texts);
        fit_format(&f->cuts[i], f->cuts[i].given, texts + FIT_VALUE);
        cut->key = message_string(f->cuts[i].key);
        cut->wanted = texts;
        cut->given = texts + FIT_VALUE;
        out->cuts[out->n_cuts++] = cut;
    }
}

void handle_budget(struct session *s, const Mayfly__Envelope *e)
{
    struct server *server = session_server(s);
    const struct budget b = budget_of(&server->config, server->cap);
    Mayfly__Budget__Line rows[BUDGET_LINES], *pointers[BUDGET_LINES];
    for (size_t i = 0; i < b.count; i++) {
        mayfly__budget__line__init(pointers[i] = &rows[i]);
        rows[i].phase = message_string(b.lines[i].phase);
        rows[i].process = message_string(b.lines[i].process);
        rows[i].what = message_string(b.lines[i].what);
        rows[i].held_by = message_string(b.lines[i].held_by);
        rows[i].count = b.lines[i].count;
        rows[i].each = b.lines[i].each;
    }
    Mayfly__Budget budget;
    Mayfly__Envelope answer = MAYFLY__ENVELOPE__INIT;
    mayfly__budget__init(&budget);
    budget.lines = pointers;
    budget.n_lines = b.count;
    budget.total = b.total;
    budget.handover = b.handover;
    budget.room = cap_room(server->cap);
    budget.cap_enforced_by = message_string(cap_name(server->cap));
    budget.worker_groups = message_string(cap_group(server->cap));
    fill_cuts(&server->fit, &s->all->arena, &budget);
    answer.message_case = MAYFLY__ENVELOPE__MESSAGE_BUDGET;
    answer.budget = &budget;
    session_send(s, e->request, &answer, (struct str){0});
}
