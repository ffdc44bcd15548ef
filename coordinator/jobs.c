#include "coordinator/jobs.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <signal.h>
#include <unistd.h>

#include "common/check.h"
#include "common/err.h"
#include "common/logger.h"
#include "coordinator/jobs_state.h"

enum { AT_ONCE_PER_STREAM = 4, MOST_BUNDLES = NURSERY_MAX_REGIONS };

/* A job's input is at most a share of a worker's memory: inverted text takes about its own size, and more when it is
 * dense; a worker that meets its soft mark retires anyway, so this only keeps regions from being mapped in vain. */
static uint64_t input_limit(const struct jobs *j)
{
    return j->config->worker_memory / 2;
}

static struct stream_jobs *jobs_of(struct stream *s)
{
    if (!s->jobs)
        s->jobs = calloc(1, sizeof *s->jobs);
    require(s->jobs != NULL);
    return s->jobs;
}

/* ------------------------------------------------------------------------------------------------------------- builds */

void jobs_build(struct jobs *j, struct bundle *b)
{
    struct stream_jobs *sj = jobs_of(b->stream);
    struct bundle **at = &sj->waiting;
    while (*at && (*at)->first < b->first)
        at = &(*at)->next;
    b->next = *at;
    *at = b;
    b->state = BUNDLE_QUEUED;
    jobs_schedule(j);
}

static bool may_build(struct jobs *j, struct stream *s, bool large)
{
    struct stream_jobs *sj = s->jobs;
    if (!sj || !sj->waiting || s->damaged || sj->building >= AT_ONCE_PER_STREAM)
        return false;
    (void)j;
    return large || sj->waiting->small;
}

/* The first bundles of the stream that follow each other and fit one job. A small one is a job of its own. */
static struct job *take_build(struct jobs *j, struct stream *s)
{
    struct stream_jobs *sj = s->jobs;
    struct job *job = calloc(1, sizeof *job);
    if (!job)
        return NULL;
    struct bundle *last = sj->waiting;
    uint64_t bytes = last->bytes;
    size_t count = 1;
    while (!sj->waiting->small && last->next && !last->next->small && last->next->first == last->end &&
           bytes + last->next->bytes <= input_limit(j) && count < MOST_BUNDLES) {
        last = last->next;
        bytes += last->bytes;
        count++;
    }
    *job = (struct job){.jobs = j,
                        .kind = JOB_BUILD,
                        .stream = s,
                        .bundles = sj->waiting,
                        .first = sj->waiting->first,
                        .end = last->end,
                        .stop = last->end,
                        .small = sj->waiting->small,
                        .words = REGION_NONE,
                        .pidfd = -1,
                        .lifeline = -1};
    sj->waiting = last->next;
    last->next = NULL;
    for (struct bundle *b = job->bundles; b; b = b->next)
        b->state = BUNDLE_RUNNING;
    sj->building++;
    index_hold(s->index);
    return job;
}

/* Fair between indexes: the one after the one that was served last comes first. */
static struct job *next_build(struct jobs *j, bool large)
{
    struct stream *best = NULL;
    uint32_t best_distance = UINT32_MAX;
    for (struct index *i = j->indexes->first; i; i = i->next) {
        uint32_t distance = i->number - j->turn - 1; /* wraps around: those behind are last */
        for (uint32_t shard = 0; shard < i->shards && distance < best_distance; shard++) {
            if (may_build(j, &i->streams[shard], large)) {
                best = &i->streams[shard];
                best_distance = distance;
            }
        }
    }
    if (!best)
        return NULL;
    j->turn = best->index->number;
    return take_build(j, best);
}

/* ------------------------------------------------------------------------------------------------------------- schedule */

static bool launch(struct jobs *j, struct job *job)
{
    job->next = j->running;
    j->running = job;
    j->used++;
    j->used_large += !job->small;
    int err = job_start(job);
    if (!err)
        return true;
    if (err != ERR_CLOSED) /* without a nursery it is tried again when there is one */
        log_warn("a worker could not be started, trying again: %s", err_str(err));
    job_again(job, err == ERR_CLOSED ? 1000 : 100);
    return false;
}

