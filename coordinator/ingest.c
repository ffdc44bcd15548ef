#include "coordinator/ingest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/crc.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/logger.h"
#include "coordinator/held.h"
#include "coordinator/ingest_state.h"
#include "coordinator/ingest_trim.h"
#include "coordinator/log_room.h"
#include "coordinator/session.h"
#include "coordinator/tasks_state.h"

enum {
    TICK_MS = 200,
    FLUSH_TICKS = 5, /* a write to the catalog is five pages, however few tasks have ended */
};

static struct oplog_stream name_of(const struct stream *s)
{
    return (struct oplog_stream){s->index->number, s->numbering, s->shard};
}

bool ingest_is_full(const struct ingest *g)
{
    return g->full;
}

bool ingest_awaits_room(const struct ingest *g)
{
    return g->awaits_room;
}

size_t ingest_regions(const struct ingest *g)
{
    return g->regions;
}

uint64_t ingest_bytes(const struct ingest *g)
{
    return g->bytes;
}

bool ingest_is_idle(const struct ingest *g)
{
    return !g->open && g->logging == 0;
}

/* ------------------------------------------------------------------------------------------------------------- applied
 */

static void detach(struct load *l)
{
    struct intake *i = l->intake;
    if (!i)
        return;
    for (struct load **at = &i->loads; *at; at = &(*at)->next) {
        if (*at == l) {
            *at = l->next;
            break;
        }
    }
    l->intake = NULL;
    intake_progressed(i);
}

uint64_t ingest_unapplied(const struct index *i)
{
    uint64_t bytes = 0;
    for (uint32_t n = 0; n < i->shards; n++)
        bytes += i->streams[n].unapplied_bytes;
    return bytes;
}

static void count_applied(const struct bundle *b)
{
    b->stream->unapplied--;
    b->stream->unapplied_bytes -= b->bytes;
}

bool ingest_is_far_behind(const struct index *i)
{
    return i->unapplied_most && ingest_unapplied(i) > i->unapplied_most;
}

static bool is_held_up(const struct index *i)
{
    return i->closed || ingest_is_far_behind(i);
}

bool intake_is_closed(const struct intake *i)
{
    return i->index->closed;
}

bool intake_must_wait(const struct intake *i)
{
    return i->index->closed || (i->loads && is_held_up(i->index));
}

bool ingest_is_drained(const struct index *index)
{
    for (uint32_t n = 0; n < index->shards; n++) {
        const struct stream *s = &index->streams[n];
        if (s->open || s->unapplied || s->watermark < s->next_sequence)
            return false;
    }
    return true;
}

static void on_applied(struct bundle *b, void *context)
{
    struct load *l = context;
    struct ingest *g = l->ingest;
    struct stream *s = b->stream;
    struct task *task = tasks_find(g->server->tasks, b->task);
    if (task) {
        task->outstanding--;
        task->searchable += l->counted;
        tasks_changed(g->server->tasks, task);
    }
    log_room_progressed(g);
    ingest_trim(g, s);
    g->backlog.waiting--;
    g->backlog.applied++;
    g->backlog.applied_bytes += b->bytes;
    bool was_held_up = is_held_up(s->index);
    count_applied(b);
    if (was_held_up && !is_held_up(s->index))
        sessions_resume_writers(g->server->sessions);
    held_closed(l);
    detach(l);
    index_release(s->index);
    free(l);
}

/* ------------------------------------------------------------------------------------------------------------- the log
 */

static void on_logged(void *context)
{
    struct load *l = context;
    struct bundle *b = &l->bundle;
    struct ingest *g = l->ingest;
    ingest_keep_descriptor(&b->region); /* nothing else is needed from here on */
    held_logged(l);
    g->logging--;
    g->logging_bytes -= b->bytes;
    g->server->operations += l->count;
    struct task *task = tasks_find(g->server->tasks, b->task);
    if (task) {
        task->accepted += l->counted;
        tasks_changed(g->server->tasks, task);
    }
    b->state = BUNDLE_LOGGED;
    if (l->intake)
        intake_progressed(l->intake);
    jobs_build(g->server->jobs, b); /* last: it gives the bundle back at once if the index was dropped */
}

