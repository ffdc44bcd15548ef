#include "coordinator/jobs.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/check.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/logger.h"
#include "coordinator/jobs_state.h"

enum { REPORT_ROOM = 128 << 10, DIRECTORY_NEEDS = 16 << 10 };

/* --- what a stream has */

struct place stream_place(const struct stream *s)
{
    return (struct place){.index = s->index->number, .edition = s->index->edition, .shard = s->shard};
}

struct stream_jobs *stream_jobs_of(struct jobs *j, struct stream *s)
{
    (void)j;
    if (s->jobs)
        return s->jobs;
    struct stream_jobs *sj = calloc(1, sizeof *sj);
    require(sj);
    sj->stream = s;
    sj->waiting_end = &sj->waiting;
    s->jobs = sj;
    index_hold(s->index);
    return sj;
}

void stream_jobs_forget_suspects(struct stream_jobs *sj)
{
    for (struct suspect *next, *s = sj->suspects; s; s = next) {
        next = s->next;
        free(s);
    }
    sj->suspects = NULL;
}

void stream_jobs_free(struct stream_jobs *sj)
{
    struct index *index = sj->stream->index;
    stream_jobs_forget_suspects(sj);
    for (struct batch *next, *b = sj->batches; b; b = next) {
        next = b->next;
        free(b->skips);
        free(b);
    }
    sj->stream->jobs = NULL;
    free(sj);
    index_release(index);
}

static bool index_is_used(const struct index *i)
{
    for (uint32_t n = 0; n < i->shards; n++)
        if (i->streams[n].jobs)
            return true;
    return false;
}

/* Of an index that was dropped, or an edition that is not to be, when its last worker is gone. */
void jobs_released(struct jobs *j, struct stream_jobs *sj)
{
    if (!sj->forgotten || sj->running || sj->fetching)
        return;
    struct index *index = sj->stream->index;
    index_hold(index);
    stream_jobs_free(sj);
    if (!index_is_used(index) && index->is_edition)
        removal_edition(j->removal, index->number, index->edition, REMOVAL_GRACE_MS);
    else if (!index_is_used(index))
        removal_index(j->removal, index->number, REMOVAL_GRACE_MS);
    index_release(index);
}

/* The path down to a stream, durable before a worker relies on it. */
static int make_directories(const struct jobs *j, const struct stream *s)
{
    char path[PATH_MAX], parent[PATH_MAX];
    const struct index *i = s->index;
    snprintf(parent, sizeof parent, "%s", j->to.directory);
    const uint32_t parts[] = {0, i->number, i->edition, s->shard};
    for (size_t n = 0; n < sizeof parts / sizeof parts[0]; n++) {
        int length = n == 0 ? snprintf(path, sizeof path, "%s/indexes", parent)
                            : snprintf(path, sizeof path, "%s/%u", parent, parts[n]);
        if (length >= (int)sizeof path)
            return -ENAMETOOLONG;
        if (mkdir(path, 0750) < 0 && errno != EEXIST)
            return -errno;
        int err = fd_sync_directory(parent);
        if (err)
            return err;
        snprintf(parent, sizeof parent, "%s", path);
    }
    return 0;
}

bool jobs_has_directory(const struct jobs *j, struct stream_jobs *sj)
{
    if (sj->has_directory)
        return true;
    int err = make_directories(j, sj->stream);
    if (err && !disk_is_lacked(j->to.disk, DISK_CATALOG, err, DIRECTORY_NEEDS, "indexes"))
        log_error("cannot make the directory of an index, trying again index=%s: %s", sj->stream->index->name,
                  err_str(err));
    sj->has_directory = err == 0;
    return sj->has_directory;
}

/* --- what is reported */

static void on_dropped(void *context, struct stream *s, uint64_t segment)
{
    struct jobs *j = context;
    removal_segment(j->removal, s, segment, REMOVAL_GRACE_MS);
}

