/* ingest_trim.h - tasks go to the catalog, and only then the log is told that it may forget their records: after a kill
 * a task is known from the one or the other. Nobody waits for it. */
#ifndef COORDINATOR_INGEST_TRIM_H
#define COORDINATOR_INGEST_TRIM_H

#include "coordinator/ingest_state.h"

/* The stream's watermark has risen: with the next flush. */
void ingest_trim(struct ingest *g, struct stream *s);

/* Every so often, and at once where the log is short of room. */
void ingest_flush(struct ingest *g);

/* The log has been read: what it told of tasks is flushed, and `done` called when its files may go. */
void ingest_recovery_read(struct ingest *g, void (*done)(void *context), void *context);

#endif
