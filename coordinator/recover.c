#include "coordinator/recover.h"

#include <errno.h>
#include <stdlib.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/logger.h"
#include "coordinator/ingest.h"
#include "coordinator/server.h"
#include "coordinator/tasks_state.h"
#include "proto/batch.h"

struct recovery {
    struct server *server;
    uv_timer_t timer;
    uint64_t operations, skipped;
    void (*done)(void *context, int err);
    void *context;
};

enum { PAUSE_MS = 20 };

static struct stream *find_stream(struct server *s, const struct oplog_stream *name)
{
    struct index *i = indexes_by_number(&s->indexes, name->index);
    return i && i->edition == name->edition && name->shard < i->shards ? &i->streams[name->shard] : NULL;
}

static void set_next_sequences(struct server *s)
{
    for (struct index *i = s->indexes.first; i; i = i->next) {
        for (uint32_t shard = 0; shard < i->shards; shard++) {
            struct stream *stream = &i->streams[shard];
            const struct oplog_stream name = {i->number, i->edition, shard};
            uint64_t next = stream->watermark;
            if (stream->applied.count)
                next = stream->applied.at[stream->applied.count - 1].end;
            uint64_t tail = oplog_tail(s->log, &name);
            stream->next_sequence = tail > next ? tail : next;
            oplog_trim(s->log, &name, stream->watermark);
        }
    }
}

static int give_run(struct recovery *r, struct stream *stream, const struct oplog_entry *e, uint64_t first,
                    uint32_t count, struct str operations)
{
    r->operations += count;
    stream->recovered = first + count;
    return ingest_recovered(r->server->ingest, stream, e->task, first, count, operations);
}

/* The log has a stream's operations in order; a group that was written again after a failure stands there twice. */
static bool is_wanted(const struct stream *s, uint64_t sequence)
{
    return sequence >= s->recovered && !stream_is_applied(s, sequence);
}

/* The catalog is written behind the log: a task may have got further than it says there. */
static void count_in_task(struct recovery *r, const struct stream *stream, const struct oplog_entry *e, struct str rest)
{
    struct operation o;
    if (operation_decode(&rest, &o))
        return;
    const char *type = o.kind == OPERATION_DELETE ? "delete" : "add";
    struct task *task = tasks_revive(r->server->tasks, e->task, stream->index, type);
    if (task && !task_has_ended(task) && o.position >= task->received)
        task->received = task->accepted = o.position + 1;
}

/* The operations of an entry that are not applied yet, in runs. */
static int take_entry(struct recovery *r, const struct oplog_entry *e)
{
    struct stream *stream = find_stream(r->server, &e->stream);
    const char *at = e->operations.ptr, *end = at + e->operations.len, *run = NULL, *last = at;
    uint64_t sequence = e->first, run_first = 0;
    int err = 0;
    if (!stream)
        return 0;                               /* of an index that was dropped */
    count_in_task(r, stream, e, e->operations); /* before its bundles are counted */
    for (uint32_t i = 0; i < e->count && at < end && !err; i++, sequence++) {
        bool wanted = is_wanted(stream, sequence);
        if (wanted && !run) {
            run = at;
            run_first = sequence;
        }
        if (!wanted && run) {
            err = give_run(r, stream, e, run_first, (uint32_t)(sequence - run_first),
                           (struct str){run, (size_t)(at - run)});
            run = NULL;
        }
        r->skipped += !wanted;
        last = at;
        at += load_u32(at);
    }
    count_in_task(r, stream, e, (struct str){last, (size_t)(end - last)});
    if (run && !err)
        err =
            give_run(r, stream, e, run_first, (uint32_t)(sequence - run_first), (struct str){run, (size_t)(at - run)});
    return err;
}

static void finish(struct recovery *r, int err)
{
    oplog_end_reading(r->server->log);
    if (err)
        log_error("the log cannot be read: %s", err_str(err));
    else if (r->operations)
        log_info("recovered from the log operations=%llu applied_already=%llu", (unsigned long long)r->operations,
                 (unsigned long long)r->skipped);
    tasks_recovered(r->server->tasks);
    r->done(r->context, err);
}

static void on_turn(uv_timer_t *timer)
{
    struct recovery *r = timer->data;
    while (!ingest_is_full(r->server->ingest)) {
        struct oplog_entry e;
        int got = oplog_next(r->server->log, &e);
        int err = got > 0 ? take_entry(r, &e) : got;
        if (err < 0 || got == 0) {
            uv_timer_stop(timer);
            finish(r, err);
            return;
        }
    }
}

int recover_start(struct server *s, void (*done)(void *context, int err), void *context, struct recovery **out)
{
    struct recovery *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    *r = (struct recovery){.server = s, .done = done, .context = context};
    set_next_sequences(s);
    int err = uv_timer_init(s->loop, &r->timer);
    r->timer.data = r;
    if (!err)
        err = uv_timer_start(&r->timer, on_turn, 0, PAUSE_MS);
    if (!err)
        *out = r;
    return err;
}
