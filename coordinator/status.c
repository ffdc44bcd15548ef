#include "coordinator/status.h"

#include <stdio.h>

#include "coordinator/ingest_state.h"
#include "coordinator/server.h"
#include "coordinator/session.h"
#include "coordinator/shards_start.h"

struct survey_count {
    size_t read, all;
};

/* A stream has jobs, or is known to be damaged, once its core.mdb was read. */
static struct survey_count count_surveyed(const struct server *s)
{
    struct survey_count c = {0, 0};
    for (const struct index *i = s->indexes.first; i; i = i->next)
        for (uint32_t n = 0; n < i->shards; n++) {
            c.all++;
            c.read += i->streams[n].jobs || i->streams[n].damaged;
        }
    return c;
}

static void say_starting(const struct server *s, char out[STATUS_SIZE])
{
    struct survey_count c = count_surveyed(s);
    if (c.read < c.all)
        snprintf(out, STATUS_SIZE, "starting: %zu of %zu shards of indexes are read", c.read, c.all);
    else
        snprintf(out, STATUS_SIZE, "starting: waiting for the shards");
}

static const struct child *find_missing(const struct server *s)
{
    if (s->nursery.child.state != CHILD_READY)
        return &s->nursery.child;
    for (uint32_t i = 0; i < s->shards->count; i++)
        if (s->shards->readers[i].child.state != CHILD_READY)
            return &s->shards->readers[i].child;
    return NULL;
}

static void say_working(const struct server *s, uint64_t rate, char out[STATUS_SIZE])
{
    const struct child *missing = find_missing(s);
    const struct ingest_backlog *b = &s->ingest->backlog;
    int used = missing
                   ? snprintf(out, STATUS_SIZE, "degraded: %s is %s; ", missing->name, child_state_name(missing->state))
                   : 0;
    if (disk_is_full(&s->disk))
        used += snprintf(out + used, STATUS_SIZE - (size_t)used, "the disk at %.60s is full; ", s->disk.mount);
    char *rest = out + used;
    size_t room = STATUS_SIZE - (size_t)used;
    if (!b->waiting)
        snprintf(rest, room, used ? "nothing to index" : "ready");
    else
        snprintf(rest, room, "indexing %zu of %zu, %llu MB/s", b->applied + 1, b->applied + b->waiting,
                 (unsigned long long)((rate + 500000) / 1000000));
}

static void say_stopping(const struct server *s, char out[STATUS_SIZE])
{
    snprintf(out, STATUS_SIZE, "stopping: %u connections, %zu jobs", sessions_count(s->sessions),
             jobs_running(s->jobs));
}

void status_text(const struct server *s, uint64_t rate, char out[STATUS_SIZE])
{
    switch (s->state) {
    case SERVER_STARTING:
        say_starting(s, out);
        return;
    case SERVER_YIELDING:
        snprintf(out, STATUS_SIZE, "another mayflyd takes over");
        return;
    case SERVER_READY:
        say_working(s, rate, out);
        return;
    case SERVER_STOPPING:
        say_stopping(s, out);
        return;
    }
}

uint64_t status_applied_bytes(const struct server *s)
{
    return s->ingest->backlog.applied_bytes;
}

uint64_t status_progress(const struct server *s)
{
    uint64_t ready = 0;
    for (uint32_t i = 0; i < s->shards->count; i++)
        ready += s->shards->readers[i].child.state == CHILD_READY;
    return count_surveyed(s).read + ready + s->ingest->backlog.applied;
}
