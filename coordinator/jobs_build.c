#include "coordinator/jobs_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/logger.h"

enum {
    MAX_STUCK = 5,
    RETRY_MS = 100,
    GATHER_MS = 100,
};

/* --- starting */

static bool may_run(const struct jobs *j, const struct batch *b, bool small_only)
{
    return !b->running && !b->fetching && b->not_before <= uv_now(j->to.loop) && (b->small || !small_only);
}

static struct batch *next_batch(struct jobs *j, struct stream_jobs *sj, bool small_only)
{
    for (struct batch *b = sj->batches; b; b = b->next)
        if (may_run(j, b, small_only))
            return b;
    bool gathering = batches_gather(j, sj);
    struct bundle **at = bundles_first_ready(sj, true, gathering);
    if (!*at && !small_only)
        at = bundles_first_ready(sj, false, gathering);
    return *at ? batch_make(j, sj, at) : NULL;
}

bool build_has_work(const struct jobs *j, const struct stream_jobs *sj, bool small_only)
{
    const struct index *i = sj->stream->index;
    if (sj->stream->damaged || sj->forgotten || i->paused || (i->bulk_waits && !small_only))
        return false;
    for (const struct batch *b = sj->batches; b; b = b->next)
        if (may_run(j, b, small_only))
            return true;
    bool gathering = batches_gather(j, sj);
    for (const struct bundle *b = sj->waiting; b; b = b->next)
        if (bundle_is_ready(b, small_only, gathering))
            return true;
    return false;
}

/* One that is not applied to its end. */
static struct batch *next_unapplied(struct jobs *j, struct stream_jobs *sj, bool small_only)
{
    for (struct batch *batch; (batch = next_batch(j, sj, small_only)) != NULL;) {
        batch_step_over_applied(batch);
        batch_give_back_applied(batch);
        if (batch->bundles)
            return batch;
        batch_finish(batch);
    }
    return NULL;
}

static void set_states(struct batch *batch, enum bundle_state state)
{
    for (struct bundle *b = batch->bundles; b; b = b->next)
        b->state = state;
}

static bool is_in_memory(const struct batch *batch)
{
    for (const struct bundle *b = batch->bundles; b; b = b->next)
        if (b->region.fd < 0)
            return false;
    return true;
}

static void count_fetching(struct batch *batch, struct jobs *j, bool begins)
{
    size_t one = begins ? 1 : (size_t)-1;
    batch->fetching = begins;
    batch->of->fetching += (unsigned)one;
    j->fetching_count += one;
    j->bulk_count += batch->small ? 0 : one;
}

/* What was dropped is read from the log; the rest stays until then. */
static void fetch(struct jobs *j, struct batch *batch)
{
    count_fetching(batch, j, true);
    set_states(batch, BUNDLE_FETCHED);
    for (struct bundle *b = batch->bundles; b; b = b->next)
        if (b->region.fd < 0)
            b->state = BUNDLE_FETCHING;
    for (struct bundle *b = batch->bundles; b; b = b->next)
        if (b->state == BUNDLE_FETCHING)
            b->on_wanted(b, b->context);
}

static bool launch(struct jobs *j, struct batch *batch)
{
    struct job *job = job_new(j, &job_build, batch->of->stream);
    job->batch = batch;
    job->small = batch->small;
    job->segment = catalog_next(j->to.catalog, NUMBER_SEGMENT);
    int err = job->segment ? job_start(job) : -ENOSPC;
    if (err) {
        job_start_failed(err);
        job_free(job);
        batch->not_before = uv_now(j->to.loop) + RETRY_MS;
        set_states(batch, BUNDLE_QUEUED);
        return false;
    }
    batch->running = true;
    batch->gathers_until = batch->small ? uv_now(j->to.loop) + GATHER_MS : 0;
    set_states(batch, BUNDLE_RUNNING);
    if (job->small)
        standby_after(job);
    return true;
}