static void count_outstanding(struct load *l, bool more)
{
    struct task *task = tasks_find(l->ingest->server->tasks, l->bundle.task);
    if (!task)
        return;
    task->outstanding += more ? 1 : (uint64_t)-1;
    if (!more)
        tasks_changed(l->ingest->server->tasks, task);
}

static void leave_open(struct load *l)
{
    *l->at_open = l->next_open;
    if (l->next_open)
        l->next_open->at_open = l->at_open;
    l->bundle.stream->open = NULL;
}

void ingest_make_crc(struct load *l)
{
    l->crc = crc32c(0, l->base + BATCH_HEADER, l->bundle.bytes);
}

static struct str operations_of(const struct load *l)
{
    return (struct str){l->base + BATCH_HEADER, l->bundle.bytes};
}

/* All operations of a region are of one kind, since they are one client's stream, or stand-ins for what was lost. */
static enum operation_kind kind_of(const struct load *l)
{
    struct str operations = operations_of(l);
    struct operation first;
    require(operation_decode(&operations, &first) == 0);
    return first.kind;
}

/* What comes behind more of the same write that is not applied yet is nobody's single update: the rest of a bulk load, or a
 * part of it that was cut off by another client's operation. */
static bool is_rest(const struct load *l)
{
    const struct load *before = NULL;
    for (const struct load *one = l->intake ? l->intake->loads : l; one && one != l; one = one->next)
        if (one->bundle.stream == l->bundle.stream)
            before = one;
    return before && !before->bundle.small;
}

/* Final, and of these numbers. */
static void number_load(struct load *l, uint64_t first)
{
    l->bundle.first = first;
    l->bundle.end = first + l->count;
    require(ingest_end_region(l) == 0); /* our own memory: nothing but a bug fails here */
}

static enum operation_kind finish_load(struct load *l)
{
    struct bundle *b = &l->bundle;
    enum operation_kind kind = kind_of(l);
    b->alone = kind == OPERATION_FILTER;
    b->ordered = b->alone || kind == OPERATION_PATCH;
    b->small = b->bytes <= SMALL_BUNDLE && !b->alone && !is_rest(l); /* one by filter may look through the whole index */
    l->counted = b->alone && b->stream->shard > 0 ? 0 : l->count;
    b->state = BUNDLE_LOGGING;
    b->stream->unapplied++;
    b->stream->unapplied_bytes += b->bytes;
    return kind;
}

/* An operation that is still being read keeps its region open; the rest of the region waits with it. */
static bool is_being_filled(const struct load *l)
{
    return l->intake && l->intake->into == l;
}

static void discard(struct load *l)
{
    struct stream *s = l->bundle.stream;
    held_closed(l);
    detach(l);
    count_outstanding(l, false);
    index_release(s->index);
    free(l);
}

/* The log writes it next. */
static void on_taken(void *context, struct oplog_entry *e)
{
    struct load *l = context;
    struct stream *s = l->bundle.stream;
    number_load(l, s->next_sequence);
    s->next_sequence += l->count;
    e->first = l->bundle.first;
    e->operations = operations_of(l);
}

/* Single documents that are put may overtake all that waits of their stream: of two versions the stamps decide, in whatever
 * order they are applied. Deletions may not, which are remembered only until all before them is applied; nor what looks at
 * other versions. */
void ingest_append(struct load *l)
{
    const struct bundle *b = &l->bundle;
    const struct oplog_entry e = {.stream = name_of(b->stream),
                                  .task = b->task,
                                  .count = l->count,
                                  .operations = operations_of(l),
                                  .small = b->small || b->alone,
                                  .overtakes = l->overtakes,
                                  .has_crc = true,
                                  .crc = l->crc,
                                  .taken = on_taken};
    require(oplog_append(l->ingest->server->log, &e, on_logged, l) == 0);
}

