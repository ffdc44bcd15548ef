/* held.h - the memory of batch regions: one budget for all, counted as the kernel does.
 *
 *   above 3/4       regions that are in the log and wait for a worker are dropped, to 1/2: those of streams that stand
 *                   still first, then the youngest, which will run last, small ones at the very end
 *   above 7/8       clients that write are not read from, until it is 3/4 again
 *   log above 1/2   of its quota while regions are dropped: likewise, so that a fast client waits and is not refused
 *   log behind      by four of its groups while it is hurried (oplog.h): likewise, so that a small one does not wait for all
 *                   that a fast client has sent
 *   log short       of room, and some is coming: log_room.h
 *
 * What was dropped is read from the log again when a job wants it. Documents that are being received count, and cannot be
 * dropped: where they alone hold everything up, some are refused. */
#ifndef COORDINATOR_HELD_H
#define COORDINATOR_HELD_H

#include <stddef.h>

#include "coordinator/ingest_state.h"

void held_init(struct ingest *g);
void held_opened(struct load *l);
void held_grown(struct load *l, size_t used); /* bytes of its region that were written */
void held_made(struct load *l);               /* until it is logged there is staging memory beside its region */
void held_logged(struct load *l);             /* it may be dropped when it is queued */
void held_closed(struct load *l);             /* its region is gone for good */

bool held_has_backlog(const struct ingest *g); /* something in the log waits for a worker, or is with one */

void held_check(struct ingest *g); /* each turn of the loop, when nobody is in the middle of anything */
void held_tick(struct ingest *g);  /* every so often */

void held_want(struct bundle *b, void *load); /* bundle.on_wanted: it is read at the end of the turn */

#endif
