/* jobs_state.h - jobs from the inside.  Used by jobs*.c; main.c opens them.
 *
 *   jobs.c         slots, fairness, the public face
 *   jobs_start.c   the beginning of a worker's run: message, group, ticket
 *   jobs_standby.c the worker that is forked ahead of a single update
 *   jobs_run.c     reports of a worker, and its end
 *   jobs_batch.c   bundles to batches
 *   jobs_build.c   workers for batches, and what the end of a run means for them (job_policy.c)
 *   jobs_merge.c   merges (merge_policy.c) and optimize
 *   jobs_reanalyze.c  passes of a re-analysis
 *   jobs_edition.c    pauses for the last of them, and the edition that it made
 *   jobs_survey.c  the survey at start
 *   jobs_backup.c  parts of a backup
 *   jobs_hang.c    workers that come to no end with one document */
#ifndef COORDINATOR_JOBS_STATE_H
#define COORDINATOR_JOBS_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "common/buf.h"
#include "common/fd.h"
#include "common/region.h"
#include "coordinator/cap.h"
#include "coordinator/catalog.h"
#include "coordinator/config.h"
#include "coordinator/core_state.h"
#include "coordinator/disk.h"
#include "coordinator/job_policy.h"
#include "coordinator/jobs.h"
#include "coordinator/merge_policy.h"
#include "coordinator/nursery.h"
#include "coordinator/removal.h"
#include "coordinator/shards.h"
#include "coordinator/watch.h"
#include "proto/message.h"

/* ---- for main.c */

struct jobs_callbacks {
    /* Refusals that a survey found: of operations applied in a former life. */
    void (*on_old_refusals)(void *context, const struct refusal *refused, size_t count);
    void *context;
};

struct jobs_options {
    uv_loop_t *loop;
    const struct config *config;
    struct indexes *indexes;
    struct catalog *catalog;
    struct nursery *nursery;
    struct cap *cap;       /* NULL: workers have no groups */
    struct disk *disk;     /* that is told what workers lack; NULL: none */
    const char *directory; /* of the data */
    struct jobs_callbacks callbacks;
};

int jobs_open(const struct jobs_options *o, struct jobs **out);
void jobs_set_shards(struct jobs *j, struct shards *s);       /* builds and merges wait for it */
void jobs_reconfigured(struct jobs *j);                       /* after a reload */
void jobs_events(struct jobs *j, struct nursery_events *out); /* what the nursery is to call */
bool jobs_are_idle(const struct jobs *j);                     /* nothing of theirs is in libuv's pool */
void jobs_close(struct jobs *j); /* after jobs_stop has called back; the loop runs once more after it */

/* ---- between the parts */

struct job;

/* What a kind of job does with its run. */
struct job_kind {
    const char *name;
    Mayfly__Internal__Job__Kind kind;
    void (*fill)(struct job *job, Mayfly__Internal__Job *message); /* its memory goes to job->scratch */
    uint64_t (*writes)(const struct job *job);                     /* bytes, at most; NULL: next to nothing */
    void (*reported)(struct job *job, const Mayfly__Internal__JobReport *report);
    void (*ended)(struct job *job, const struct death *death); /* the run is over; NULL after a good end */
    uint64_t memory;                                           /* of the worker; 0: worker-memory */
    bool beside;                                               /* it takes no slot from others */
};
extern const struct job_kind job_build, job_merge, job_reanalyze, job_survey, job_backup, job_standby;

struct job { /* one worker's run */
    struct job *next;
    struct jobs *jobs;
    const struct job_kind *kind;
    struct stream *stream; /* NULL: survey */
    uint64_t number;
    uint64_t segment; /* that it was to write; 0: none */
    bool small;
    bool writes_memory; /* wherever the data is */

    bool has_group; /* that is to be removed */
    uint64_t limit; /* of it */
    int entrance;   /* to it, until the worker has it */
    struct region words;
    struct watch *lifeline;
    int pid, pidfd;
    pid_t orphaned; /* the process group of its nursery, which is dead; 0: it lives */
    bool lost;      /* its nursery is dead: the end of its lifeline is its end */
    bool cancelled; /* it was killed by us */
    bool timed_out; /* and for that */
    uint64_t in_hand, in_hand_since; /* the operation, and from what loop time on */
    uint64_t last_word_us; /* when it reported, or was killed; 0: never */
    bool committed, superseded;
    struct core_state state; /* parts that came so far */

