#include "coordinator/jobs_state.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "common/check.h"
#include "common/fd.h"

/* A worker forked ahead. While single updates follow each other, one waits for the next: what a worker needs of nursery and kernel
 * before it can look at its job, and what it touches first, has been had by then, and nobody waits for the nursery. It is a run like any
 * other, of a job that is not known yet: it has its last words and its group, it is shown, may be killed, and dies with the nursery.
 * Whoever is given it takes over its number, by which the nursery knows it. It takes no slot: while it waits it holds no more than
 * STANDBY_MEMORY, which the budget has, and then it is the worker of a job that has one. */

enum {
    KEPT_MS = 1000,          /* after the last update */
    MESSAGE_MOST = 32 << 10, /* what it can be told: worker/job.c */
    LOOSE = 8 << 20,         /* so much more its group may have than the job's would, where the job before was another index's */
};

static void reported(struct job *job, const Mayfly__Internal__JobReport *report)
{
    (void)job, (void)report; /* it has done nothing */
}

static void ended(struct job *job, const struct death *d)
{
    (void)d;
    if (job->jobs->standby.job == job)
        job->jobs->standby.job = NULL;
}

const struct job_kind job_standby = {.name = "standby", .reported = reported, .ended = ended, .beside = true};

/* --- making and ending it */

static void in_pool(uv_work_t *work)
{
    struct standby *s = work->data;
    s->err = job_make_group(s->making);
}

/* Where it fails the next update has a worker as any other job has. */
static void out_of_pool(uv_work_t *work, int status)
{
    struct standby *s = work->data;
    struct job *job = s->making;
    s->making = NULL;
    if (status || s->err || !s->is_wanted || job_start(job))
        job_free(job);
    else
        s->job = job;
    s->is_wanted = false;
}

/* Its group first, in the pool: to make one takes the kernel as long as the rest together, and clients wait for the loop. */
static void make(struct jobs *j, uint64_t limit)
{
    struct standby *s = &j->standby;
    s->making = job_new(j, &job_standby, NULL);
    s->making->limit = limit;
    s->is_wanted = true;
    s->work.data = s;
    require(uv_queue_work(j->to.loop, &s->work, in_pool, out_of_pool) == 0);
}

void standby_after(const struct job *begun)
{
    struct standby *s = &begun->jobs->standby;
    uint64_t now = uv_now(begun->jobs->to.loop), before = s->needed_at;
    s->needed_at = now;
    if (!s->job && !s->making && before && now - before < KEPT_MS)
        make(begun->jobs, begun->limit);
}

void standby_end(struct jobs *j)
{
    struct job *job = j->standby.job;
    j->standby.job = NULL;
    j->standby.is_wanted = false;
    if (job && job->lifeline)
        shutdown(watch_fd(job->lifeline), SHUT_WR);
}

void standby_check(struct jobs *j)
{
    if (uv_now(j->to.loop) >= standby_next_time(j))
        standby_end(j);
}

uint64_t standby_next_time(const struct jobs *j)
{
    return j->standby.job ? j->standby.needed_at + KEPT_MS : UINT64_MAX;
}

/* --- giving it away */

static bool is_for(const struct job *job)
{
    return job->kind == &job_build && job->small;
}

static bool fits(const struct job *standby, const struct job *job)
{
    return !standby->lost && standby->lifeline && job->limit <= standby->limit && standby->limit - job->limit <= LOOSE;
}

static bool tell(const struct job *standby, struct job *job)
{
    int fds[FD_PASS_MAX];
    size_t count = job_regions(job, fds);
    struct buf message = job_message(job);
    bool told = message.len <= MESSAGE_MOST && fd_send(watch_fd(standby->lifeline), message.data, message.len, fds, count) == 0;
    buf_finish(&message);
    return told;
}

static void take_over(struct job *job, struct job *standby)
{
    job->words = standby->words;
    job->lifeline = standby->lifeline;
    job->pid = standby->pid;
    job->pidfd = standby->pidfd;
    job->has_group = standby->has_group;
    watch_pass_on(job->lifeline, job);
    standby->words = REGION_NONE;
    standby->lifeline = NULL;
    standby->pidfd = -1;
    standby->has_group = false;
    job_unlink(standby);
    job_free(standby);
}

bool standby_take(struct job *job)
{
    struct jobs *j = job->jobs;
    struct job *standby = j->standby.job;
    if (!standby || !is_for(job))
        return false;
    uint64_t own = job->number;
    job->number = standby->number;
    if (!fits(standby, job) || !tell(standby, job)) {
        job->number = own;
        standby_end(j); /* the next one will do */
        return false;
    }
    j->standby.job = NULL;
    take_over(job, standby);
    if (job->pid)
        j->workers.started++;
    return true;
}
