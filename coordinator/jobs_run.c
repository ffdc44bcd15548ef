#include "coordinator/jobs_state.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/logger.h"

enum { MAX_REPORT = 128 << 10 };

struct job *job_new(struct jobs *j, const struct job_kind *kind, struct stream *s)
{
    struct job *job = calloc(1, sizeof *job);
    require(job);
    *job = (struct job){.jobs = j, .kind = kind, .stream = s, .pidfd = -1, .entrance = -1, .words = REGION_NONE};
    job->number = j->next_number++;
    return job;
}

static void remove_group(struct job *job, struct cap_end *out_end)
{
    *out_end = job->has_group ? cap_end(job->jobs->to.cap, job->number) : (struct cap_end){0};
    job->has_group = false;
}

void job_free(struct job *job)
{
    struct cap_end ignored;
    remove_group(job, &ignored);
    watch_close(&job->lifeline);
    fd_close(&job->pidfd);
    fd_close(&job->entrance);
    region_close(&job->words);
    core_state_finish(&job->state);
    free(job);
}

/* --- the end of a run */

void job_count_slot(const struct job *job, int change)
{
    struct jobs *j = job->jobs;
    if (job->kind->beside)
        return;
    j->running_count += (size_t)change;
    if (!job->small)
        j->bulk_count += (size_t)change;
}

void job_unlink(struct job *job)
{
    struct jobs *j = job->jobs;
    struct job **at = &j->running;
    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    job_count_slot(job, -1);
}

const struct last_words *job_words(const struct job *job)
{
    return (const struct last_words *)(const void *)job->words.base;
}

enum { MAX_STATUS = 64 };

/* "exit status 1", "signal 9 (Killed)" */
static void describe(int status, char to[MAX_STATUS])
{
    if (WIFSIGNALED(status))
        snprintf(to, MAX_STATUS, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(to, MAX_STATUS, "exit status %d", WEXITSTATUS(status));
}

static void log_run(const struct job *job, const struct death *d, int status, uint64_t peak)
{
    const struct last_words *w = job_words(job);
    const char *index = job->stream ? job->stream->index->name : "-";
    char how[MAX_STATUS];
    describe(status, how);
    bool is_known = d->reason == EXIT_REASON_DISK_FULL && disk_is_full(job->jobs->to.disk);
    if (job->committed || job->superseded || is_known || d->reason == EXIT_REASON_DONE)
        log_debug("worker ended job=%llu kind=%s index=%s reason=%s documents=%llu peak=%llu group_peak=%llu pid=%d",
                  (unsigned long long)job->number, job->kind->name, index, exit_reason_name(d->reason),
                  (unsigned long long)w->documents, (unsigned long long)w->arena_peak, (unsigned long long)peak,
                  job->pid);
    else
        log_warn("worker died job=%llu kind=%s index=%s reason=%s stage=%s by=%s sequence=%llu pid=%d%s%.500s",
                 (unsigned long long)job->number, job->kind->name, index, exit_reason_name(d->reason),
                 child_stage_name(d->stage), job->lost ? "its nursery's death" : how, (unsigned long long)d->sequence,
                 job->pid, w->text[0] ? ": " : "", w->text);
}

/* Of one that did not get to say. */
static enum exit_reason silent_reason(const struct job *job, int status, const struct cap_end *end)
{
    if (end->oom_killed && !job->cancelled)
        return end->was_full ? EXIT_REASON_OOM_KILLED : EXIT_REASON_STARVED;
    if (job->timed_out)
        return EXIT_REASON_TIMEOUT;
    if (job->cancelled)
        return EXIT_REASON_CANCELLED;
    if (job->lost)
        return EXIT_REASON_LOST;
    bool killed = WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGTERM);
    return killed ? EXIT_REASON_NONE : EXIT_REASON_CRASHED;
}

static struct death death_of(const struct job *job, int status, const struct cap_end *end)
{
    const struct last_words *w = job_words(job);
    uint32_t said = w->reason, stage = w->stage;
    bool has_said = said != EXIT_REASON_NONE && said <= EXIT_REASON_ORPHANED;
    return (struct death){.reason = has_said ? (enum exit_reason)said : silent_reason(job, status, end),
                          .stage = stage < STAGES ? (enum child_stage)stage : STAGE_NONE,
                          .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                          .lost = job->lost || job->cancelled,
                          .sequence = w->sequence};
}

static void read_reports(struct job *job);

/* Where this process is a subreaper, workers that outlive their nursery by a moment are its children. One that was
 * forked without the nursery's having come to say so has no name here, but it is of the nursery's process group: all
 * that are left of it are dying, and are waited for. */
static void reap_orphan(const struct job *job)
{
    siginfo_t ignored;
    if (job->lost && job->pidfd >= 0) {
        waitid(P_PIDFD, (id_t)job->pidfd, &ignored, WEXITED);
    } else if (job->orphaned) {
        while (waitid(P_PGID, (id_t)job->orphaned, &ignored, WEXITED) == 0)
            ;
    }
}

