/* oplog_read.h - operations of a stream again, wherever in the log they stand. */
#ifndef COORDINATOR_OPLOG_READ_H
#define COORDINATOR_OPLOG_READ_H

#include "coordinator/oplog_cursor.h"
#include "coordinator/oplog_files.h"

struct read_plan;

/* In the loop: opens the files that have the numbers. NULL: no memory or no descriptors. */
struct read_plan *read_plan_new(const struct oplog_files *f, const struct oplog_stream *s, struct range numbers);
void read_plan_free(struct read_plan *p);

/* In the pool: the operations, in order, to `to`; LOST ones for those that are damaged or nowhere. Their bytes, ERR_FULL
 * if there is no room, or -errno. */
int64_t read_plan_run(struct read_plan *p, char *to, size_t room, uint64_t *out_lost);

#endif
