#include "coordinator/jobs_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/err.h"
#include "common/logger.h"

enum {
    FIRST_PAUSE_MS = 1000,
    MAX_PAUSE_MS = 600000,
    MAX_FAILURES = 3, /* then whoever waits for an optimize is told */
    PRESSING_SEGMENTS = 24,
};

/* --- optimize */

void jobs_optimize(struct jobs *j, struct stream *s, jobs_done *done, void *context)
{
    if (s->damaged) {
        done(context, ERR_CORRUPT, s->damage);
        return;
    }
    struct stream_jobs *sj = stream_jobs_of(j, s);
    struct optimize *o = calloc(1, sizeof *o);
    require(o);
    *o = (struct optimize){.after = sj->queued_end, .done = done, .context = context};
    struct optimize **at = &sj->optimizing;
    while (*at)
        at = &(*at)->next;
    *at = o;
    sj->merge_failures = 0;
    sj->merge_not_before = 0;
    merge_check_optimized(sj);
    jobs_dispatch(j);
}

void merge_drop_waiting(struct stream_jobs *sj, int err, const char *why)
{
    while (sj->optimizing) {
        struct optimize *o = sj->optimizing;
        sj->optimizing = o->next;
        o->done(o->context, err, why);
        free(o);
    }
}

static size_t choose_all(const struct stream *s, uint64_t ids[MERGE_MOST])
{
    return merge_policy_all(s->segments, s->segment_count, ids);
}

static bool is_optimizing(const struct stream_jobs *sj)
{
    return sj->optimizing && sj->optimizing->after <= sj->stream->watermark;
}

static void finish_first(struct stream_jobs *sj)
{
    struct optimize *o = sj->optimizing;
    sj->optimizing = o->next;
    o->done(o->context, 0, NULL);
    free(o);
}

/* Those whose turn has come and whose stream is one segment, or none, without deleted documents. */
void merge_check_optimized(struct stream_jobs *sj)
{
    uint64_t ids[MERGE_MOST];
    while (is_optimizing(sj) && !sj->merging && choose_all(sj->stream, ids) == 0)
        finish_first(sj);
}

/* --- choosing */

/* The inputs of the next merge. */
struct choice {
    uint64_t ids[MERGE_MOST];
    size_t count; /* 0: there is none */
    bool is_fold; /* of images: */
    bool again;   /* to one image */
};

static struct choice choose(const struct jobs *j, const struct stream_jobs *sj)
{
    struct choice c = {.count = 0};
    const struct stream *s = sj->stream;
    if (s->damaged || sj->forgotten || s->index->paused || sj->merge_not_before > uv_now(j->to.loop))
        return c;
    if (is_optimizing(sj))
        c.count = sj->merging ? 0 : choose_all(s, c.ids);
    else if (!sj->optimizing)
        c.count = merge_policy_fold(s->segments, s->segment_count, c.ids, &c.again);
    c.is_fold = c.count && !is_optimizing(sj);
    c.again = c.again && c.is_fold;
    if (!c.count && j->to.config->merge == MERGE_AUTO && !sj->optimizing)
        c.count = merge_policy_choose(s->segments, s->segment_count, c.ids);
    if (sj->merge_most && c.count > sj->merge_most)
        c.count = sj->merge_most;
    return c;
}

bool merge_has_work(const struct jobs *j, const struct stream_jobs *sj)
{
    return choose(j, sj).count > 0;
}

bool merge_has_fold(const struct jobs *j, const struct stream_jobs *sj)
{
    return choose(j, sj).is_fold;
}

bool merge_is_pressing(const struct stream_jobs *sj)
{
    return is_optimizing(sj) || sj->stream->segment_count > PRESSING_SEGMENTS;
}

static struct stream_segment *find_segment(struct stream *s, uint64_t id)
{
    for (size_t i = 0; i < s->segment_count; i++)
        if (s->segments[i].id == id)
            return &s->segments[i];
    return NULL;
}

static void mark(struct job *job, bool merging)
{
    for (size_t i = 0; i < job->input_count; i++) {
        struct stream_segment *segment = find_segment(job->stream, job->inputs[i]);
        if (segment)
            segment->merging = merging;
    }
}

