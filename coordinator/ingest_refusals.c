/* Operations that a worker refused: to their task, to whoever still waits for it, and to the catalog. */
#include "coordinator/ingest_state.h"

#include <stdlib.h>
#include <string.h>

#include "coordinator/tasks_state.h"
#include "proto/message.h"

struct saved {
    struct stream *stream;
    uint64_t generation;
};

static void on_refusals_saved(void *context, int err)
{
    struct saved *s = context;
    if (!err && s->generation > s->stream->refusals_saved)
        s->stream->refusals_saved = s->generation;
    index_release(s->stream->index);
    free(s);
}

/* Once the catalog has them the next commit may forget them. */
static void save_refusals(struct ingest *g, struct stream *stream, const struct task *task)
{
    struct saved *s = task ? malloc(sizeof *s) : NULL;
    if (!s)
        return;
    *s = (struct saved){stream, stream->generation};
    index_hold(stream->index);
    tasks_save(g->server->tasks, task, on_refusals_saved, s);
}

/* Shards refuse an operation by filter each for itself, but the client sent one. */
static bool is_told(const struct intake *i)
{
    return i->kind == OPERATION_FILTER && i->refused;
}

void ingest_on_refused(struct bundle *b, const struct refusal *refused, size_t count, void *context)
{
    struct load *l = context;
    struct task *task = tasks_find(l->ingest->server->tasks, b->task);
    for (size_t i = 0; i < count; i++) {
        uint64_t deleted = task ? tasks_refuse(l->ingest->server->tasks, task, &refused[i]) : 0;
        if (l->intake && deleted)
            l->intake->deleted += deleted;
        else if (l->intake && !is_told(l->intake) && strcmp(refused[i].code, NOTICE_DELETED) != 0)
            intake_refuse(l->intake, refused[i].position, refused[i].id, refused[i].code, refused[i].message);
    }
    save_refusals(l->ingest, b->stream, task);
}
