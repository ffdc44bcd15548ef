/* jobs.h - what workers are doing and what they will do next.
 *
 * Builds, merges and surveys become jobs; a job runs in one worker that the nursery forks. jobs.c knows what a death
 * means: retry, halve the batch, quarantine the one operation that kills workers. Slots are shared fairly between
 * indexes; one is kept for small bundles. */
#ifndef COORDINATOR_JOBS_H
#define COORDINATOR_JOBS_H

#include <stddef.h>
#include <stdint.h>

#include "coordinator/bundle.h"
#include "coordinator/index.h"
#include "proto/last_words.h"

struct jobs;

/* A logged bundle to be applied, with others that come in this turn of the loop: jobs_start_built. Bundles of one stream
 * may be applied in any order and several at once. */
void jobs_build(struct jobs *j, struct bundle *b);
void jobs_start_built(struct jobs *j); /* at the end of a turn */

/* What a bundle's on_wanted asked for: its region is there, or region.fd is still -1 and it will be asked for again. */
void jobs_fetched(struct jobs *j, struct bundle *b);

/* Merges every segment of the stream to one, after what is queued now is applied. */
typedef void jobs_done(void *context, int err, const char *why);
void jobs_optimize(struct jobs *j, struct stream *s, jobs_done *done, void *context);

/* Re-analysis: `to`, a stream of an edition that is being made, becomes equal to that of `from`, by one pass after the
 * other; or to what streams of `from` have of its slots, where there is another number of them. */
struct reanalysis;

struct reanalysis_callbacks {
    void (*on_refused)(void *context, const struct refusal *r); /* a document, with its stamp for a sequence number */
    void (*on_passed)(void *context, int err, const char *why); /* -ENOSPC, ERR_CORRUPT, ... */
    void *context;
};

struct reanalysis *jobs_reanalysis_open(struct jobs *j, struct index *from, struct stream *to,
                                        const struct reanalysis_callbacks *callbacks);
void jobs_reanalysis_close(struct reanalysis *r); /* ends its worker; nothing is called back any more */

/* `last`: nothing writes to `from` until it is over; then `to` also knows of its operations, if it goes on with them. */
void jobs_reanalysis_pass(struct reanalysis *r, bool last);
uint64_t jobs_reanalysis_differences(const struct reanalysis *r); /* that the pass dealt with */
uint64_t jobs_reanalysis_documents(const struct reanalysis *r);   /* in `to`, as far as it is known */

/* No build and no merge of the index begins; `done` when none runs. */
typedef void jobs_paused(void *context);
void jobs_pause(struct jobs *j, struct index *i, jobs_paused *done, void *context);
void jobs_resume(struct jobs *j, struct index *i); /* nothing is called back any more */

/* Of a paused index: its jobs go on with the edition, and the directories that it has now go after the grace. Where the
 * edition has another number of shards nothing waits that could go on. Before index_take_edition. */
void jobs_take_edition(struct jobs *j, struct index *i, struct index *edition);

/* Whether so much more would leave less than what updates and merges need. */
bool jobs_disk_is_short(const struct jobs *j, uint64_t bytes);

/* Reads all core.mdb at start: fills the streams, then calls back once. */
void jobs_survey(struct jobs *j, jobs_done *done, void *context);

/* A part of a backup into that directory (internal.proto: Job.backup), in a worker beside the slots, as
 * soon as there can be one. One at a time. */
struct place {
    uint32_t index, edition, shard;
};
enum { BACKUP_MEMORY = 32 << 20 }; /* of that worker */
enum { STANDBY_MEMORY = 4 << 20 }; /* of one that is forked ahead, until it has a job */
struct place stream_place(const struct stream *s);

enum backup_stage { BACKUP_CORES, BACKUP_SEGMENTS, BACKUP_MANIFEST };

struct backup_damage { /* a shard of an index whose files are copied as they are */
    struct place place;
    char *what; /* index, file and reason */
};

struct backup_part {
    const char *directory; /* these stay until `done` */
    const struct place *places;
    size_t place_count;
    const struct backup_damage *damages; /* more may be told meanwhile: */
    size_t damage_count;
    void (*on_damaged)(void *context, const struct place *place, const char *what); /* a file, and why */
    bool in_memory; /* what is written there is memory */
    enum backup_stage stage;
};
/* While it is under way `part` may change in what is damaged. */
void jobs_backup(struct jobs *j, const struct backup_part *part, jobs_done *done, void *context);

/* While a backup is made no segment and no index is unlinked. */
void jobs_hold_removals(struct jobs *j, bool hold);

/* No new job; `done` when the running ones have ended (they are killed after `limit_ms`). */
void jobs_stop(struct jobs *j, uint64_t limit_ms, jobs_done *done, void *context);

/* Cancels what an index that is dropped has waiting or running; its bundles are given back as applied. */
void jobs_forget(struct jobs *j, struct index *gone);

/* Whether some operations wait for room on the disk; and that there is some: they are tried again now. */
bool jobs_lack_disk(const struct jobs *j);
void jobs_try_again(struct jobs *j);

uint64_t jobs_exits(const struct jobs *j, enum exit_reason reason); /* since start */
size_t jobs_running(const struct jobs *j);

/* As removal_waiting() of removal.h. */
size_t jobs_removals(const struct jobs *j, uint64_t *out_due_ms);

struct worker_counts { /* since start */
    uint64_t started;
    uint64_t peak_last, peak_most;               /* bytes of arena */
    uint64_t teardown_last_us, teardown_most_us; /* from the last word until it was gone */
};
const struct worker_counts *jobs_worker_counts(const struct jobs *j);

/* Visits each running worker. */
struct worker_view {
    int pid;
    const char *kind;           /* "build", "merge", "reanalyze", "survey", "backup", "standby" */
    const struct stream *stream; /* NULL: survey */
    const struct last_words *words;
};
typedef void jobs_worker_visitor(void *context, const struct worker_view *w);
void jobs_visit(const struct jobs *j, jobs_worker_visitor *visit, void *context);

#endif