    struct batch *batch;         /* build */
    struct survey_part *part;    /* survey */
    struct reanalysis *reanalysis;
    struct backup_run *backup;   /* backup */
    uint64_t inputs[MERGE_MOST]; /* merge */
    size_t input_count;
    bool whole;       /* merge: of all segments that there were */
    bool fold;        /* merge: of small images to one */
    void *scratch[4]; /* of fill(): freed when the message is packed */
};

struct skip { /* a quarantined operation */
    uint64_t sequence;
    const char *code; /* a literal */
    char message[256];
};

/* Bundles of rising numbers that one worker after the other applies; those of others may stand between. */
struct batch {
    struct batch *next;
    struct stream_jobs *of;
    struct bundle *bundles; /* what is applied of them has been given back */
    size_t bundle_count;
    struct attempt attempt;
    struct skip *skips;
    size_t skip_count;
    uint64_t not_before; /* loop time */
    uint64_t gathers_until; /* loop time: small bundles that come before it wait for its commit; 0: for nothing */
    unsigned stuck;      /* times that a commit was superseded and nothing was applied */
    bool small, running;
    bool lacks_disk; /* its last worker did */
    bool fetching; /* a slot is its, but regions must be read from the log first */
};

struct optimize {
    struct optimize *next;
    uint64_t after; /* sequence number: everything below it is applied first */
    jobs_done *done;
    void *context;
};

struct suspect { /* a segment id whose worker died and may or may not have committed */
    struct suspect *next;
    uint64_t id, after; /* jobs from that number on began after the death */
};

struct stream_jobs {
    struct stream *stream;
    struct bundle *waiting, **waiting_end;
    struct batch *batches; /* begun: running, or waiting for another try */
    unsigned running;      /* jobs */
    unsigned merging;
    unsigned fetching; /* batches */
    uint64_t queued_end; /* highest sequence number ever queued, plus one */
    uint64_t served;     /* when it last got a slot */
    struct optimize *optimizing;
    struct suspect *suspects;
    uint64_t merge_not_before; /* loop time */
    unsigned merge_failures;
    size_t merge_most; /* inputs, after a merge hit the cap; 0: no limit */
    bool has_directory, forgotten;
};

struct standby {
    struct job *job;    /* whose worker waits; NULL: none does */
    uint64_t needed_at; /* loop time: when the last small job began; 0: there was none */
    struct job *making; /* whose group is being made, in the pool */
    bool is_wanted;     /* when it is */
    int err;
    uv_work_t work;
};

struct jobs {
    struct jobs_options to;
    struct shards *shards; /* NULL until they are there */
    struct removal *removal;
    uv_timer_t timer;
    struct job *running;
    size_t slots; /* config_workers(), which asks the kernel */
    size_t running_count, bulk_count; /* in slots; bulk: with those that are being fetched */
    size_t fetching_count;            /* batches */
    uint64_t next_number, served;
    uint64_t exits[EXIT_REASONS];
    struct worker_counts workers;
    bool has_built; /* jobs_start_built has something to look at */
    bool surveyed, stopping;
    struct survey *survey;
    struct standby standby;
    struct backup_run *backup; /* that waits for its worker */
    struct reanalysis *reanalyses;
    bool reanalyzed; /* the last bulk job was of a re-analysis: a build has its turn */
    struct pausing *pausing;
    jobs_done *stopped;
    void *stopped_context;
    uint64_t kill_at; /* loop time, while stopping */
    char *buffer;     /* for one report */
};

/* jobs.c */
struct stream_jobs *stream_jobs_of(struct jobs *j, struct stream *s);
void stream_jobs_free(struct stream_jobs *sj);
void stream_jobs_forget_suspects(struct stream_jobs *sj);
bool jobs_has_directory(const struct jobs *j, struct stream_jobs *sj); /* made, if need be */
void jobs_dispatch(struct jobs *j);
void jobs_wake_at(struct jobs *j, uint64_t when);           /* loop time */
void jobs_released(struct jobs *j, struct stream_jobs *sj); /* after a job of the stream ended: may free it */
void jobs_take_state(struct job *job);                      /* the whole job->state into its stream */
void jobs_take_state_of(struct job *job, struct stream *s);
void jobs_nudge(const struct jobs *j, const struct stream *s);

