#include "coordinator/jobs_state.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/check.h"
#include "common/err.h"
#include "common/logger.h"

enum { MAX_FAILURES = 2, MAX_KILLS = 5, RETRY_MS = 100 };

/* Streams of one shard number that one worker is to read. One whose workers die is cut in two, until the core.mdb that
 * kills them is alone and called damaged. */
struct survey_part {
    struct survey_part *next;
    struct stream **streams;
    size_t count;
    unsigned failures, kills;
    uint64_t not_before;
    bool running;
};

struct survey {
    struct survey_part *parts;
    jobs_done *done;
    void *context;
};

static void add_part(struct survey *v, struct stream *const *streams, size_t count)
{
    struct survey_part *part = calloc(1, sizeof *part);
    require(part);
    part->streams = calloc(count, sizeof *part->streams);
    require(part->streams);
    for (size_t i = 0; i < count; i++)
        part->streams[i] = streams[i];
    part->count = count;
    part->next = v->parts;
    v->parts = part;
}

static void add_shard(struct survey *v, const struct indexes *all, uint32_t shard)
{
    size_t count = 0;
    for (struct index *i = all->first; i; i = i->next)
        count += shard < i->shards;
    if (!count)
        return;
    struct stream **streams = calloc(count, sizeof *streams);
    require(streams);
    size_t at = 0;
    for (struct index *i = all->first; i; i = i->next)
        if (shard < i->shards)
            streams[at++] = &i->streams[shard];
    add_part(v, streams, count);
    free(streams);
}

static void remove_part(struct survey *v, struct survey_part *part)
{
    struct survey_part **at = &v->parts;
    while (*at != part)
        at = &(*at)->next;
    *at = part->next;
    free(part->streams);
    free(part);
}

static void check_done(struct jobs *j)
{
    struct survey *v = j->survey;
    if (!v || v->parts)
        return;
    j->survey = NULL;
    j->surveyed = true;
    removal_of_orphans(j->to.directory, j->to.indexes);
    v->done(v->context, 0, NULL);
    free(v);
}

void jobs_survey(struct jobs *j, jobs_done *done, void *context)
{
    struct survey *v = calloc(1, sizeof *v);
    require(v);
    *v = (struct survey){.done = done, .context = context};
    for (uint32_t shard = 0; shard < indexes_most_shards(j->to.indexes); shard++)
        add_shard(v, j->to.indexes, shard);
    j->survey = v;
    jobs_dispatch(j); /* without indexes it ends there */
}

/* The next to be read; NULL: none is yet, and for those that have to wait the timer is set, which may have rung for others. */
static struct survey_part *next_part(struct jobs *j)
{
    for (struct survey_part *part = j->survey->parts; part; part = part->next) {
        if (part->running)
            continue;
        if (part->not_before <= uv_now(j->to.loop))
            return part;
        jobs_wake_at(j, part->not_before);
    }
    return NULL;
}

bool survey_start(struct jobs *j)
{
    check_done(j);
    struct survey_part *part = j->survey ? next_part(j) : NULL;
    if (!part)
        return false;
    struct job *job = job_new(j, &job_survey, NULL);
    job->part = part;
    int err = job_start(job);
    if (err) {
        job_free(job);
        part->not_before = uv_now(j->to.loop) + RETRY_MS;
        jobs_wake_at(j, part->not_before);
        return false;
    }
    part->running = true;
    return true;
}

static void fill(struct job *job, Mayfly__Internal__Job *m)
{
    struct survey_part *part = job->part;
    struct place *places = calloc(part->count, sizeof *places);
    require(places);
    for (size_t i = 0; i < part->count; i++)
        places[i] = stream_place(part->streams[i]);
    job_fill_places(job, m, places, part->count);
    m->shard = part->streams[0]->shard;
    free(places);
}

static void take_refused(const struct jobs *j, const Mayfly__Internal__CoreState *state)
{
    for (size_t i = 0; i < state->n_refused; i++) {
        struct refusal r = refusal_of(state->refused[i]);
        j->to.callbacks.on_old_refusals(j->to.callbacks.context, &r, 1);
    }
}

/* Parts of one core.mdb follow each other. */
static void take_state(struct job *job, const Mayfly__Internal__CoreState *state)
{
    const Mayfly__Internal__Place *p = state->place;
    struct index *i = p ? indexes_by_number(job->jobs->to.indexes, p->index) : NULL;
    if (!i || i->edition != p->edition || p->shard >= i->shards) {
        log_warn("a survey reported an index that was not asked for");
        return;
    }
    struct stream *s = &i->streams[p->shard];
    if (state->failed && *state->failed) {
        stream_damaged(s, state->failed);
        core_state_finish(&job->state);
        return;
    }
    take_refused(job->jobs, state);
    if (!core_state_add(&job->state, state))
        return;
    stream_jobs_of(job->jobs, s);
    jobs_take_state_of(job, s);
}

static void reported(struct job *job, const Mayfly__Internal__JobReport *report)
{
    for (size_t i = 0; i < report->n_surveyed; i++)
        take_state(job, report->surveyed[i]);
    job->committed |= report->last; /* that is: everything was said */
}

static void died(struct job *job, const struct death *d)
{
    struct jobs *j = job->jobs;
    struct survey_part *part = job->part;
    part->not_before = uv_now(j->to.loop) + RETRY_MS;
    jobs_wake_at(j, part->not_before);
    if (d->lost || (death_is_of_others(d) && part->kills++ < MAX_KILLS))
        return;
    if (++part->failures < MAX_FAILURES)
        return;
    if (part->count > 1) {
        size_t half = part->count / 2;
        add_part(j->survey, part->streams, half);
        add_part(j->survey, part->streams + half, part->count - half);
    } else {
        const struct last_words *w = job_words(job);
        char why[200];
        snprintf(why, sizeof why, "its survey failed: %.150s", w->text[0] ? w->text : exit_reason_name(d->reason));
        stream_damaged(part->streams[0], why);
    }
    remove_part(j->survey, part);
}

static void ended(struct job *job, const struct death *d)
{
    job->part->running = false;
    if (d)
        died(job, d);
    else
        remove_part(job->jobs->survey, job->part);
}

const struct job_kind job_survey = {
    .name = "survey", .kind = MAYFLY__INTERNAL__JOB__KIND__SURVEY, .fill = fill, .reported = reported, .ended = ended};
