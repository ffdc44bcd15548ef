/* job.h - one worker's life: what it holds, and the job it does. */
#ifndef WORKER_JOB_H
#define WORKER_JOB_H

#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "index/analyzer.h"
#include "index/segment.h"
#include "proto/last_words.h"
#include "proto/message.h"
#include "worker/nursery.h"

typedef Mayfly__Internal__Job job_message;
typedef Mayfly__Internal__Place place_message;

enum { PLACE_PATH_MAX = 64 };

struct worker {
    struct analysis *analysis; /* loaded by the nursery */
    struct last_words *words;
    int lifeline;
    const int *regions;
    size_t region_count;
    const job_message *job;
    struct arena scratch; /* rewound for each document */
    size_t transaction;   /* bytes LMDB may hold before a commit */
};

/* In a forked child: does the job of the ticket and exits. `analysis` is the nursery's context. */
_Noreturn void job_work(void *analysis, struct ticket *ticket);

/* Directory of a shard of an index, relative to the data directory. */
void job_place_path(const place_message *place, char out[PLACE_PATH_MAX]);

/* Dies unless err is 0, with the reason that the code stands for. */
void job_must(const struct worker *w, int err, const char *what);

/* Dies of what a segment file is found to be. */
_Noreturn void job_die_damaged(const struct worker *w, int err, const struct segment_fault *fault);

/* A block of the scratch arena: dies at its cap, as malloc does. */
void *job_scratch(struct worker *w, size_t count, size_t size);
_Noreturn void job_scratch_full(struct worker *w);

/* What is quarantined; NULL: it is not. */
const Mayfly__Internal__Skip *job_find_skip(const job_message *job, uint64_t sequence);

/* What each kind of job does; returning is success. */
typedef enum exit_reason job_kind(struct worker *w);
job_kind survey_run, build_run, merge_run, reanalyze_run, backup_run;

#endif