/* jobs_run.c */
struct job *job_new(struct jobs *j, const struct job_kind *kind, struct stream *s);
void job_free(struct job *job);
void job_kill(struct job *job);
const struct last_words *job_words(const struct job *job);
void job_on_lifeline(void *job);
void job_unlink(struct job *job);
void job_count_slot(const struct job *job, int change);

/* jobs_start.c: 0 or -EAGAIN, ...: nothing has happened. Takes over the job on success. */
int job_start(struct job *job);
int job_make_group(struct job *job); /* before, and in the pool if need be */
void job_start_failed(int err); /* logs it, but not that the nursery is just being replaced */
struct buf job_message(struct job *job); /* that says what to do; buf_finish */
size_t job_regions(const struct job *job, int *fds); /* how many; they stay the bundles' */
uint64_t job_memory(const struct job *job); /* bytes that its worker may take of its own, and */
uint64_t job_limit(const struct job *job);  /* its group in all */

/* jobs_standby.c */
void standby_after(const struct job *begun); /* a small build: where they follow each other, the next one's worker is forked meanwhile */
bool standby_take(struct job *job);         /* the one that waits is told the job, and is its worker; false: there is none that fits */
void standby_end(struct jobs *j);
void standby_check(struct jobs *j); /* nothing has come for it */
uint64_t standby_next_time(const struct jobs *j); /* as build_next_time */

/* jobs_batch.c */
void bundle_give_back(struct bundle *b); /* applied */
bool bundle_is_ready(const struct bundle *b, bool small_only, bool gathering);
struct bundle **bundles_first_ready(struct stream_jobs *sj, bool small_only, bool gathering);
uint64_t batches_gather_until(const struct stream_jobs *sj); /* loop time: small bundles wait for a commit; 0: for nothing */
bool batches_gather(const struct jobs *j, const struct stream_jobs *sj);
struct batch *batch_make(struct jobs *j, struct stream_jobs *sj, struct bundle **at); /* of those that wait, from there on */
void batch_give_back_applied(struct batch *batch);
uint64_t batch_next_of(const struct batch *batch, uint64_t n, bool unapplied);
void batch_step_over_applied(struct batch *batch);
void batch_finish(struct batch *batch); /* frees it */

/* jobs_build.c */
bool build_start(struct jobs *j, struct stream_jobs *sj, bool small_only); /* true: a worker was started */
bool build_has_work(const struct jobs *j, const struct stream_jobs *sj, bool small_only);
void build_drop_waiting(struct stream_jobs *sj);
uint64_t build_next_time(const struct stream_jobs *sj); /* when one may run that may not yet; UINT64_MAX: none waits */
void job_fill_skips(struct job *job, Mayfly__Internal__Job *m, const struct skip *skips, size_t count);
void job_quarantine(const struct job *job, struct attempt *a, struct skip **skips, size_t *count, const char *code,
                    const struct death *d); /* the operation that the attempt is at */

/* jobs_merge.c */
bool merge_start(struct jobs *j, struct stream_jobs *sj);
bool merge_has_work(const struct jobs *j, const struct stream_jobs *sj);
bool merge_has_fold(const struct jobs *j, const struct stream_jobs *sj); /* of images: small, and new ones wait for it */
bool merge_is_pressing(const struct stream_jobs *sj);
void merge_drop_waiting(struct stream_jobs *sj, int err, const char *why);
void merge_check_optimized(struct stream_jobs *sj);

/* jobs_reanalyze.c */
bool reanalyze_start(struct jobs *j, bool last); /* true: a worker was started, or a pass has ended without */
void reanalyze_tell(struct jobs *j);                /* of passes that are over */
uint64_t reanalyze_next_time(const struct jobs *j); /* as build_next_time */

/* jobs_edition.c */
void pause_tell(struct jobs *j);

/* jobs_backup.c */
void backup_start_waiting(struct jobs *j);
void backup_drop_waiting(struct jobs *j);

/* Fills `survey` of a message with places; two blocks go to job->scratch. */
void job_fill_places(struct job *job, Mayfly__Internal__Job *m, const struct place *places, size_t count);

/* jobs_hang.c */
void hang_check(struct jobs *j); /* when a job has begun, and whenever it asks for it through the timer */

/* jobs_survey.c */
bool survey_start(struct jobs *j); /* true: a worker was started */

#endif