/* Segment files of workers that died while they committed: those that a later state does not name are nobody's. */
static void judge_suspects(struct job *job, struct stream *s)
{
    for (struct suspect **at = &s->jobs->suspects; *at;) {
        struct suspect *judged = *at;
        if (judged->after > job->number || job->state.generation < s->generation) {
            at = &judged->next;
            continue;
        }
        if (!core_state_names(&job->state, judged->id))
            removal_segment(job->jobs->removal, s, judged->id, 0);
        *at = judged->next;
        free(judged);
    }
}

void jobs_take_state_of(struct job *job, struct stream *s)
{
    core_state_take(&job->state, s, on_dropped, job->jobs);
    judge_suspects(job, s);
    core_state_finish(&job->state);
}

/* A state that was too long to be sent leaves the picture of segments as it was. */
void jobs_take_state(struct job *job)
{
    if (job->state.generation)
        jobs_take_state_of(job, job->stream);
    else if (job_words(job)->generation > job->stream->generation)
        job->stream->generation = job_words(job)->generation;
}

void jobs_nudge(const struct jobs *j, const struct stream *s)
{
    if (j->shards)
        shards_nudge(j->shards, s->shard, s->index->number, s->index->edition, s->generation);
}

/* --- slots */

static size_t index_running(const struct index *i)
{
    size_t sum = 0;
    for (uint32_t n = 0; n < i->shards; n++)
        sum += i->streams[n].jobs ? i->streams[n].jobs->running : 0;
    return sum;
}

/* In this order, but that builds and re-analysis take turns. The last pass of a re-analysis, for which builds pause, may
 * have any slot, and so may folds, which are small: while bulk builds have the others, images would become too many, and
 * each update a file. A merge that is overdue comes even before small bundles, which always have a slot that is free of it. */
enum want { WANT_LAST_PASS, WANT_FOLD, WANT_PRESSING, WANT_SMALL, WANT_REANALYSIS, WANT_BUILD, WANT_MERGE, WANTS };

static bool wants(const struct jobs *j, const struct stream_jobs *sj, enum want what)
{
    switch (what) {
    case WANT_SMALL:
        return build_has_work(j, sj, true);
    case WANT_FOLD:
        return merge_has_fold(j, sj);
    case WANT_PRESSING:
        return merge_is_pressing(sj) && merge_has_work(j, sj);
    case WANT_BUILD:
        return build_has_work(j, sj, false);
    case WANT_MERGE:
        return merge_has_work(j, sj);
    case WANT_LAST_PASS:
    case WANT_REANALYSIS:
    case WANTS:
        break;
    }
    return false;
}

/* Fair between indexes: the one with the fewest workers, then the stream that waited longest. */
static struct stream_jobs *pick(const struct jobs *j, enum want what)
{
    struct stream_jobs *best = NULL;
    size_t fewest = SIZE_MAX;
    for (const struct index *i = j->to.indexes->first; i; i = i->next) {
        size_t running = index_running(i);
        for (uint32_t n = 0; n < i->shards; n++) {
            struct stream_jobs *sj = i->streams[n].jobs;
            if (!sj || running > fewest || (running == fewest && best && sj->served >= best->served) ||
                !wants(j, sj, what))
                continue;
            best = sj;
            fewest = running;
        }
    }
    return best;
}

static bool start(struct jobs *j, struct stream_jobs *sj, enum want what)
{
    sj->served = ++j->served;
    if (!jobs_has_directory(j, sj)) {
        jobs_wake_at(j, uv_now(j->to.loop) + 1000);
        return false;
    }
    return what == WANT_SMALL || what == WANT_BUILD ? build_start(j, sj, what == WANT_SMALL) : merge_start(j, sj);
}

static bool start_wanted(struct jobs *j, enum want what, bool room)
{
    if (what == WANT_LAST_PASS)
        return reanalyze_start(j, true);
    if (!room && what != WANT_SMALL && what != WANT_FOLD)
        return false;
    if (what == WANT_REANALYSIS) {
        bool turn = !j->reanalyzed || !pick(j, WANT_BUILD);
        j->reanalyzed = turn && reanalyze_start(j, false);
        return j->reanalyzed;
    }
    struct stream_jobs *sj = pick(j, what);
    return sj && start(j, sj, what);
}

