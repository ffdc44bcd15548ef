#include "coordinator/recover.h"

#include <errno.h>
#include <stdlib.h>

#include "common/bytes.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/logger.h"
#include "coordinator/core_state.h"
#include "coordinator/ingest_trim.h"
#include "coordinator/server.h"
#include "coordinator/tasks_state.h"
#include "proto/batch.h"

struct lost { /* numbers that neither core.mdb nor the log has */
    struct oplog_stream stream;
    struct range numbers;
    uint64_t task; /* 0: nobody knows */
};

struct recovery {
    struct server *server;
    uv_timer_t timer;
    uint64_t operations, skipped;
    struct oplog_entry entry; /* with `entry_waits`: there was no memory or no descriptor for it yet */
    bool entry_waits;
    unsigned failures; /* since the last that was taken */
    struct lost *lost;
    size_t lost_count, lost_given;
    void (*done)(void *context, int err);
    void *context;
};

enum { PAUSE_MS = 20, TURN_US = 5000, LOST_AT_ONCE = 1 << 16, FAILURES_MOST = 60000 / PAUSE_MS };
static const uint64_t lost_most = 1 << 30; /* no log is so large: somebody has tampered with it */

static struct stream *find_stream(struct server *s, const struct oplog_stream *name)
{
    struct index *i = indexes_by_number(&s->indexes, name->index);
    return i && name->edition == i->numbering && name->shard < i->shards ? &i->streams[name->shard] : NULL;
}

static void set_next_sequence(struct server *s, struct stream *stream, const struct oplog_stream *name)
{
    uint64_t next = stream->watermark, tail = oplog_tail(s->log, name);
    if (stream->applied.count)
        next = stream->applied.at[stream->applied.count - 1].end;
    stream->next_sequence = tail > next ? tail : next;
}

/* ------------------------------------------------------------------------------------------------------------- what is
 * lost */

static void add_lost(struct recovery *r, const struct lost *one, const char *index)
{
    struct lost *grown = realloc(r->lost, (r->lost_count + 1) * sizeof *grown);
    require(grown);
    r->lost = grown;
    grown[r->lost_count++] = *one;
    log_error("operations are lost: they were accepted, but the log is damaged index=%s shard=%u first=%llu end=%llu "
              "task=%llu",
              index, one->stream.shard, (unsigned long long)one->numbers.first, (unsigned long long)one->numbers.end,
              (unsigned long long)one->task);
}

/* Numbers are dense: one that was given, is not applied and does not stand in the log will never come. */
static void find_lost(struct recovery *r, struct stream *stream, const struct oplog_stream *name)
{
    struct ranges known = {.at = NULL};
    struct lost lost = {.stream = *name};
    uint64_t at = stream->watermark;
    oplog_present(r->server->log, name, &known);
    ranges_add_all(&known, &stream->applied);
    while (!stream->damaged && ranges_gap(&known, at, stream->next_sequence, &lost.numbers)) {
        lost.task = oplog_lost_task(r->server->log, name, lost.numbers.first, &lost.numbers.end);
        at = lost.numbers.end;
        if (lost.numbers.end - lost.numbers.first > lost_most)
            stream_damaged(stream, "the log has lost more of its operations than a log can hold");
        else
            add_lost(r, &lost, stream->index->name);
    }
    ranges_finish(&known);
}

static void prepare_streams(struct recovery *r)
{
    for (struct index *i = r->server->indexes.first; i; i = i->next)
        for (uint32_t shard = 0; shard < i->shards; shard++) {
            struct stream *stream = &i->streams[shard];
            const struct oplog_stream name = {i->number, stream->numbering, shard};
            set_next_sequence(r->server, stream, &name);
            find_lost(r, stream, &name);
            ingest_trim(r->server->ingest, stream);
        }
}

/* Some of them, as operations that will be refused. False when there are none left. */
static bool give_lost(struct recovery *r, int *err)
{
    if (r->lost_given == r->lost_count)
        return false;
    struct lost *one = &r->lost[r->lost_given];
    struct stream *stream = find_stream(r->server, &one->stream);
    uint64_t left = one->numbers.end - one->numbers.first;
    uint32_t count = (uint32_t)(left < LOST_AT_ONCE ? left : LOST_AT_ONCE);
    if (stream && one->task)
        tasks_revive(r->server->tasks, one->task, stream->index, NULL);
    if (stream)
        *err = ingest_lost(r->server->ingest, stream, one->task, one->numbers.first, count);
    if (*err)
        return true;
    one->numbers.first += count;
    r->lost_given += !stream || one->numbers.first == one->numbers.end;
    return true;
}

