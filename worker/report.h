/* report.h - what a worker tells the coordinator on its lifeline: datagrams of at most 64 KiB. */
#ifndef WORKER_REPORT_H
#define WORKER_REPORT_H

#include "index/core.h"
#include "worker/job.h"

enum {
    REPORT_BYTES = 64 << 10,
    REPORT_REFUSALS = 60, /* in one datagram: id and message are at most 256 bytes each, a code 32 */
    REPORT_MESSAGE = 256,
    REPORT_CODE = 32,
};

/* BUILD: sent before the commit is reported; `generation` is the commit's. */
void report_refusals(struct worker *w, const struct core_refusal *refusals, size_t count, uint64_t generation);

/* BUILD, MERGE: what the job came to, and what core.mdb says now, in several reports if it is long. `applied` is empty
 * for a merge. */
void report_outcome(struct worker *w, bool committed, struct core_range applied, const struct core_view *view);

/* SURVEY: refusals as they come, then the state of that place; or why there is none. */
void report_surveyed_refusals(struct worker *w, const place_message *place, const struct core_refusal *refusals,
                              size_t count);
void report_surveyed(struct worker *w, const place_message *place, const struct core_view *view);
void report_survey_failed(struct worker *w, const place_message *place, int err);
void report_survey_end(struct worker *w);

/* BACKUP: a shard of an index is damaged, and copied as it is. */
void report_damaged(struct worker *w, const place_message *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
