#include "coordinator/ingest_trim.h"

#include <stdlib.h>

#include "common/check.h"
#include "coordinator/log_room.h"
#include "coordinator/tasks_state.h"

struct trimming { /* a flush that is under way, and what the log will be told after it */
    struct ingest *ingest;
    void (*done)(void *context);
    void *context;
    uint64_t read_below; /* oplog_read_below, when the flush began */
    size_t count;
    struct {
        struct stream *stream; /* holds a reference on its index */
        uint64_t below;        /* applied, and said in tasks, when the flush began */
    } streams[];
};

static uint64_t applied_below(const struct stream *s)
{
    return s->index->dropped || s->former ? UINT64_MAX : s->watermark;
}

void ingest_trim(struct ingest *g, struct stream *s)
{
    if (!s->trim_waits) {
        s->trim_waits = true;
        s->next_trim = g->untrimmed;
        g->untrimmed = s;
        g->untrimmed_count++;
        index_hold(s->index);
    }
    if (log_room_is_short(g))
        ingest_flush(g);
}

/* An end that the catalog cannot store must not keep the log from giving disk back: that may be all it lacks. */
static void on_flushed(void *context, int err)
{
    struct trimming *t = context;
    (void)err; /* the catalog has said so */
    t->ingest->flushing -= t->count != 0;
    oplog_told(t->ingest->server->log, t->read_below);
    if (t->done)
        t->done(t->context);
    for (size_t i = 0; i < t->count; i++) {
        struct stream *s = t->streams[i].stream;
        const struct oplog_stream name = {s->index->number, s->numbering, s->shard};
        oplog_trim(t->ingest->server->log, &name, t->streams[i].below);
        index_release(s->index);
    }
    free(t);
}

static struct trimming *take_untrimmed(struct ingest *g)
{
    struct trimming *t = malloc(sizeof *t + g->untrimmed_count * sizeof t->streams[0]);
    require(t != NULL);
    *t = (struct trimming){.ingest = g};
    for (struct stream *s = g->untrimmed; s; s = s->next_trim) {
        s->trim_waits = false;
        t->streams[t->count].stream = s;
        t->streams[t->count++].below = applied_below(s);
    }
    g->untrimmed = NULL;
    g->untrimmed_count = 0;
    return t;
}

static void flush(struct ingest *g, struct trimming *t)
{
    g->flushing += t->count != 0;
    t->read_below = oplog_read_below(g->server->log);
    tasks_flush(g->server->tasks, on_flushed, t);
}

void ingest_flush(struct ingest *g)
{
    flush(g, take_untrimmed(g));
}

void ingest_recovery_read(struct ingest *g, void (*done)(void *context), void *context)
{
    struct trimming *t = take_untrimmed(g);
    t->done = done;
    t->context = context;
    flush(g, t);
}
