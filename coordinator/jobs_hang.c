#include "coordinator/jobs_state.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/logger.h"

/* A worker says which operation it has in hand. One that stays with the same for too long is ended; its death is blamed
 * on that operation, as a crash would be. What belongs to no single operation, writing, merging, committing, takes the
 * time it takes. */

enum { LOOKS = 4 /* within the limit */, LEAST_MS = 100 };

static void kill_hanging(struct job *job)
{
    log_warn("killing a worker that is at one document for too long job=%llu index=%s sequence=%llu pid=%d",
             (unsigned long long)job->number, job->stream->index->name, (unsigned long long)job->in_hand, job->pid);
    job->timed_out = true;
    syscall(SYS_pidfd_send_signal, job->pidfd, SIGKILL, NULL, 0);
}

static void look_at(struct job *job, uint64_t now, uint64_t limit_ms)
{
    const struct last_words *w = job_words(job);
    uint64_t sequence = w->stage == STAGE_INDEXING ? w->sequence : 0;
    if (sequence != job->in_hand) {
        job->in_hand = sequence;
        job->in_hand_since = now;
    } else if (sequence && job->pidfd >= 0 && !job->timed_out && now - job->in_hand_since >= limit_ms) {
        kill_hanging(job);
    }
}

void hang_check(struct jobs *j)
{
    uint64_t now = uv_now(j->to.loop), limit_ms = j->to.config->worker_timeout * 1000;
    if (!limit_ms || !j->running)
        return;
    for (struct job *job = j->running; job; job = job->next)
        look_at(job, now, limit_ms);
    jobs_wake_at(j, now + (limit_ms / LOOKS > LEAST_MS ? limit_ms / LOOKS : LEAST_MS));
}
