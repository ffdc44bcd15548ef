/* editions.h - settings that change how documents are analyzed, or another number of shards: the index gets a new edition,
 * made from the stored documents of the one that answers, and in one transaction takes its place.
 *
 *   settings set -> index->coming, in the catalog -> passes (jobs_reanalyze.c) until little is left -> builds pause
 *   -> the last pass -> one transaction of the catalog: edition, settings, the task's end -> the old directories go
 *
 * Every edition is made with as many shards as new indexes have (reshard.h). Where the index has another number, operations
 * cannot go on in its streams: before builds pause, who writes to it waits, until all that is accepted is applied. Then the
 * numbers of the new streams begin with 1.
 *
 * Whatever ends before that transaction leaves the index as it was; after a restart the making begins again. */
#ifndef COORDINATOR_EDITIONS_H
#define COORDINATOR_EDITIONS_H

#include <stdbool.h>

#include "coordinator/server.h"

/* Begins to make the edition for index->coming, which is in the catalog, or for another number of shards alone. */
void editions_begin(struct server *s, struct index *i);

/* Before what a former life had not finished is said to be over, and when workers can be had again. */
void editions_keep_tasks(struct server *s);
void editions_resume(struct server *s);

/* Ends the making, if one is under way: the index stays as it is, and nothing is coming. The task ends as canceled.
 * Nothing is written to the catalog. */
void editions_cancel(struct server *s, struct index *i, const char *code, const char *why);

/* The transaction is on its way: until it is durable the index is neither the one nor the other. */
bool editions_is_switching(const struct index *i);

/* How far each is, told to its task. */
void editions_refresh(struct server *s);

/* Of one that is made: how many shards it has; what is done, a literal; how many documents it has. */
uint32_t editions_shards(const struct index *i);
const char *editions_stage(const struct index *i);
uint64_t editions_documents(const struct index *i);

/* The server stops: what is held back for a closed index goes its way. */
void editions_stop(struct server *s);
#endif
