/* Merges: which run when, `index optimize`, and the files that are left over. */
#include "coordinator/jobs_state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/check.h"
#include "common/err.h"
#include "common/logger.h"
#include "coordinator/merge_policy.h"

enum {
    GRACE_MS = 5000, /* a reader may have read a core.mdb and not yet opened a file that it names */
    DOOM_TURN_MS = 1000,
    FAILURES_MOST = 5,
    RESERVE = 64 << 20, /* bytes of disk that a merge leaves free */
};

static_assert(sizeof ((struct job *)0)->inputs / sizeof(uint64_t) == MERGE_MOST, "a job holds what the policy chooses");

/* ------------------------------------------------------------------------------------------------------------- leftovers */

static void on_doom(uv_timer_t *timer)
{
    struct jobs *j = timer->data;
    uint64_t now = uv_now(j->loop);
    for (struct doomed **at = &j->doomed; *at;) {
        struct doomed *d = *at;
        if (d->due_ms > now) {
            at = &d->next;
            continue;
        }
        if (unlink(d->path) < 0)
            log_warn("a merged segment could not be removed: %s", d->path);
        *at = d->next;
        free(d);
    }
    if (!j->doomed)
        uv_timer_stop(timer);
}

void jobs_doom_segment(struct jobs *j, const struct stream *s, uint64_t segment)
{
    char path[4200];
    int length = snprintf(path, sizeof path, "%s/indexes/%u/%u/%u/seg-%llu.mdb", j->directory, s->index->number,
                          s->index->edition, s->shard, (unsigned long long)segment);
    struct doomed *d = calloc(1, sizeof *d + (size_t)length + 1);
    if (!d)
        return; /* an orphan until the next start */
    d->due_ms = uv_now(j->loop) + GRACE_MS;
    memcpy(d->path, path, (size_t)length + 1);
    d->next = j->doomed;
    j->doomed = d;
    uv_timer_start(&j->doom_timer, on_doom, DOOM_TURN_MS, DOOM_TURN_MS);
}

/* ------------------------------------------------------------------------------------------------------------- choosing */

static bool has_room(struct jobs *j, const struct stream *s, const uint64_t *inputs, size_t count)
{
    struct statvfs disk;
    uint64_t need = RESERVE;
    for (size_t i = 0; i < s->segment_count; i++)
        for (size_t k = 0; k < count; k++)
            if (s->segments[i].id == inputs[k])
                need += s->segments[i].bytes;
    if (statvfs(j->directory, &disk) < 0)
        return true;
    return (uint64_t)disk.f_bavail * disk.f_frsize >= need;
}

static struct job *new_merge(struct jobs *j, struct stream *s, const uint64_t *inputs, size_t count)
{
    if (!has_room(j, s, inputs, count)) {
        if (s->jobs->merge_failures++ == 0)
            log_warn("a merge of index %s waits: the disk has too little room", s->index->name);
        return NULL;
    }
    struct job *job = calloc(1, sizeof *job);
    if (!job)
        return NULL;
    *job = (struct job){.jobs = j,
                        .kind = JOB_MERGE,
                        .stream = s,
                        .input_count = count,
                        .words = REGION_NONE,
                        .pidfd = -1,
                        .lifeline = -1};
    memcpy(job->inputs, inputs, count * sizeof *inputs);
    s->jobs->merging = true;
    for (size_t i = 0; i < s->segment_count; i++)
        for (size_t k = 0; k < count; k++)
            s->segments[i].merging |= s->segments[i].id == inputs[k];
    index_hold(s->index);
    return job;
}

static bool may_merge(struct stream *s)
{
    if (!s->jobs)
        s->jobs = calloc(1, sizeof *s->jobs);
    return s->jobs && !s->jobs->merging && !s->damaged && s->jobs->merge_failures < FAILURES_MOST;
}

static struct job *next_asked_for(struct jobs *j)
{
    uint64_t inputs[MERGE_MOST];
    for (struct optimize *o = j->optimizes; o; o = o->next) {
        struct stream *s = o->stream;
        if (s->watermark < o->until || !may_merge(s))
            continue;
        size_t count = merge_policy_all(s->segments, s->segment_count, inputs);
        struct job *job = count ? new_merge(j, s, inputs, count) : NULL;
        if (job)
            return job;
    }
    return NULL;
}

struct job *merge_next(struct jobs *j, bool only_asked_for)
{
    uint64_t inputs[MERGE_MOST];
    if (only_asked_for)
        return next_asked_for(j);
    if (j->config->merge == MERGE_MANUAL)
        return NULL;
    for (struct index *i = j->indexes->first; i; i = i->next) {
        for (uint32_t shard = 0; shard < i->shards; shard++) {
            struct stream *s = &i->streams[shard];
            if (!may_merge(s))
                continue;
            size_t count = merge_policy_choose(s->segments, s->segment_count, inputs);
            struct job *job = count ? new_merge(j, s, inputs, count) : NULL;
            if (job)
                return job;
        }
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------------------------- optimize */

static bool is_optimal(const struct optimize *o)
{
    const struct stream *s = o->stream;
    return s->watermark >= o->until && !(s->jobs && s->jobs->merging) &&
           (s->segment_count == 0 || (s->segment_count == 1 && s->segments[0].deleted == 0));
}

static const char *why_not(const struct optimize *o)
{
    if (o->stream->damaged)
        return o->stream->damage;
    if (o->stream->jobs && o->stream->jobs->merge_failures >= FAILURES_MOST)
        return "the merge failed again and again; the log says why";
    return NULL;
}

void merges_check_optimizes(struct jobs *j)
{
    for (struct optimize **at = &j->optimizes; *at;) {
        struct optimize *o = *at;
        const char *why = why_not(o);
        if (!is_optimal(o) && !why) {
            at = &o->next;
            continue;
        }
        *at = o->next;
        o->done(o->context, why ? ERR_BUSY : 0, why);
        free(o);
        at = &j->optimizes; /* the callback may have changed the list */
    }
}

void jobs_optimize(struct jobs *j, struct stream *s, jobs_done *done, void *context)
{
    struct optimize *o = calloc(1, sizeof *o);
    require(o != NULL);
    *o = (struct optimize){
        .next = j->optimizes, .stream = s, .until = s->next_sequence, .done = done, .context = context};
    if (s->jobs)
        s->jobs->merge_failures = 0; /* somebody asks: try again */
    j->optimizes = o;
    merges_check_optimizes(j);
    jobs_schedule(j);
}
