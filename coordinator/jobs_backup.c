#include "coordinator/jobs_state.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/check.h"
#include "common/err.h"

enum { RETRY_MS = 50, TRIES = 200 };

/* One part, in one worker. What has begun is not tried again: what is half there is in the way, and its owner is told. */
struct backup_run {
    struct backup_part part;
    unsigned tries; /* to start it */
    jobs_done *done;
    void *context;
};

static void give_up(struct backup_run *b, int err, const char *why)
{
    b->done(b->context, err, why);
    free(b);
}

void jobs_backup(struct jobs *j, const struct backup_part *part, jobs_done *done, void *context)
{
    require(!j->backup);
    j->backup = calloc(1, sizeof *j->backup);
    require(j->backup);
    *j->backup = (struct backup_run){.part = *part, .done = done, .context = context};
    jobs_dispatch(j);
}

void backup_start_waiting(struct jobs *j)
{
    struct backup_run *b = j->backup;
    if (!b)
        return;
    struct job *job = job_new(j, &job_backup, NULL);
    job->backup = b;
    job->writes_memory = b->part.in_memory;
    int err = job_start(job);
    if (!err) {
        j->backup = NULL;
        return;
    }
    job_free(job);
    if (++b->tries < TRIES) {
        jobs_wake_at(j, uv_now(j->to.loop) + RETRY_MS);
        return;
    }
    j->backup = NULL;
    give_up(b, err, "no worker can be started");
}

void backup_drop_waiting(struct jobs *j)
{
    struct backup_run *b = j->backup;
    j->backup = NULL;
    if (b)
        give_up(b, ERR_CLOSED, "the server is stopping");
}

static void fill(struct job *job, Mayfly__Internal__Job *m)
{
    const struct backup_part *part = &job->backup->part;
    job_fill_places(job, m, part->places, part->place_count);
    m->backup = message_string(part->directory);
    m->finish = part->finish;
}

static uint64_t segment_bytes(const struct index *i)
{
    uint64_t bytes = 0;
    for (uint32_t n = 0; n < i->shards; n++)
        for (size_t k = 0; k < i->streams[n].segment_count; k++)
            bytes += i->streams[n].segments[k].bytes;
    return bytes;
}

/* Where nothing can be linked; it counts where what is written is memory. */
static uint64_t writes(const struct job *job)
{
    uint64_t bytes = 0;
    for (const struct index *i = job->jobs->to.indexes->first; i; i = i->next)
        bytes += segment_bytes(i);
    return bytes;
}

static void reported(struct job *job, const Mayfly__Internal__JobReport *report)
{
    (void)job, (void)report; /* its last words say it all */
}

/* The nursery could not fork it, or ended before: nothing has been done. */
static bool has_not_begun(const struct job *job)
{
    return job->lost && job->pid == 0;
}

static void ended(struct job *job, const struct death *d)
{
    struct backup_run *b = job->backup;
    if (d && has_not_begun(job) && ++b->tries < TRIES) {
        job->jobs->backup = b;
        jobs_wake_at(job->jobs, uv_now(job->jobs->to.loop) + RETRY_MS);
        return;
    }
    const struct last_words *w = job_words(job);
    char why[sizeof w->text];
    snprintf(why, sizeof why, "%.*s", (int)sizeof w->text - 1, d && w->text[0] ? w->text : d ? exit_reason_name(d->reason) : "");
    job->backup = NULL;
    b->done(b->context, d ? ERR_CLOSED : 0, d ? why : NULL);
    free(b);
}

const struct job_kind job_backup = {.name = "backup",
                                    .kind = MAYFLY__INTERNAL__JOB__KIND__BACKUP,
                                    .fill = fill,
                                    .writes = writes,
                                    .reported = reported,
                                    .ended = ended,
                                    .memory = BACKUP_MEMORY,
                                    .beside = true};