static void send_to_log(struct load *l)
{
    enum operation_kind kind = finish_load(l);
    l->overtakes = l->bundle.small && kind == OPERATION_PUT;
    l->ingest->logging++;
    l->ingest->logging_bytes += l->bundle.bytes;
    ingest_make(l);
}

static void seal(struct load *l)
{
    leave_open(l);
    if (l->count == 0)
        discard(l);
    else
        send_to_log(l);
}

/* Its client has sent all: nothing more comes into the region, and the client waits. */
static bool is_complete(const struct load *l)
{
    return l->intake && l->intake->received_all;
}

/* Before the loop sleeps: whatever is whole goes into the log. While an append is in flight what may still grow stays, and
 * goes with a later group; not what is complete: a bulk load has full regions in the log's queue all the time, and as long as
 * it lasts there may be an append in flight whenever this is looked at. */
static void seal_all(uv_prepare_t *prepare)
{
    struct ingest *g = prepare->data;
    jobs_start_built(g->server->jobs);
    held_check(g);
    bool is_writing = g->making || oplog_is_writing(g->server->log);
    struct load *next;
    for (struct load *l = g->open; l; l = next) {
        next = l->next_open;
        if (is_writing ? is_complete(l) : !is_being_filled(l))
            seal(l);
    }
    if (ingest_is_idle(g))
        staging_let_go(&g->staging);
}

/* ------------------------------------------------------------------------------------------------------------- regions
 */

static struct load *new_load(struct ingest *g, struct stream *s, uint64_t task, size_t capacity)
{
    struct load *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->ingest = g;
    l->bundle = (struct bundle){.stream = s,
                                .region = REGION_NONE,
                                .task = task,
                                .on_applied = on_applied,
                                .on_refused = ingest_on_refused,
                                .on_wanted = held_want,
                                .context = l};
    if (!ingest_open_region(l, capacity)) {
        free(l);
        return NULL;
    }
    held_opened(l);
    index_hold(s->index);
    count_outstanding(l, true);
    return l;
}

static void append_load(struct intake *i, struct load *l)
{
    struct load **at = &i->loads;
    while (*at)
        at = &(*at)->next;
    *at = l;
    l->intake = i;
    l->first_position = i->received;
}

static bool has_room(const struct load *l, size_t size)
{
    return l->room - BATCH_HEADER - l->bundle.bytes >= size;
}

/* Half an operation moves to a region of its own, so that what is whole before it need not wait, and neither another
 * client of the stream. It gets its sequence number when it is whole. */
static bool set_aside(struct load *l)
{
    struct intake *i = l->intake;
    size_t head = BATCH_OPERATION + i->id_length, size = operation_size(i->id_length, i->body_length);
    struct load *own = new_load(l->ingest, l->bundle.stream, i->task, BATCH_HEADER + size);
    if (!own)
        return false;
    own->aside = true;
    append_load(i, own);
    char *to = own->base + BATCH_HEADER;
    memcpy(to, i->operation, head + i->body_have);
    held_grown(own, BATCH_HEADER + head + i->body_have);
    i->operation = to;
    i->body = to + head;
    i->into = own;
    return true;
}

/* Nothing of the stream is open any more: whoever comes next has the next sequence number. */
static bool close_open(struct stream *s)
{
    struct load *l = s->open ? (struct load *)s->open->context : NULL;
    if (!l)
        return true;
    if (is_being_filled(l) && !set_aside(l))
        return false;
    seal(l);
    return true;
}

bool ingest_seal_index(struct index *index)
{
    bool all = true;
    for (uint32_t n = 0; n < index->shards; n++)
        all = close_open(&index->streams[n]) && all;
    return all;
}

