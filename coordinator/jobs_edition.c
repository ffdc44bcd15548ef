#include "coordinator/jobs_state.h"

#include <stdlib.h>
#include <sys/statvfs.h>

#include "common/check.h"
#include "common/err.h"

/* What an index's next edition needs of the jobs besides its passes (jobs_reanalyze.c): that builds and merges pause for
 * the last of them, and that what waits goes on with the new edition. */

enum { DISK_RESERVE = 64 << 20 };

struct pausing {
    struct pausing *next;
    struct index *index;
    jobs_paused *done;
    void *context;
};

static bool has_stopped(const struct index *i)
{
    for (uint32_t n = 0; n < i->shards; n++) {
        const struct stream_jobs *sj = i->streams[n].jobs;
        if (sj && (sj->running || sj->fetching))
            return false;
    }
    return true;
}

/* A merge would be of segments that are to go. */
static void kill_merges(const struct jobs *j, const struct index *i)
{
    for (struct job *job = j->running; job; job = job->next)
        if (job->kind == &job_merge && job->stream->index == i)
            job_kill(job);
}

void jobs_pause(struct jobs *j, struct index *i, jobs_paused *done, void *context)
{
    struct pausing *p = malloc(sizeof *p);
    require(p);
    *p = (struct pausing){j->pausing, i, done, context};
    j->pausing = p;
    i->paused = true;
    kill_merges(j, i);
    jobs_dispatch(j);
}

void jobs_resume(struct jobs *j, struct index *i)
{
    for (struct pausing **at = &j->pausing; *at;) {
        struct pausing *p = *at;
        if (p->index != i) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        free(p);
    }
    i->paused = false;
    jobs_dispatch(j);
}

void pause_tell(struct jobs *j)
{
    for (struct pausing **at = &j->pausing; *at;) {
        struct pausing told = **at;
        if (!has_stopped(told.index)) {
            at = &(*at)->next;
            continue;
        }
        free(*at);
        *at = told.next;
        told.done(told.context);
        at = &j->pausing; /* the callback may have changed the list */
    }
}

static void go_on(struct jobs *j, struct stream *s)
{
    struct stream_jobs *sj = stream_jobs_of(j, s);
    stream_jobs_forget_suspects(sj);
    sj->merge_failures = 0;
    sj->merge_not_before = 0;
    sj->merge_most = 0;
}

static void come_to_an_end(struct jobs *j, struct stream *s)
{
    struct stream_jobs *sj = stream_jobs_of(j, s);
    require(!sj->running && !sj->fetching && !sj->waiting && !sj->batches);
    merge_drop_waiting(sj, ERR_CLOSED, "the index was given another number of shards");
    stream_jobs_free(sj);
}

void jobs_take_edition(struct jobs *j, struct index *i, struct index *edition)
{
    bool goes_on = i->shards == edition->shards;
    for (uint32_t n = 0; n < i->shards; n++)
        (goes_on ? go_on : come_to_an_end)(j, &i->streams[n]);
    for (uint32_t n = 0; n < edition->shards; n++)
        stream_jobs_free(edition->streams[n].jobs);
    removal_edition(j->removal, i->number, i->edition, REMOVAL_GRACE_MS);
}

bool jobs_disk_is_short(const struct jobs *j, uint64_t bytes)
{
    struct statvfs disk;
    if (statvfs(j->to.directory, &disk) < 0)
        return false;
    return (uint64_t)disk.f_bavail * disk.f_frsize < bytes + DISK_RESERVE;
}
