#include "coordinator/jobs_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/err.h"
#include "common/logger.h"
#include "coordinator/slots.h"

/* Re-analysis of one stream, pass by pass: each makes the edition that is being made equal to what the other one was when
 * its workers looked. An attempt (job_policy.h) is at stamps here, in place of sequence numbers. */

enum { RETRY_MS = 100, MAX_STUCK = 5 };

struct reanalysis {
    struct reanalysis *next;
    struct jobs *jobs;
    struct index *from;
    struct stream *to;
    struct reanalysis_callbacks callbacks;
    struct attempt attempt; /* at the pass; end 0: it has not begun */
    struct skip *skips;     /* documents that end workers: for all passes */
    size_t skip_count;
    uint64_t differences; /* dealt with in this pass */
    uint64_t not_before;  /* loop time */
    unsigned stuck;
    struct job *job; /* that runs; NULL: none */
    bool wanted;     /* a pass is under way */
    bool last;       /* nothing writes to `from` meanwhile */
    bool passed;     /* to be told */
    bool closed;     /* nobody is interested any more */
    int err;         /* of the pass */
    char why[256];
};

/* ------------------------------------------------------------------------------------------------------- a pass
 */

/* Which of the streams of `from` has documents for it. */
static bool is_from(const struct reanalysis *r, uint32_t shard)
{
    return slots_overlap(shard, r->from->shards, r->to->shard, r->to->index->shards);
}

static bool has_own_slots(const struct reanalysis *r)
{
    return r->from->shards != r->to->index->shards;
}

struct reanalysis *jobs_reanalysis_open(struct jobs *j, struct index *from, struct stream *to,
                                        const struct reanalysis_callbacks *callbacks)
{
    struct reanalysis *r = calloc(1, sizeof *r);
    require(r);
    *r = (struct reanalysis){.jobs = j, .from = from, .to = to, .callbacks = *callbacks};
    struct reanalysis **at = &j->reanalyses;
    while (*at)
        at = &(*at)->next;
    *at = r;
    stream_jobs_of(j, to);
    return r;
}

static void unlink_reanalysis(struct reanalysis *r)
{
    struct reanalysis **at = &r->jobs->reanalyses;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    free(r->skips);
    free(r);
}

void jobs_reanalysis_close(struct reanalysis *r)
{
    r->closed = true;
    if (r->job)
        job_kill(r->job);
    else
        unlink_reanalysis(r);
}

void jobs_reanalysis_pass(struct reanalysis *r, bool last)
{
    r->attempt = (struct attempt){0};
    r->differences = r->not_before = 0;
    r->stuck = 0;
    r->last = last;
    r->wanted = true;
    jobs_dispatch(r->jobs);
}

uint64_t jobs_reanalysis_differences(const struct reanalysis *r)
{
    return r->differences;
}

uint64_t jobs_reanalysis_documents(const struct reanalysis *r)
{
    return r->to->documents + (r->job ? job_words(r->job)->documents : 0);
}

static void finish_pass(struct reanalysis *r, int err, const char *why)
{
    r->wanted = false;
    r->passed = true;
    r->err = err;
    snprintf(r->why, sizeof r->why, "%.250s", why ? why : "");
}

/* Whoever is told may close them, or begin the next pass. */
void reanalyze_tell(struct jobs *j)
{
    struct reanalysis *r = j->reanalyses;
    while (r) {
        bool tells = r->passed && !r->closed;
        char why[sizeof r->why];
        memcpy(why, r->why, sizeof why);
        r->passed = false;
        if (tells)
            r->callbacks.on_passed(r->callbacks.context, r->err, why);
        r = tells ? j->reanalyses : r->next;
    }
}

/* ----------------------------------------------------------------------------------------------------------- starting
 */

static bool is_due(const struct reanalysis *r, bool last)
{
    return r->wanted && !r->job && !r->closed && r->last == last && r->not_before <= uv_now(r->jobs->to.loop);
}

static void put_off(struct reanalysis *r, uint64_t ms)
{
    r->not_before = uv_now(r->jobs->to.loop) + ms;
    jobs_wake_at(r->jobs, r->not_before);
}

/* A number that no document has yet: those that come later are of the next pass. */
static bool begin_attempt(struct reanalysis *r)
{
    uint64_t end = r->attempt.end ? r->attempt.end : catalog_next(r->jobs->to.catalog, NUMBER_STAMP);
    if (end && !r->attempt.end)
        r->attempt = attempt_new(1, end);
    return end != 0;
}

static bool launch(struct reanalysis *r)
{
    struct jobs *j = r->jobs;
    struct job *job = job_new(j, &job_reanalyze, r->to);
    job->reanalysis = r;
    job->small = r->last; /* writes wait for it */
    job->segment = catalog_next(j->to.catalog, NUMBER_SEGMENT);
    int err = job->segment ? job_start(job) : -ENOSPC;
    if (err) {
        job_start_failed(err);
        job_free(job);
        put_off(r, RETRY_MS);
        return false;
    }
    r->job = job;
    return true;
}

uint64_t reanalyze_next_time(const struct jobs *j)
{
    uint64_t earliest = UINT64_MAX;
    for (const struct reanalysis *r = j->reanalyses; r; r = r->next)
        if (r->wanted && !r->job && r->not_before < earliest)
            earliest = r->not_before;
    return earliest;
}