/* Nothing is committed before that stage; in it, only a later state tells. */
static void judge_segment(struct job *job, const struct death *d)
{
    struct stream_jobs *sj = job->stream->jobs;
    if (!job->segment || job->committed)
        return;
    if (d->stage < STAGE_COMMITTING) {
        removal_segment(job->jobs->removal, job->stream, job->segment, 0);
        return;
    }
    struct suspect *made = calloc(1, sizeof *made);
    require(made);
    *made = (struct suspect){.next = sj->suspects, .id = job->segment, .after = job->jobs->next_number};
    sj->suspects = made;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void count_worker(const struct job *job)
{
    struct worker_counts *c = &job->jobs->workers;
    c->peak_last = job_words(job)->arena_peak;
    c->peak_most = larger(c->peak_most, c->peak_last);
    if (!job->last_word_us)
        return;
    c->teardown_last_us = clock_us() - job->last_word_us;
    c->teardown_most_us = larger(c->teardown_most_us, c->teardown_last_us);
}

static void end_run(struct job *job, int status)
{
    struct jobs *j = job->jobs;
    struct stream_jobs *sj = job->stream ? job->stream->jobs : NULL;
    read_reports(job); /* what it said last has come before the news of its end */
    reap_orphan(job);
    struct cap_end end;
    remove_group(job, &end);
    struct death d = death_of(job, status, &end);
    log_run(job, &d, status, end.peak);
    j->exits[d.reason]++;
    if (job->kind != &job_standby)
        count_worker(job);
    job_unlink(job);
    if (sj) {
        sj->running--;
        judge_segment(job, &d);
    }
    bool good = job->committed || job->superseded || (!job->stream && d.reason == EXIT_REASON_DONE);
    job->kind->ended(job, good ? NULL : &d);
    job_free(job);
    if (sj)
        jobs_released(j, sj);
    jobs_dispatch(j);
}

/* --- what a worker says */

static void take_report(struct job *job, const uint8_t *bytes, size_t size)
{
    Mayfly__Internal__JobReport *report = mayfly__internal__job_report__unpack(NULL, size, bytes);
    if (!report || report->job != job->number) {
        log_error("a worker's report does not decode job=%llu", (unsigned long long)job->number);
    } else {
        job->last_word_us = clock_us();
        job->kind->reported(job, report);
    }
    mayfly__internal__job_report__free_unpacked(report, NULL);
}

/* Until nothing is left; its end is seen as an end of file, but only the nursery (or its death) makes it official. */
static void read_reports(struct job *job)
{
    while (job->lifeline) {
        size_t no_fds = 0;
        ssize_t got = fd_receive(watch_fd(job->lifeline), job->jobs->buffer, MAX_REPORT, NULL, &no_fds, 0);
        if (got == -EAGAIN)
            return;
        if (got <= 0) {
            watch_close(&job->lifeline);
            return;
        }
        take_report(job, (const uint8_t *)job->jobs->buffer, (size_t)got);
    }
}

void job_on_lifeline(void *context)
{
    struct job *job = context;
    read_reports(job);
    if (!job->lifeline && job->lost)
        end_run(job, SIGKILL);
}

/* --- what is said to it, and what the nursery says */

void job_kill(struct job *job)
{
    job->cancelled = true;
    job->last_word_us = clock_us();
    if (job->pidfd >= 0)
        syscall(SYS_pidfd_send_signal, job->pidfd, SIGKILL, NULL, 0);
    else if (job->lifeline) /* not forked yet, or unknown: end of file makes it exit */
        shutdown(watch_fd(job->lifeline), SHUT_WR);
}

static struct job *find_job(struct jobs *j, uint64_t number)
{
    for (struct job *job = j->running; job; job = job->next)
        if (job->number == number)
            return job;
    return NULL;
}

static void on_ready(void *context)
{
    jobs_dispatch(context);
}

static void on_forked(void *context, uint64_t number, int pid, int pidfd)
{
    struct job *job = find_job(context, number);
    if (!job) {
        fd_close(&pidfd);
        return;
    }
    job->pid = pid;
    job->jobs->workers.started += job->kind != &job_standby;
    fd_close(&job->pidfd);
    job->pidfd = pidfd;
    if (job->cancelled)
        job_kill(job);
}

static void on_reaped(void *context, uint64_t number, int status)
{
    struct job *job = find_job(context, number);
    if (job)
        end_run(job, status);
}

static void on_refused(void *context, uint64_t number, int error)
{
    struct job *job = find_job(context, number);
    log_error("nursery cannot fork, trying again: %s", err_str(error > 0 ? -error : error));
    if (!job)
        return;
    job->lost = true;
    end_run(job, SIGKILL);
}

/* Its workers are dying by PR_SET_PDEATHSIG; the end of each one's lifeline says that it is dead. */
static void on_lost(void *context)
{
    struct jobs *j = context;
    for (struct job *job = j->running; job; job = job->next) {
        job->lost = true;
        job->orphaned = j->to.nursery->child.pid;
        if (job->pidfd >= 0)
            syscall(SYS_pidfd_send_signal, job->pidfd, SIGKILL, NULL, 0);
    }
    for (struct job *next, *job = j->running; job; job = next) {
        next = job->next;
        read_reports(job);
        if (!job->lifeline) {
            end_run(job, SIGKILL);
            next = j->running; /* ending one may have changed the list */
        }
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