void jobs_schedule(struct jobs *j)
{
    if (j->stopping || !j->shards || j->nursery->child.state != CHILD_READY)
        return;
    while (j->used < j->slots) {
        bool large = j->used_large + 1 < j->slots; /* one slot is kept for small ones */
        struct job *job = large && j->optimizes ? merge_next(j, true) : NULL;
        if (!job)
            job = next_build(j, large);
        if (!job && large)
            job = merge_next(j, false);
        if (!job || !launch(j, job))
            return;
    }
}

static bool is_running(const struct jobs *j, const struct job *job)
{
    for (const struct job *r = j->running; r; r = r->next)
        if (r == job)
            return true;
    return false;
}

static void free_timer(uv_handle_t *timer)
{
    free(timer);
}

static void drop_timer(struct job *job)
{
    if (job->timer)
        uv_close((uv_handle_t *)job->timer, free_timer);
    job->timer = NULL;
}

void job_free(struct job *job)
{
    struct jobs *j = job->jobs;
    for (struct job **at = &j->running; *at; at = &(*at)->next) {
        if (*at != job)
            continue;
        *at = job->next;
        j->used--;
        j->used_large -= !job->small;
        break;
    }
    if (job->stream && job->kind == JOB_BUILD)
        job->stream->jobs->building--;
    drop_timer(job);
    job_finish_attempt(job);
    if (job->stream)
        index_release(job->stream->index);
    free(job->skips);
    free(job);
}

static void on_again(uv_timer_t *timer)
{
    struct job *job = timer->data;
    struct jobs *j = job->jobs;
    drop_timer(job);
    if (j->stopping)
        return;
    int err = job_start(job);
    if (err && is_running(j, job))
        job_again(job, 200);
}

void job_again(struct job *job, uint64_t delay_ms)
{
    drop_timer(job);
    job->timer = calloc(1, sizeof *job->timer);
    require(job->timer != NULL && uv_timer_init(job->jobs->loop, job->timer) == 0);
    job->timer->data = job;
    uv_timer_start(job->timer, on_again, delay_ms, 0);
}

/* ------------------------------------------------------------------------------------------------------------- the nursery */

static struct job *find_job(struct jobs *j, uint64_t id)
{
    for (struct job *job = j->running; job; job = job->next)
        if (job->id == id && job->running)
            return job;
    return NULL;
}

static void on_ready(void *context)
{
    struct jobs *j = context;
    for (struct job *job = j->running; job; job = job->next)
        if (!job->running && job->timer)
            uv_timer_start(job->timer, on_again, 0, 0);
    jobs_schedule(j);
}

static void on_forked(void *context, uint64_t id, int pid, int pidfd)
{
    struct job *job = find_job(context, id);
    if (!job) {
        close(pidfd);
        return;
    }
    job->pid = pid;
    job->pidfd = pidfd;
}

static void on_reaped(void *context, uint64_t id, int status)
{
    struct job *job = find_job(context, id);
    if (!job)
        return;
    job->reaped = true;
    job->status = status;
    if (job->hung_up)
        job_attempt_ended(job);
}

static void on_refused(void *context, uint64_t id, int err)
{
    struct job *job = find_job(context, id);
    if (!job)
        return;
    log_warn("the nursery could not fork, trying again: %s", err_str(err));
    job_finish_attempt(job);
    job_again(job, 200);
}

/* Workers die with their nursery; the end of each is seen at its lifeline. */
static void on_lost(void *context)
{
    struct jobs *j = context;
    struct job *next;
    for (struct job *job = j->running; job; job = next) {
        next = job->next;
        if (!job->running || job->reaped)
            continue;
        job->reaped = true;
        job->status = SIGKILL;
        if (job->hung_up)
            job_attempt_ended(job);
    }
}

static void on_failed(void *context)
{
    (void)context;
    log_error("no nursery: nothing is indexed until mayflyd is restarted; searches and the log go on");
}