/* A failed start puts its work off or ends it, so that the loop over what is wanted ends too. */
static bool start_one(struct jobs *j)
{
    if (j->running_count + j->fetching_count >= j->slots)
        return false;
    if (!j->surveyed)
        return survey_start(j);
    if (!j->shards)
        return false;
    /* The last slot is kept for small bundles. */
    bool room = j->bulk_count + 1 < j->slots;
    for (enum want what = WANT_LAST_PASS; what < WANTS; what++)
        if (start_wanted(j, what, room))
            return true;
    return false;
}

static void wake_at_later(struct jobs *j, uint64_t when)
{
    if (when != UINT64_MAX && when > uv_now(j->to.loop))
        jobs_wake_at(j, when);
}

static void wake_for_retries(struct jobs *j)
{
    wake_at_later(j, reanalyze_next_time(j));
    wake_at_later(j, standby_next_time(j));
    for (const struct index *i = j->to.indexes->first; i; i = i->next)
        for (uint32_t n = 0; n < i->shards; n++)
            if (i->streams[n].jobs)
                wake_at_later(j, build_next_time(i->streams[n].jobs));
}

static void check_stopped(struct jobs *j)
{
    if (!j->stopping || j->running || !j->stopped)
        return;
    jobs_done *stopped = j->stopped;
    j->stopped = NULL;
    uv_timer_stop(&j->timer);
    stopped(j->stopped_context, 0, NULL);
}

void jobs_dispatch(struct jobs *j)
{
    if (j->stopping) {
        backup_drop_waiting(j);
        check_stopped(j);
        return;
    }
    if (j->to.nursery->child.state != CHILD_READY)
        return;
    backup_start_waiting(j);
    while (start_one(j))
        continue;
    wake_for_retries(j);
    reanalyze_tell(j);
    pause_tell(j);
}

static void on_timer(uv_timer_t *timer)
{
    struct jobs *j = timer->data;
    if (j->stopping && uv_now(j->to.loop) >= j->kill_at) {
        if (j->running)
            log_warn("killing %zu workers that have not ended in time", j->running_count);
        for (struct job *job = j->running; job; job = job->next)
            job_kill(job);
    }
    hang_check(j);
    standby_check(j);
    jobs_dispatch(j);
}

void jobs_wake_at(struct jobs *j, uint64_t when)
{
    uint64_t now = uv_now(j->to.loop), in = when > now ? when - now : 0;
    if (j->stopping || (uv_is_active((uv_handle_t *)&j->timer) && uv_timer_get_due_in(&j->timer) <= in))
        return;
    uv_timer_start(&j->timer, on_timer, in, 0);
}

/* --- the public face */

int jobs_open(const struct jobs_options *o, struct jobs **out)
{
    struct jobs *j = calloc(1, sizeof *j);
    require(j);
    j->to = *o;
    j->slots = config_workers(o->config);
    j->next_number = 1;
    j->buffer = malloc(REPORT_ROOM);
    require(j->buffer);
    int err = uv_timer_init(o->loop, &j->timer);
    if (err)
        return err;
    j->timer.data = j;
    j->removal = removal_create(o->loop, o->directory);
    *out = j;
    return 0;
}

void jobs_set_shards(struct jobs *j, struct shards *s)
{
    j->shards = s;
    jobs_dispatch(j);
}

bool jobs_are_idle(const struct jobs *j)
{
    return removal_is_idle(j->removal) && !j->standby.making;
}

static void on_closed(uv_handle_t *handle)
{
    struct jobs *j = handle->data;
    free(j->buffer);
    free(j);
}

/* What waits is in the log, and its owner's to free. */
void jobs_close(struct jobs *j)
{
    require(!j->running);
    for (struct index *i = j->to.indexes->first; i; i = i->next)
        for (uint32_t n = 0; n < i->shards; n++)
            if (i->streams[n].jobs)
                stream_jobs_free(i->streams[n].jobs);
    removal_destroy(j->removal);
    uv_close((uv_handle_t *)&j->timer, on_closed);
}