bool build_start(struct jobs *j, struct stream_jobs *sj, bool small_only)
{
    struct batch *batch = next_unapplied(j, sj, small_only);
    if (!batch)
        return false;
    if (is_in_memory(batch))
        return launch(j, batch);
    fetch(j, batch);
    return true;
}

static void give_up(struct batch *batch)
{
    batch->attempt.next = batch->attempt.end;
    batch_give_back_applied(batch);
    batch_finish(batch);
}

static struct batch *batch_of(const struct bundle *b)
{
    for (struct batch *batch = b->stream->jobs->batches; batch; batch = batch->next)
        for (const struct bundle *one = batch->fetching ? batch->bundles : NULL; one; one = one->next)
            if (one == b)
                return batch;
    return NULL;
}

static bool is_fetching(const struct batch *batch)
{
    for (const struct bundle *b = batch->bundles; b; b = b->next)
        if (b->state == BUNDLE_FETCHING)
            return true;
    return false;
}

void jobs_fetched(struct jobs *j, struct bundle *b)
{
    struct batch *batch = batch_of(b);
    b->state = BUNDLE_FETCHED;
    require(batch);
    if (is_fetching(batch))
        return;
    struct stream_jobs *sj = batch->of;
    count_fetching(batch, j, false);
    if (sj->forgotten) {
        give_up(batch);
        jobs_released(j, sj);
    } else if (j->stopping || sj->stream->damaged || sj->stream->index->paused || !is_in_memory(batch)) {
        set_states(batch, BUNDLE_QUEUED);
        batch->not_before = uv_now(j->to.loop) + RETRY_MS;
    } else {
        launch(j, batch);
    }
    jobs_dispatch(j);
}

uint64_t build_next_time(const struct stream_jobs *sj)
{
    uint64_t gathered = batches_gather_until(sj), earliest = gathered && sj->waiting ? gathered : UINT64_MAX;
    for (const struct batch *b = sj->batches; b; b = b->next)
        if (!b->running && !b->fetching && b->not_before < earliest)
            earliest = b->not_before;
    return earliest;
}

void build_drop_waiting(struct stream_jobs *sj)
{
    while (sj->waiting) {
        struct bundle *b = sj->waiting;
        sj->waiting = b->next;
        bundle_give_back(b);
    }
    sj->waiting_end = &sj->waiting;
    for (struct batch *next, *b = sj->batches; b; b = next) {
        next = b->next;
        if (!b->running && !b->fetching)
            give_up(b);
    }
}

/* --- the message */

void job_fill_skips(struct job *job, Mayfly__Internal__Job *m, const struct skip *from, size_t count)
{
    if (!count)
        return;
    Mayfly__Internal__Skip *skips = calloc(count, sizeof *skips);
    Mayfly__Internal__Skip **pointers = calloc(count, sizeof *pointers);
    require(skips && pointers);
    for (size_t i = 0; i < count; i++) {
        mayfly__internal__skip__init(&skips[i]);
        skips[i].sequence = from[i].sequence;
        skips[i].code = message_string(from[i].code);
        skips[i].message = message_string(from[i].message);
        pointers[i] = &skips[i];
    }
    m->skip = pointers;
    m->n_skip = count;
    job->scratch[2] = skips;
    job->scratch[3] = pointers;
}

static void fill(struct job *job, Mayfly__Internal__Job *m)
{
    const struct batch *batch = job->batch;
    Mayfly__Internal__Range *ranges = calloc(batch->bundle_count, sizeof *ranges);
    Mayfly__Internal__Range **pointers = calloc(batch->bundle_count, sizeof *pointers);
    require(ranges && pointers);
    size_t count = 0;
    for (const struct bundle *b = batch->bundles; b && b->first < batch->attempt.stop; b = b->next, count++) {
        mayfly__internal__range__init(&ranges[count]);
        ranges[count].first = b->first;
        ranges[count].end = b->end;
        pointers[count] = &ranges[count];
    }
    m->regions = pointers;
    m->n_regions = count;
    m->resume = batch->attempt.next > batch->bundles->first ? batch->attempt.next : 0;
    m->stop = batch->attempt.stop < ranges[count - 1].end ? batch->attempt.stop : 0;
    job->scratch[0] = ranges;
    job->scratch[1] = pointers;
    job_fill_skips(job, m, batch->skips, batch->skip_count);
}