void jobs_events(struct jobs *j, struct nursery_events *out)
{
    *out = (struct nursery_events){.on_ready = on_ready,
                                   .on_forked = on_forked,
                                   .on_reaped = on_reaped,
                                   .on_refused = on_refused,
                                   .on_lost = on_lost,
                                   .on_failed = on_failed,
                                   .context = j};
}

/* ------------------------------------------------------------------------------------------------------------- life */

static unsigned count_slots(const struct config *c)
{
    size_t workers = config_workers(c);
    return workers > 2 ? (unsigned)workers : 2; /* one is kept for small batches */
}

int jobs_open(const struct jobs_options *o, struct jobs **out)
{
    struct jobs *j = calloc(1, sizeof *j);
    if (!j)
        return -ENOMEM;
    *j = (struct jobs){.loop = o->loop,
                       .config = o->config,
                       .indexes = o->indexes,
                       .catalog = o->catalog,
                       .nursery = o->nursery,
                       .directory = o->directory,
                       .callbacks = o->callbacks,
                       .slots = count_slots(o->config)};
    int err = uv_timer_init(o->loop, &j->doom_timer);
    if (!err)
        err = uv_timer_init(o->loop, &j->stop_timer);
    j->doom_timer.data = j->stop_timer.data = j;
    if (!err)
        *out = j;
    return err;
}

void jobs_set_shards(struct jobs *j, struct shards *s)
{
    j->shards = s;
    j->slots = count_slots(j->config); /* also after a reload */
    jobs_schedule(j);
}

static void check_stopped(struct jobs *j)
{
    for (struct job *job = j->running; job; job = job->next)
        if (job->running)
            return;
    if (!j->stop_done)
        return;
    jobs_done *done = j->stop_done;
    j->stop_done = NULL;
    uv_timer_stop(&j->stop_timer);
    done(j->stop_context, 0, NULL);
}

static void on_stop_limit(uv_timer_t *timer)
{
    struct jobs *j = timer->data;
    for (struct job *job = j->running; job; job = job->next)
        if (job->running && job->pidfd >= 0)
            syscall(SYS_pidfd_send_signal, job->pidfd, SIGKILL, NULL, 0);
}

void jobs_stop(struct jobs *j, uint64_t limit_ms, jobs_done *done, void *context)
{
    j->stopping = true;
    j->stop_done = done;
    j->stop_context = context;
    uv_timer_start(&j->stop_timer, on_stop_limit, limit_ms, 0);
    check_stopped(j);
}

void jobs_after_attempt(struct jobs *j)
{
    if (j->stopping)
        check_stopped(j);
    else
        jobs_schedule(j);
}

/* Waiting bundles are given back now, running ones when their worker has ended. */
void jobs_forget(struct jobs *j, struct index *gone)
{
    for (uint32_t shard = 0; shard < gone->shards; shard++) {
        struct stream_jobs *sj = gone->streams[shard].jobs;
        while (sj && sj->waiting) {
            struct bundle *b = sj->waiting;
            sj->waiting = b->next;
            b->state = BUNDLE_APPLIED;
            b->on_applied(b, b->context);
        }
    }
    for (struct optimize **at = &j->optimizes; *at;) {
        struct optimize *o = *at;
        if (o->stream->index != gone) {
            at = &o->next;
            continue;
        }
        *at = o->next;
        o->done(o->context, -ENOENT, "the index was dropped");
        free(o);
    }
}

uint64_t jobs_exits(const struct jobs *j, enum exit_reason reason)
{
    return j->exits[reason];
}

size_t jobs_running(const struct jobs *j)
{
    size_t count = 0;
    for (const struct job *job = j->running; job; job = job->next)
        count += job->running;
    return count;
}

void jobs_visit(const struct jobs *j, jobs_worker_visitor *visit, void *context)
{
    for (const struct job *job = j->running; job; job = job->next)
        if (job->running && job->pid && job->words.base)
            visit(context, job->pid, job->stream, (const struct last_words *)(const void *)job->words.base);
}