/* With another cap, merges may be as large as they like again. */
static void forget_merge_limits(struct jobs *j)
{
    for (struct index *i = j->to.indexes->first; i; i = i->next)
        for (uint32_t n = 0; n < i->shards; n++)
            if (i->streams[n].jobs)
                i->streams[n].jobs->merge_most = 0;
}

void jobs_reconfigured(struct jobs *j)
{
    j->slots = config_workers(j->to.config);
    forget_merge_limits(j);
    standby_end(j); /* it may take what workers might before */
    hang_check(j);
    jobs_dispatch(j);
}

void jobs_build(struct jobs *j, struct bundle *b)
{
    /* What the log still had in hand when its index was dropped: nobody would come to fetch it. */
    struct stream_jobs *sj = b->stream->index->dropped ? NULL : stream_jobs_of(j, b->stream);
    b->next = NULL;
    if (!sj || sj->forgotten) {
        b->state = BUNDLE_APPLIED;
        b->on_applied(b, b->context);
        return;
    }
    b->state = BUNDLE_QUEUED;
    *sj->waiting_end = b;
    sj->waiting_end = &b->next;
    if (sj->queued_end < b->end)
        sj->queued_end = b->end;
    j->has_built = true;
}

void jobs_start_built(struct jobs *j)
{
    if (!j->has_built)
        return;
    j->has_built = false;
    jobs_dispatch(j);
}

static void forget_stream(struct jobs *j, struct stream *s)
{
    struct stream_jobs *sj = stream_jobs_of(j, s);
    sj->forgotten = true;
    for (struct job *job = j->running; job; job = job->next)
        if (job->stream == s)
            job_kill(job);
    build_drop_waiting(sj);
    merge_drop_waiting(sj, ERR_CLOSED, "the index was dropped");
    jobs_released(j, sj);
}

void jobs_forget(struct jobs *j, struct index *gone)
{
    index_hold(gone);
    if (j->shards)
        shards_forget(j->shards, gone->number, gone->edition);
    for (uint32_t n = 0; n < gone->shards; n++) /* all first: the directory goes with the last one */
        stream_jobs_of(j, &gone->streams[n]);
    for (uint32_t n = 0; n < gone->shards; n++)
        forget_stream(j, &gone->streams[n]);
    index_release(gone);
}

void jobs_stop(struct jobs *j, uint64_t limit_ms, jobs_done *done, void *context)
{
    j->stopped = done;
    j->stopped_context = context;
    j->kill_at = uv_now(j->to.loop) + limit_ms;
    uv_timer_start(&j->timer, on_timer, limit_ms, 100);
    j->stopping = true;
    standby_end(j);
    for (struct job *job = j->running; job; job = job->next)
        if (job->kind == &job_reanalyze)
            job_kill(job); /* the next life begins it again */
    check_stopped(j);
}

uint64_t jobs_exits(const struct jobs *j, enum exit_reason reason)
{
    return reason < EXIT_REASONS ? j->exits[reason] : 0;
}

const struct worker_counts *jobs_worker_counts(const struct jobs *j)
{
    return &j->workers;
}

size_t jobs_removals(const struct jobs *j, uint64_t *out_due_ms)
{
    return removal_waiting(j->removal, out_due_ms);
}

void jobs_hold_removals(struct jobs *j, bool hold)
{
    if (hold)
        removal_hold(j->removal);
    else
        removal_release(j->removal);
}

size_t jobs_running(const struct jobs *j)
{
    return j->running_count;
}

void jobs_visit(const struct jobs *j, jobs_worker_visitor *visit, void *context)
{
    for (const struct job *job = j->running; job; job = job->next)
        if (job->pid)
            visit(context, &(struct worker_view){job->pid, job->kind->name, job->stream, job_words(job)});
}