/* A segment of tiny documents is larger than their text: ids, dictionary, what LMDB leaves empty. */
static uint64_t writes(const struct job *job)
{
    uint64_t bytes = 8 << 20;
    for (const struct bundle *b = job->batch->bundles; b && b->first < job->batch->attempt.stop; b = b->next)
        bytes += 4 * b->bytes;
    return bytes;
}

/* --- reports */

/* A refused operation's bundle has not been given back: what is reported is committed only with the last report. */
static void pass_refusals(struct job *job, const Mayfly__Internal__JobReport *report)
{
    const struct jobs_callbacks *callbacks = &job->jobs->to.callbacks;
    for (size_t i = 0; i < report->n_refused; i++) {
        struct refusal r = refusal_of(report->refused[i]);
        /* The newest that is known, also to those who save what was refused in it. */
        if (job->stream->generation < report->refused[i]->generation)
            job->stream->generation = report->refused[i]->generation;
        struct bundle *b = job->batch->bundles;
        while (b && b->end <= r.sequence)
            b = b->next;
        if (b && b->first <= r.sequence)
            b->on_refused(b, &r, 1, b->context);
        else
            callbacks->on_old_refusals(callbacks->context, &r, 1);
    }
}

/* Of the range only what is the batch's own: others stand between. */
static void mark_applied(const struct batch *batch, uint64_t first, uint64_t end)
{
    for (const struct bundle *b = batch->bundles; b && b->first < end; b = b->next) {
        uint64_t from = b->first > first ? b->first : first, to = b->end < end ? b->end : end;
        if (from < to)
            stream_mark_applied(batch->of->stream, from, to);
    }
}

/* The order: refusals, then the shards, then what waits for `searchable`. */
static void committed(struct job *job, const Mayfly__Internal__JobReport *report)
{
    struct batch *batch = job->batch;
    job->committed = true;
    batch->lacks_disk = false;
    jobs_take_state(job);
    if (report->applied) {
        mark_applied(batch, report->applied->first, report->applied->end);
        attempt_committed(&batch->attempt, batch_next_of(batch, report->applied->end, false));
    }
    jobs_nudge(job->jobs, job->stream);
    batch->stuck = 0;
    batch_give_back_applied(batch);
    batch->gathers_until = 0;
    jobs_dispatch(job->jobs); /* what was gathered meanwhile need not wait for the worker's end */
}

static void superseded(struct job *job)
{
    struct batch *batch = job->batch;
    uint64_t before = batch->attempt.next;
    job->superseded = true;
    jobs_take_state(job);
    batch_step_over_applied(batch);
    if (batch->attempt.next == before && ++batch->stuck >= MAX_STUCK)
        stream_damaged(job->stream, "its workers find their work done, but it is not");
    jobs_nudge(job->jobs, job->stream);
    batch_give_back_applied(batch);
}

static void reported(struct job *job, const Mayfly__Internal__JobReport *report)
{
    pass_refusals(job, report);
    if (report->state && !core_state_add(&job->state, report->state))
        return; /* more of it comes */
    if (report->committed)
        committed(job, report);
    else if (report->superseded)
        superseded(job);
}

/* --- the end of a run */

/* Of the refusal, for whoever sees the task. */
static void say_why(struct skip *skip, const struct last_words *w, const struct death *d)
{
    bool memory = strcmp(skip->code, CODE_TOO_MUCH_MEMORY) == 0;
    snprintf(skip->message, sizeof skip->message, "%s: %.150s",
             memory ? "it needs more memory than worker-memory allows" : "it ended every worker that tried it",
             w->text[0] ? w->text : exit_reason_name(d->reason));
}