/* -------------------------------------------------------------------------------------------------------------
 * entries */

static int give_run(struct recovery *r, struct stream *stream, const struct oplog_entry *e, uint64_t first,
                    uint32_t count, struct str operations)
{
    int err = ingest_recovered(r->server->ingest, stream, e->task, first, count, operations);
    if (err)
        return err; /* the entry is looked at again: what of it was given is not wanted any more */
    r->operations += count;
    ranges_add(&stream->recovered, first, first + count);
    return 0;
}

/* What was written again after a failure, or carried over to a newer file, may stand in the log twice. */
static bool is_wanted(const struct stream *s, uint64_t sequence)
{
    return !ranges_has(&s->recovered, sequence) && !stream_is_applied(s, sequence);
}

/* The catalog is written behind the log: a task may have got further than it says there. */
static void count_in_task(struct recovery *r, const struct stream *stream, const struct oplog_entry *e, struct str rest)
{
    struct operation o;
    if (operation_decode(&rest, &o))
        return;
    const char *type = o.kind == OPERATION_DELETE || o.kind == OPERATION_FILTER ? "delete" : "add";
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
    if (!stream) { /* of an index that was dropped */
        oplog_trim(r->server->log, &e->stream, UINT64_MAX);
        return 0;
    }
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

static void forget_ranges(const struct server *s)
{
    for (struct index *i = s->indexes.first; i; i = i->next)
        for (uint32_t shard = 0; shard < i->shards; shard++)
            ranges_finish(&i->streams[shard].recovered);
}

static void on_told(void *context)
{
    struct recovery *r = context;
    oplog_end_reading(r->server->log);
    r->done(r->context, 0);
}

static void finish(struct recovery *r, int err)
{
    if (err)
        log_error("the log cannot be read: %s", err_str(err));
    else if (r->operations)
        log_info("recovered from the log operations=%llu applied_already=%llu", (unsigned long long)r->operations,
                 (unsigned long long)r->skipped);
    tasks_recovered(r->server->tasks, oplog_has_lost_unnamed(r->server->log));
    forget_ranges(r->server);
    free(r->lost);
    r->lost = NULL;
    if (err)
        r->done(r->context, err);
    else
        ingest_recovery_read(r->server->ingest, on_told, r);
}

/* 1: there is more, 0: that was all. */
static int take_some(struct recovery *r)
{
    int err = 0, got = 1;
    if (give_lost(r, &err))
        return err ? err : 1;
    if (!r->entry_waits)
        got = oplog_next(r->server->log, &r->entry);
    if (got > 0)
        err = take_entry(r, &r->entry);
    r->entry_waits = got > 0 && err;
    return err ? err : got;
}

/* Workers that are at work give memory and descriptors back: it is tried again for a minute. */
static bool may_wait(struct recovery *r, int err)
{
    bool is_read = r->entry_waits || r->lost_given < r->lost_count; /* else it is the log that failed */
    if (err != -ENOMEM || !is_read || ++r->failures >= FAILURES_MOST)
        return false;
    if (r->failures == 1)
        log_warn("there is no memory or no descriptor for more of the log at the moment: waiting");
    return true;
}

/* Searches are answered meanwhile: the loop is not kept for longer. */
static void on_turn(uv_timer_t *timer)
{
    struct recovery *r = timer->data;
    uint64_t until = clock_us() + TURN_US;
    while (!ingest_is_full(r->server->ingest)) {
        int got = take_some(r);
        if (got < 0 && may_wait(r, got)) {
            uv_timer_start(timer, on_turn, PAUSE_MS, PAUSE_MS);
            return;
        }
        r->failures = 0;
        if (got <= 0) {
            uv_timer_stop(timer);
            finish(r, got);
            return;
        }
        if (clock_us() >= until) {
            uv_timer_start(timer, on_turn, 1, PAUSE_MS); /* with 0 it would be this turn of the loop again */
            return;
        }
    }
}

void recover_end(struct recovery *r)
{
    uv_timer_stop(&r->timer);
}

int recover_start(struct server *s, void (*done)(void *context, int err), void *context, struct recovery **out)
{
    struct recovery *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    *r = (struct recovery){.server = s, .done = done, .context = context};
    prepare_streams(r);
    int err = uv_timer_init(s->loop, &r->timer);
    r->timer.data = r;
    if (!err)
        err = uv_timer_start(&r->timer, on_turn, 0, PAUSE_MS);
    if (!err)
        *out = r;
    return err;
}