struct load *ingest_room(struct intake *i, struct stream *s, size_t size)
{
    struct ingest *g = i->ingest;
    struct load *l = s->open ? (struct load *)s->open->context : NULL;
    if (l && l->intake == i && has_room(l, size))
        return l;
    if (!close_open(s))
        return NULL;
    l = new_load(g, s, i->task, size + BATCH_HEADER > REGION_SIZE ? size + BATCH_HEADER : REGION_SIZE);
    if (!l)
        return NULL;
    append_load(i, l);
    s->open = &l->bundle;
    l->next_open = g->open;
    l->at_open = &g->open;
    if (g->open)
        g->open->at_open = &l->next_open;
    g->open = l;
    return l;
}

void ingest_added(struct load *l, size_t size)
{
    if (l->aside)
        require(close_open(l->bundle.stream));
    l->crc = crc32c(l->crc, l->base + BATCH_HEADER + l->bundle.bytes, size); /* while it is in the cache */
    l->bundle.bytes += size;
    l->count++;
    held_grown(l, BATCH_HEADER + l->bundle.bytes);
    if (l->aside)
        send_to_log(l);
}

void ingest_give_up(struct load *l)
{
    if (l->aside)
        discard(l);
}

/* The load is filled by the caller, and as if it came back from the log. */
static struct load *new_logged(struct ingest *g, struct stream *stream, uint64_t task, uint32_t count, size_t bytes)
{
    struct load *l = new_load(g, stream, task, BATCH_HEADER + bytes);
    if (!l)
        return NULL;
    l->count = count;
    l->bundle.bytes = bytes;
    return l;
}

static void give_logged(struct load *l, uint64_t first)
{
    ingest_make_crc(l);
    finish_load(l);
    held_made(l);
    number_load(l, first);
    ingest_keep_descriptor(&l->bundle.region);
    held_logged(l);
    l->bundle.state = BUNDLE_LOGGED;
    jobs_build(l->ingest->server->jobs, &l->bundle);
}

int ingest_recovered(struct ingest *g, struct stream *stream, uint64_t task, uint64_t first, uint32_t count,
                     struct str operations)
{
    struct load *l = new_logged(g, stream, task, count, operations.len);
    if (!l)
        return -ENOMEM;
    memcpy(l->base + BATCH_HEADER, operations.ptr, operations.len);
    give_logged(l, first);
    return 0;
}

int ingest_lost(struct ingest *g, struct stream *stream, uint64_t task, uint64_t first, uint32_t count)
{
    size_t size = operation_size(BATCH_LOST_ID, 0);
    struct load *l = new_logged(g, stream, task, count, count * size);
    if (!l)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++)
        operation_encode_lost(l->base + BATCH_HEADER + i * size);
    give_logged(l, first);
    return 0;
}

/* ------------------------------------------------------------------------------------------------------------- life */

static void on_tick(uv_timer_t *timer)
{
    struct ingest *g = timer->data;
    if (++g->ticks % FLUSH_TICKS == 0 && g->server->state < SERVER_YIELDING) /* then main.c or succession.c does it, and waits for the catalog */
        ingest_flush(g);
    held_tick(g);
    /* A client that stops in the middle of a document must not keep what came before it from the log. */
    struct load *next;
    for (struct load *l = g->open; l; l = next) {
        next = l->next_open;
        if (is_being_filled(l) && l->count)
            (void)close_open(l->bundle.stream);
    }
}

int ingest_open(struct server *s, struct ingest **out)
{
    struct ingest *g = calloc(1, sizeof *g);
    if (!g)
        return -ENOMEM;
    g->server = s;
    held_init(g);
    int err = uv_prepare_init(s->loop, &g->prepare);
    if (!err)
        err = uv_timer_init(s->loop, &g->tick_timer);
    g->prepare.data = g->tick_timer.data = g;
    if (!err)
        err = uv_prepare_start(&g->prepare, seal_all);
    if (!err)
        err = uv_timer_start(&g->tick_timer, on_tick, TICK_MS, TICK_MS);
    if (!err)
        *out = g;
    return err;
}

void ingest_close(struct ingest *g)
{
    if (!g)
        return;
    uv_prepare_stop(&g->prepare);
    uv_timer_stop(&g->tick_timer);
    staging_let_go(&g->staging);
}
