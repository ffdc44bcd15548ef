/* log_room.h - clients wait before the log is full, while somebody makes room in it.
 *
 *   above 7/8       of the quota, with what is on its way into the log: clients that write are not read from, until it
 *                   is 13/16 again, as long as one of these helps, asked in this order:
 *                     - what was applied is being told to the log
 *                     - operations wait, a worker is at work, and something was applied not too long ago
 *                     - the log carries over what pins its files (oplog_make_room)
 *                     - operations wait, and there was a worker a moment ago
 *   above it        operations are refused as busy, unless clients wait: what one of them had sent is still taken, a
 *                   session's READ_BUFFER
 */
#ifndef COORDINATOR_LOG_ROOM_H
#define COORDINATOR_LOG_ROOM_H

#include "coordinator/ingest_state.h"

int log_room_usable(const struct ingest *g);    /* as oplog_usable, with what is on its way */
bool log_room_is_short(const struct ingest *g); /* what is applied is to be told to the log at once */
void log_room_progressed(struct ingest *g);     /* operations were applied, or wait for a worker from now on */
bool log_room_has_come(struct ingest *g);       /* each turn of the loop. True: clients need not wait any longer */

#endif
