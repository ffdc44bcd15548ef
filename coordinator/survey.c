/* The survey at start: what every core.mdb says, and which files nobody names. */
#include "coordinator/jobs_state.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"
#include "common/err.h"
#include "common/logger.h"

enum { MOST_PATH = 4096 };

static struct stream *find_stream(struct jobs *j, const Mayfly__Internal__Place *place)
{
    struct index *i = place ? indexes_by_number(j->indexes, place->index) : NULL;
    if (!i || i->edition != place->edition || place->shard >= i->shards)
        return NULL;
    return &i->streams[place->shard];
}

static void take_refusals(struct jobs *j, struct stream *s, const Mayfly__Internal__CoreState *state)
{
    for (size_t i = 0; i < state->n_refused; i++) {
        const Mayfly__Internal__Refused *r = state->refused[i];
        const struct refusal one = {r->sequence, r->task, r->position, r->id, r->code, r->message};
        j->callbacks.on_old_refusals(j->callbacks.context, &one, 1);
        if (r->generation > s->refusals_saved)
            s->refusals_saved = r->generation;
    }
}

void survey_take(struct job *job, const Mayfly__Internal__JobReport *report)
{
    struct jobs *j = job->jobs;
    for (size_t i = 0; i < report->n_surveyed; i++) {
        const Mayfly__Internal__CoreState *state = report->surveyed[i];
        struct stream *s = find_stream(j, state->place);
        if (!s)
            continue;
        if (state->failed && state->failed[0]) {
            s->damaged = true;
            snprintf(s->damage, sizeof s->damage, "%.200s", state->failed);
            log_error("index %s is damaged in shard %u: %s", s->index->name, s->shard, s->damage);
            continue;
        }
        stream_take_state(j, s, state);
        take_refusals(j, s, state);
    }
    job->ended |= report->last;
}

/* ------------------------------------------------------------------------------------------------------------- orphans */

static bool is_live(const struct stream *s, uint64_t segment)
{
    for (size_t i = 0; i < s->segment_count; i++)
        if (s->segments[i].id == segment)
            return true;
    return false;
}

/* A worker that was killed before its commit left a file that no core.mdb names. */
static void remove_orphans(struct jobs *j, const struct stream *s)
{
    char directory[MOST_PATH], path[MOST_PATH + 300];
    snprintf(directory, sizeof directory, "%s/indexes/%u/%u/%u", j->directory, s->index->number, s->index->edition,
             s->shard);
    DIR *d = opendir(directory);
    if (!d)
        return;
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        unsigned long long id;
        int end = 0;
        if (sscanf(e->d_name, "seg-%llu.mdb%n", &id, &end) != 1 || end == 0 || e->d_name[end] || is_live(s, id))
            continue;
        snprintf(path, sizeof path, "%s/%s", directory, e->d_name);
        if (unlink(path) == 0)
            log_info("removed a segment that nobody names: %s", path);
    }
    closedir(d);
}

static void remove_all_orphans(struct jobs *j)
{
    for (struct index *i = j->indexes->first; i; i = i->next)
        for (uint32_t shard = 0; shard < i->shards; shard++)
            if (!i->streams[shard].damaged)
                remove_orphans(j, &i->streams[shard]);
}

/* ------------------------------------------------------------------------------------------------------------- the whole */

void survey_ended(struct job *job, bool worked)
{
    struct jobs *j = job->jobs;
    if (!worked)
        j->survey_error = ERR_CORRUPT;
    if (--j->surveys_left)
        return;
    if (!j->survey_error)
        remove_all_orphans(j);
    j->survey_done(j->survey_context, j->survey_error, j->survey_error ? "the survey workers died" : NULL);
}

void jobs_survey(struct jobs *j, jobs_done *done, void *context)
{
    j->survey_done = done;
    j->survey_context = context;
    j->surveys_left = j->indexes->shards;
    for (uint32_t shard = 0; shard < j->indexes->shards; shard++) {
        struct job *job = calloc(1, sizeof *job);
        require(job != NULL);
        *job = (struct job){.jobs = j,
                            .kind = JOB_SURVEY,
                            .shard = shard,
                            .words = REGION_NONE,
                            .pidfd = -1,
                            .lifeline = -1,
                            .small = true,
                            .next = j->running};
        j->running = job;
        j->used++;
        if (job_start(job))
            job_again(job, 1000); /* sooner when the nursery is ready */
    }
}