void job_quarantine(const struct job *job, struct attempt *a, struct skip **skips, size_t *count, const char *code,
                    const struct death *d)
{
    struct skip *grown = realloc(*skips, (*count + 1) * sizeof *grown);
    require(grown);
    *skips = grown;
    struct skip *skip = &grown[(*count)++];
    *skip = (struct skip){.sequence = a->next, .code = code};
    say_why(skip, job_words(job), d);
    log_warn("quarantined an operation kind=%s index=%s shard=%u sequence=%llu code=%s reason=%s", job->kind->name,
             job->stream->index->name, job->stream->shard, (unsigned long long)skip->sequence, code,
             exit_reason_name(d->reason));
    attempt_quarantined(a);
}

static void lacks_disk(struct job *job)
{
    char path[DISK_PATH];
    const struct place p = stream_place(job->stream);
    snprintf(path, sizeof path, "indexes/%u/%u/%u", p.index, p.edition, p.shard);
    job->batch->lacks_disk = disk_is_lacked(job->jobs->to.disk, DISK_WORKERS, -ENOSPC, writes(job), path);
}

static struct batch *next_lacking(const struct jobs *j, const struct batch *after)
{
    bool past = !after;
    for (const struct index *i = j->to.indexes->first; i; i = i->next)
        for (uint32_t n = 0; n < i->shards; n++)
            for (struct batch *b = i->streams[n].jobs ? i->streams[n].jobs->batches : NULL; b; b = b->next) {
                if (past && b->lacks_disk)
                    return b;
                past |= b == after;
            }
    return NULL;
}

bool jobs_lack_disk(const struct jobs *j)
{
    return next_lacking(j, NULL) != NULL;
}

void jobs_try_again(struct jobs *j)
{
    for (struct batch *b = NULL; (b = next_lacking(j, b)) != NULL;)
        b->not_before = 0;
    jobs_dispatch(j);
}

static void died(struct job *job, const struct death *d)
{
    struct batch *batch = job->batch;
    if (d->reason == EXIT_REASON_DISK_FULL)
        lacks_disk(job);
    struct decision what = attempt_died(&batch->attempt, d);
    const struct last_words *w = job_words(job);
    char why[sizeof job->stream->damage];
    switch (what.verdict) {
    case VERDICT_AGAIN:
        batch->not_before = uv_now(job->jobs->to.loop) + what.delay_ms;
        break;
    case VERDICT_QUARANTINE:
        job_quarantine(job, &batch->attempt, &batch->skips, &batch->skip_count, what.code, d);
        break;
    case VERDICT_DAMAGED:
        snprintf(why, sizeof why, "workers cannot write it: %.200s",
                 w->text[0] ? w->text : exit_reason_name(d->reason));
        stream_damaged(job->stream, why);
        break;
    }
}

static void ended(struct job *job, const struct death *d)
{
    struct batch *batch = job->batch;
    batch->running = false;
    batch->gathers_until = 0;
    set_states(batch, BUNDLE_QUEUED);
    if (d)
        died(job, d);
    else if (batch->stuck)
        batch->not_before = uv_now(job->jobs->to.loop) + RETRY_MS;
    if (batch->of->forgotten) {
        batch->attempt.next = batch->attempt.end;
        batch_give_back_applied(batch);
    }
    struct stream_jobs *sj = batch->of;
    if (!batch->bundles)
        batch_finish(batch);
    merge_check_optimized(sj);
}

const struct job_kind job_build = {.name = "build",
                                   .kind = MAYFLY__INTERNAL__JOB__KIND__BUILD,
                                   .fill = fill,
                                   .writes = writes,
                                   .reported = reported,
                                   .ended = ended};
