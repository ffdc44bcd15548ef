/* oplog_carry.h - what a stuck stream still needs of an old file goes over to the newest one, so that it pins nothing.
 *
 * A file is worth it if less than half of it is needed, and only by streams that have not moved while much was written,
 * or by any when there is need. Records are copied as they are (numbers, stamps, tasks), an operation's fragments
 * together, a few MiB between two groups; the old file goes when the copies are durable. Where a kill leaves both,
 * operations are numbered. */
#ifndef COORDINATOR_OPLOG_CARRY_H
#define COORDINATOR_OPLOG_CARRY_H

#include "coordinator/oplog_cursor.h"
#include "coordinator/oplog_files.h"
#include "coordinator/oplog_writer.h"

struct carry;

/* Begins with the oldest file that is worth it; NULL: none is. `open` is the file that is written. */
struct carry *carry_begin(struct oplog_files *f, uint64_t open, uint64_t quota, bool in_need);

/* In the pool: a part of it. 0, or why it could not be written: then it is tried again. */
int carry_some(struct carry *c, struct oplog_writer *w);

/* In the loop, when that is durable. True: there is no more of it, and it is freed. */
bool carry_done(struct carry *c, struct oplog_files *f, const struct oplog_writer *w);

void carry_free(struct carry *c);

#endif