/* The one that is started goes behind the others. */
static void move_to_end(struct reanalysis *r)
{
    struct reanalysis **at = &r->jobs->reanalyses;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    while (*at)
        at = &(*at)->next;
    *at = r;
    r->next = NULL;
}

/* Also of shards to which nothing was ever written: the worker looks there. */
static bool has_directories(struct reanalysis *r)
{
    bool all = jobs_has_directory(r->jobs, r->to->jobs);
    for (uint32_t n = 0; n < r->from->shards && all; n++)
        if (is_from(r, n))
            all = jobs_has_directory(r->jobs, stream_jobs_of(r->jobs, &r->from->streams[n]));
    return all;
}

bool reanalyze_start(struct jobs *j, bool last)
{
    struct reanalysis *r = j->reanalyses;
    while (r && !is_due(r, last))
        r = r->next;
    if (!r)
        return false;
    move_to_end(r);
    if (jobs_disk_is_short(j, 0)) {
        finish_pass(r, -ENOSPC, "the disk has come to its reserve");
        return true;
    }
    if (has_directories(r) && begin_attempt(r))
        return launch(r);
    put_off(r, 10 * RETRY_MS);
    return false;
}

/* ------------------------------------------------------------------------------------------------------------ the run
 */

static void fill_slots(struct job *job, Mayfly__Internal__Job *m)
{
    const struct reanalysis *r = job->reanalysis;
    uint32_t shard = r->to->shard, shards = r->to->index->shards;
    m->from_shards = calloc(r->from->shards, sizeof *m->from_shards);
    require(m->from_shards);
    job->scratch[0] = m->from_shards;
    for (uint32_t n = 0; n < r->from->shards; n++)
        if (is_from(r, n))
            m->from_shards[m->n_from_shards++] = n;
    m->first_slot = slots_first(shard, shards);
    m->end_slot = slots_first(shard + 1, shards);
}

static void fill(struct job *job, Mayfly__Internal__Job *m)
{
    const struct reanalysis *r = job->reanalysis;
    m->from_edition = r->from->edition;
    m->resume = r->attempt.next;
    m->stop = r->attempt.stop;
    if (has_own_slots(r))
        fill_slots(job, m);
    else
        m->last = r->last && r->attempt.stop == r->attempt.end;
    job_fill_skips(job, m, r->skips, r->skip_count);
}

/* Its own part of all that is read, and more: terms, ids, what LMDB leaves empty. */
static uint64_t writes(const struct job *job)
{
    const struct reanalysis *r = job->reanalysis;
    uint64_t bytes = 8 << 20;
    for (uint32_t n = 0; n < r->from->shards; n++) {
        const struct stream *from = &r->from->streams[n];
        for (size_t i = 0; is_from(r, n) && i < from->segment_count; i++)
            bytes += from->segments[i].bytes + from->segments[i].bytes / 4;
    }
    return bytes;
}

static void reported(struct job *job, const Mayfly__Internal__JobReport *report)
{
    struct reanalysis *r = job->reanalysis;
    for (size_t i = 0; i < report->n_refused && !r->closed; i++) {
        struct refusal refused = refusal_of(report->refused[i]);
        r->callbacks.on_refused(r->callbacks.context, &refused);
    }
    if (report->state && !core_state_add(&job->state, report->state))
        return; /* more of it comes */
    job->committed = report->committed;
    job->superseded = report->superseded;
    jobs_take_state(job);
    if (report->committed && report->applied)
        attempt_committed(&r->attempt, report->applied->end);
}

static void died(struct job *job, const struct death *d)
{
    struct reanalysis *r = job->reanalysis;
    const struct last_words *w = job_words(job);
    const char *why = w->text[0] ? w->text : exit_reason_name(d->reason);
    if (d->reason == EXIT_REASON_WRITE || d->reason == EXIT_REASON_DISK_FULL) {
        finish_pass(r, d->reason == EXIT_REASON_DISK_FULL ? -ENOSPC : -EIO, why);
        return;
    }
    struct decision what = attempt_died(&r->attempt, d);
    switch (what.verdict) {
    case VERDICT_AGAIN:
        put_off(r, what.delay_ms);
        break;
    case VERDICT_QUARANTINE:
        job_quarantine(job, &r->attempt, &r->skips, &r->skip_count, what.code, d);
        break;
    case VERDICT_DAMAGED:
        finish_pass(r, ERR_CORRUPT, why);
        break;
    }
}

/* Somebody else has written to one of the two editions: it is tried again, and cannot go on for ever. */
static void superseded(struct reanalysis *r)
{
    if (++r->stuck >= MAX_STUCK)
        finish_pass(r, ERR_STALE, "its workers find that something else writes to the edition");
    else
        put_off(r, RETRY_MS);
}

static void ended(struct job *job, const struct death *d)
{
    struct reanalysis *r = job->reanalysis;
    r->job = NULL;
    r->differences += job->committed ? job_words(job)->documents : 0;
    if (r->closed)
        unlink_reanalysis(r);
    else if (d)
        died(job, d);
    else if (job->superseded)
        superseded(r);
    else if (r->attempt.next >= r->attempt.end)
        finish_pass(r, 0, NULL);
}

const struct job_kind job_reanalyze = {.name = "reanalyze",
                                       .kind = MAYFLY__INTERNAL__JOB__KIND__REANALYZE,
                                       .fill = fill,
                                       .writes = writes,
                                       .reported = reported,
                                       .ended = ended};
