/* jobs_state.h - jobs from the inside.  Used by jobs*.c and stats.c. */
#ifndef COORDINATOR_JOBS_STATE_H
#define COORDINATOR_JOBS_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "common/region.h"
#include "coordinator/catalog.h"
#include "coordinator/config.h"
#include "coordinator/jobs.h"
#include "coordinator/nursery.h"
#include "coordinator/shards.h"
#include "proto/message.h"

enum job_kind { JOB_SURVEY, JOB_BUILD, JOB_MERGE };

struct skip { /* a quarantined operation */
    uint64_t sequence;
    const char *code; /* a literal */
    char message[256];
};

/* One piece of work; it may take several workers: a retired one has a successor, a dead one is tried again. */
struct job {
    struct job *next; /* among the running, or waiting for their next attempt */
    struct jobs *jobs;
    enum job_kind kind;
    uint64_t id; /* of the present attempt: a new one each time */

    struct stream *stream;  /* BUILD, MERGE */
    struct bundle *bundles; /* BUILD: by sequence, contiguous; those that are applied are taken off */
    uint64_t first;         /* BUILD: the first that is not applied yet */
    uint64_t end, stop;     /* of the bundles; of this attempt */
    bool small;
    uint64_t inputs[64]; /* MERGE */
    size_t input_count;
    uint32_t shard; /* SURVEY */

    struct skip *skips;
    size_t skip_count;
    unsigned killed;   /* attempts in a row that somebody else ended */
    unsigned failures; /* attempts in a row that could not write, or found damage */

    /* The attempt. */
    bool running;
    int pid, pidfd, lifeline;
    struct region words;
    uv_poll_t *poll; /* of the lifeline; freed in its close callback */
    bool committed, superseded, ended;
    bool reaped, hung_up;
    int status;
    uint64_t segment;
    uv_timer_t *timer; /* until the next attempt; freed in its close callback */
};

/* An `index optimize`: waits until what was queued when it came is applied and one segment is left. */
struct optimize {
    struct optimize *next;
    struct stream *stream;
    uint64_t until; /* sequence number: everything below is to be applied first */
    jobs_done *done;
    void *context;
};

struct stream_jobs { /* of one stream */
    struct bundle *waiting; /* by sequence */
    unsigned building;
    bool merging;
    unsigned merge_failures;
};

struct doomed { /* a file that core.mdb does not name any more */
    struct doomed *next;
    uint64_t due_ms;
    char path[];
};

struct jobs_callbacks {
    /* Refusals that a survey found: of operations applied in a former life. */
    void (*on_old_refusals)(void *context, const struct refusal *refused, size_t count);
    void *context;
};

struct jobs {
    uv_loop_t *loop;
    const struct config *config;
    struct indexes *indexes;
    struct catalog *catalog;
    struct shards *shards; /* set once they exist */
    struct nursery *nursery;
    const char *directory;
    struct jobs_callbacks callbacks;

    struct job *running;
    uint64_t next_id;
    unsigned slots, used, used_large;
    uint32_t turn; /* index number that was served last */
    struct optimize *optimizes;
    struct doomed *doomed;
    uv_timer_t doom_timer;
    uint64_t exits[EXIT_REASONS];

    unsigned surveys_left;
    int survey_error;
    jobs_done *survey_done;
    void *survey_context;

    bool stopping;
    jobs_done *stop_done;
    void *stop_context;
    uv_timer_t stop_timer;
};

struct jobs_options {
    uv_loop_t *loop;
    const struct config *config;
    struct indexes *indexes;
    struct catalog *catalog;
    struct nursery *nursery;
    const char *directory; /* of the data */
    struct jobs_callbacks callbacks;
};

int jobs_open(const struct jobs_options *o, struct jobs **out);
void jobs_set_shards(struct jobs *j, struct shards *s);
void jobs_events(struct jobs *j, struct nursery_events *out); /* what the nursery is to call */

/* ---- between jobs.c (what runs when), job_run.c (one attempt), job_end.c (what an end means), survey.c, merges.c */

void jobs_schedule(struct jobs *j);      /* starts what may run now */
void jobs_after_attempt(struct jobs *j); /* a slot may be free, or the last one has stopped */

int job_start(struct job *job);                      /* a worker for the next attempt */
void job_finish_attempt(struct job *job);            /* lets go of what the attempt held */
bool job_pack(struct job *job, struct buf *out);     /* the Job message */
void job_take_report(struct job *job, const Mayfly__Internal__JobReport *report);
void job_attempt_ended(struct job *job);             /* the worker is gone, everything it said was read */
void job_again(struct job *job, uint64_t delay_ms);
void job_free(struct job *job);

void stream_take_state(struct jobs *j, struct stream *s, const Mayfly__Internal__CoreState *state);
void jobs_doom_segment(struct jobs *j, const struct stream *s, uint64_t segment);
void survey_take(struct job *job, const Mayfly__Internal__JobReport *report);
void survey_ended(struct job *job, bool worked);

/* A merge that should run now, or NULL. */
struct job *merge_next(struct jobs *j, bool only_asked_for);
void merges_check_optimizes(struct jobs *j);

#endif