static void pause_merging(struct jobs *j, struct stream_jobs *sj)
{
    uint64_t pause = (uint64_t)FIRST_PAUSE_MS << (sj->merge_failures > 10 ? 10 : sj->merge_failures);
    sj->merge_not_before = uv_now(j->to.loop) + (pause > MAX_PAUSE_MS ? MAX_PAUSE_MS : pause);
    sj->merge_failures++;
    jobs_wake_at(j, sj->merge_not_before);
}

/* What it writes must fit beside what it reads, with a reserve for updates meanwhile. */
static bool fits_disk(const struct job *job)
{
    uint64_t need = 0;
    for (size_t i = 0; i < job->input_count; i++) {
        const struct stream_segment *segment = find_segment(job->stream, job->inputs[i]);
        need += segment ? segment->bytes : 0;
    }
    return !jobs_disk_is_short(job->jobs, need);
}

static void fail(struct jobs *j, struct stream_jobs *sj, int err, const char *why)
{
    log_warn("a merge is put off index=%s shard=%u: %s", sj->stream->index->name, sj->stream->shard, why);
    if (is_optimizing(sj) && (err == -ENOSPC || sj->merge_failures >= MAX_FAILURES))
        merge_drop_waiting(sj, err, why);
    pause_merging(j, sj);
}

bool merge_start(struct jobs *j, struct stream_jobs *sj)
{
    struct job *job = job_new(j, &job_merge, sj->stream);
    const struct choice c = choose(j, sj);
    memcpy(job->inputs, c.ids, sizeof c.ids);
    job->input_count = c.count;
    job->fold = c.again;
    job->small = c.is_fold;
    bool fits = job->input_count == 0 || fits_disk(job);
    if (!fits)
        fail(j, sj, -ENOSPC, "the disk is too full to merge");
    if (!fits || job->input_count == 0) {
        job_free(job);
        return false;
    }
    job->segment = catalog_next(j->to.catalog, NUMBER_SEGMENT);
    int err = job->segment ? job_start(job) : -ENOSPC;
    if (err) {
        job_start_failed(err);
        pause_merging(j, sj);
        job_free(job);
        return false;
    }
    job->whole = is_optimizing(sj) && job->input_count == sj->stream->segment_count;
    mark(job, true);
    sj->merging++;
    return true;
}

/* --- the run */

static void fill(struct job *job, Mayfly__Internal__Job *m)
{
    m->inputs = job->inputs;
    m->n_inputs = job->input_count;
    m->fold = job->fold;
}

static uint64_t writes(const struct job *job)
{
    uint64_t bytes = 8 << 20;
    for (size_t i = 0; i < job->input_count; i++) {
        const struct stream_segment *segment = find_segment(job->stream, job->inputs[i]);
        bytes += segment ? segment->bytes + segment->bytes / 4 : 0;
    }
    return bytes;
}

static void reported(struct job *job, const Mayfly__Internal__JobReport *report)
{
    if (report->state && !core_state_add(&job->state, report->state))
        return; /* more of it comes */
    job->committed = report->committed;
    job->superseded = report->superseded;
    jobs_take_state(job);
    jobs_nudge(job->jobs, job->stream);
}

static void ended(struct job *job, const struct death *d)
{
    struct stream_jobs *sj = job->stream->jobs;
    const struct last_words *w = job_words(job);
    sj->merging--;
    mark(job, false);
    if (!d) {
        sj->merge_failures = 0;
        if (job->whole && job->committed && is_optimizing(sj)) /* what came meanwhile is not its concern */
            finish_first(sj);
        merge_check_optimized(sj);
    } else if (d->lost || d->reason == EXIT_REASON_ORPHANED) {
        sj->merge_not_before = uv_now(job->jobs->to.loop) + FIRST_PAUSE_MS / 10;
        jobs_wake_at(job->jobs, sj->merge_not_before);
    } else {
        if (death_is_of_memory(d) && job->input_count > 2)
            sj->merge_most = job->input_count / 2;
        fail(job->jobs, sj, d->reason == EXIT_REASON_DISK_FULL ? -ENOSPC : d->reason == EXIT_REASON_WRITE ? -EIO : ERR_CLOSED,
             w->text[0] ? w->text : exit_reason_name(d->reason));
    }
}

const struct job_kind job_merge = {.name = "merge",
                                   .kind = MAYFLY__INTERNAL__JOB__KIND__MERGE,
                                   .fill = fill,
                                   .writes = writes,
                                   .reported = reported,
                                   .ended = ended};
