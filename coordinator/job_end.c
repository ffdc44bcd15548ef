/* What a worker's report and its end mean. */
#include "coordinator/jobs_state.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/check.h"
#include "common/err.h"
#include "common/logger.h"

enum { KILLED_MOST = 5, DAMAGE_MOST = 3, DELAY_MS = 50, DELAY_MOST_MS = 5000 };

static const struct last_words *words_of(const struct job *job)
{
    return (const struct last_words *)(const void *)job->words.base;
}

/* ------------------------------------------------------------------------------------------------------------- reports */

static struct bundle *bundle_of(struct job *job, uint64_t sequence)
{
    for (struct bundle *b = job->bundles; b; b = b->next)
        if (sequence >= b->first && sequence < b->end)
            return b;
    return NULL;
}

static void take_refusals(struct job *job, const Mayfly__Internal__JobReport *report)
{
    for (size_t i = 0; i < report->n_refused; i++) {
        const Mayfly__Internal__Refused *r = report->refused[i];
        struct bundle *b = bundle_of(job, r->sequence);
        const struct refusal one = {r->sequence, r->task, r->position, r->id, r->code, r->message};
        if (b)
            b->on_refused(b, &one, 1, b->context);
    }
}

void stream_take_state(struct jobs *j, struct stream *s, const Mayfly__Internal__CoreState *state)
{
    if (state->generation < s->generation)
        return; /* reports of workers that ended at the same time may come in any order */
    struct stream_segment *segments = calloc(state->n_segments ? state->n_segments : 1, sizeof *segments);
    require(segments != NULL);
    for (size_t i = 0; i < state->n_segments; i++) {
        const Mayfly__Internal__CoreState__Segment *from = state->segments[i];
        segments[i] = (struct stream_segment){
            .id = from->id, .bytes = from->bytes, .documents = from->documents, .deleted = from->deleted};
        for (size_t k = 0; k < s->segment_count; k++)
            if (s->segments[k].id == from->id)
                segments[i].merging = s->segments[k].merging;
    }
    free(s->segments);
    s->segments = segments;
    s->segment_count = state->n_segments;
    s->documents = state->documents;
    s->generation = state->generation;
    stream_mark_applied(s, 0, state->watermark);
    for (size_t i = 0; i < state->n_applied; i++)
        stream_mark_applied(s, state->applied[i]->first, state->applied[i]->end);
    if (j->shards)
        shards_nudge(j->shards, s->shard, s->index->number, s->index->edition, s->generation);
}

/* Shards are told before anybody hears `searchable`: what they answer after it includes the commit. */
static void give_back_applied(struct job *job)
{
    while (job->bundles && stream_is_applied(job->stream, job->bundles->end - 1) && job->bundles->end <= job->first) {
        struct bundle *b = job->bundles;
        job->bundles = b->next;
        b->next = NULL;
        b->state = BUNDLE_APPLIED;
        b->on_applied(b, b->context);
    }
}

static void doom_inputs(struct job *job)
{
    for (size_t i = 0; i < job->input_count; i++)
        jobs_doom_segment(job->jobs, job->stream, job->inputs[i]);
}

/* What was applied may have been so by a predecessor whose report was lost with it. */
static void advance(struct job *job)
{
    while (job->first < job->end && stream_is_applied(job->stream, job->first))
        job->first++;
}

void job_take_report(struct job *job, const Mayfly__Internal__JobReport *report)
{
    if (job->kind == JOB_SURVEY) {
        survey_take(job, report);
        return;
    }
    take_refusals(job, report);
    if (!report->committed && !report->superseded)
        return;
    job->committed |= report->committed;
    job->superseded |= report->superseded;
    job->killed = job->failures = 0;
    if (report->state)
        stream_take_state(job->jobs, job->stream, report->state);
    if (report->committed && report->applied && report->applied->end > report->applied->first)
        stream_mark_applied(job->stream, report->applied->first, report->applied->end);
    if (job->kind == JOB_BUILD) {
        advance(job);
        give_back_applied(job);
    } else if (report->committed) {
        doom_inputs(job);
    }
}

/* ------------------------------------------------------------------------------------------------------------- poison */

static void quarantine(struct job *job, uint64_t sequence, enum exit_reason reason)
{
    bool memory = reason == EXIT_REASON_CAP || reason == EXIT_REASON_KERNEL_CAP;
    struct skip *grown = realloc(job->skips, (job->skip_count + 1) * sizeof *grown);
    require(grown != NULL);
    job->skips = grown;
    struct skip *s = &grown[job->skip_count++];
    *s = (struct skip){.sequence = sequence, .code = memory ? CODE_TOO_MUCH_MEMORY : CODE_QUARANTINED};
    const char *text = words_of(job)->text;
    if (memory)
        snprintf(s->message, sizeof s->message, "its analysis needs more than worker-memory (%llu MiB): %.120s",
                 (unsigned long long)(job->jobs->config->worker_memory >> 20), text);
    else
        snprintf(s->message, sizeof s->message, "every worker that tried it ended: %.150s",
                 text[0] ? text : "killed or crashed without last words");
    log_error("an operation is quarantined: %s index=%s shard=%u sequence=%llu", s->message, job->stream->index->name,
              job->stream->shard, (unsigned long long)sequence);
    job->stop = job->end;
}

/* The next attempt is made narrower around what killed this one, until that stands alone; then it is skipped. */
static void narrow(struct job *job, enum exit_reason reason)
{
    uint64_t suspect = words_of(job)->sequence;
    bool known = words_of(job)->stage == STAGE_INDEXING && suspect >= job->first && suspect < job->stop;
    if (job->stop - job->first == 1)
        quarantine(job, job->first, reason);
    else if (!known)
        job->stop = job->first + (job->stop - job->first) / 2;
    else if (suspect > job->first)
        job->stop = suspect;
    else
        job->stop = job->first + 1;
}

static uint64_t delay_after(unsigned failures)
{
    uint64_t delay = (uint64_t)DELAY_MS << (failures < 7 ? failures : 7);
    return delay < DELAY_MOST_MS ? delay : DELAY_MOST_MS;
}

static void damage(struct job *job)
{
    struct stream *s = job->stream;
    s->damaged = true;
    snprintf(s->damage, sizeof s->damage, "%.200s", words_of(job)->text);
    log_error("index %s is damaged in shard %u, its writes wait: %s", s->index->name, s->shard, s->damage);
}

/* ------------------------------------------------------------------------------------------------------------- the end */

static void log_end(const struct job *job, enum exit_reason reason)
{
    const struct last_words *words = words_of(job);
    bool as_planned = reason == EXIT_REASON_DONE || reason == EXIT_REASON_RETIRED || reason == EXIT_REASON_SUPERSEDED;
    if (as_planned)
        log_debug("worker ended: %s documents=%llu arena_peak=%llu pid=%d", exit_reason_name(reason),
                  (unsigned long long)words->documents, (unsigned long long)words->arena_peak, job->pid);
    else
        log_warn("worker ended: %s while %s, trying again in a fresh one: %.200s status=%d sequence=%llu pid=%d",
                 exit_reason_name(reason), child_stage_name(words->stage), words->text[0] ? words->text : "no last words",
                 job->status, (unsigned long long)words->sequence, job->pid);
}

/* After a death without commit. False if the job is to end. */
static bool learn(struct job *job, enum exit_reason reason, uint64_t *delay_ms)
{
    bool by_signal = reason == EXIT_REASON_NONE && WIFSIGNALED(job->status) && WTERMSIG(job->status) == SIGKILL;
    *delay_ms = 0;
    switch (reason) {
    case EXIT_REASON_WRITE:
        *delay_ms = delay_after(job->failures++);
        return job->kind != JOB_MERGE;
    case EXIT_REASON_CORRUPT:
        *delay_ms = delay_after(job->failures++);
        if (job->failures < DAMAGE_MOST || job->kind == JOB_SURVEY)
            return job->failures < DAMAGE_MOST;
        damage(job);
        return false;
    case EXIT_REASON_NONE:
    case EXIT_REASON_ORPHANED:
    case EXIT_REASON_CAP:
    case EXIT_REASON_KERNEL_CAP:
    case EXIT_REASON_DONE:
    case EXIT_REASON_RETIRED:
    case EXIT_REASON_SUPERSEDED:
    case EXIT_REASONS:
        break;
    }
    if (by_signal && job->killed++ < KILLED_MOST) {
        *delay_ms = delay_after(job->killed);
        return true;
    }
    if (job->kind == JOB_BUILD)
        narrow(job, reason);
    else
        *delay_ms = delay_after(job->failures++);
    return job->kind == JOB_BUILD || job->failures < DAMAGE_MOST;
}

static void end_build(struct job *job)
{
    /* What is left (a damaged stream) waits again. */
    while (job->bundles) {
        struct bundle *b = job->bundles;
        struct bundle **at = &job->stream->jobs->waiting;
        job->bundles = b->next;
        while (*at && (*at)->first < b->first)
            at = &(*at)->next;
        b->next = *at;
        *at = b;
        b->state = BUNDLE_QUEUED;
    }
}

static void end_merge(struct job *job, bool worked)
{
    struct stream *s = job->stream;
    s->jobs->merging = false;
    s->jobs->merge_failures = worked ? 0 : s->jobs->merge_failures + 1;
    for (size_t i = 0; i < s->segment_count; i++)
        s->segments[i].merging = false;
}

static void end_job(struct job *job, bool worked)
{
    struct jobs *j = job->jobs;
    if (job->kind == JOB_BUILD)
        end_build(job);
    else if (job->kind == JOB_MERGE)
        end_merge(job, worked);
    else
        survey_ended(job, worked);
    job_free(job);
    merges_check_optimizes(j);
    jobs_after_attempt(j);
}

/* A dropped index has nothing left to be applied to. */
static void abandon_bundles(struct job *job)
{
    while (job->bundles) {
        struct bundle *b = job->bundles;
        job->bundles = b->next;
        b->next = NULL;
        b->state = BUNDLE_APPLIED;
        b->on_applied(b, b->context);
    }
}

static bool is_over(struct job *job)
{
    if (job->stream && job->stream->index->dropped)
        abandon_bundles(job);
    if (job->kind == JOB_BUILD)
        return job->bundles == NULL;
    return job->committed || job->superseded || job->ended || (job->stream && job->stream->index->dropped);
}

void job_attempt_ended(struct job *job)
{
    struct jobs *j = job->jobs;
    unsigned said = words_of(job)->reason;
    enum exit_reason reason = said < EXIT_REASONS ? (enum exit_reason)said : EXIT_REASON_NONE;
    j->exits[reason]++;
    log_end(job, reason);
    bool worked = job->committed || job->superseded || job->ended;
    uint64_t delay = 0;
    bool go_on = worked || learn(job, reason, &delay);
    job_finish_attempt(job);
    if (is_over(job) || !go_on) {
        end_job(job, worked);
        return;
    }
    if (worked)
        job->stop = job->end; /* the successor of one that retired, or of a narrowed one */
    if (j->stopping)
        jobs_after_attempt(j);
    else
        job_again(job, delay);
}
