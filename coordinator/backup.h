/* backup.h - a backup of the running server, into a directory of its own.
 *
 *   hold       from here on nothing is unlinked, no segment and no file of the log, and in the catalog no task gets further
 *              (tasks_hold): what it does now may be missing in the copies of core.mdb
 *   a worker   makes the directory and copies each core.mdb: what is not applied there stands in the log
 *   the log    goes on in a new file; the pool links those before it, and copies the catalog after that: of the numbers
 *              (stamps, segments) that the copies speak of it knows that they are given
 *   a worker   links the segments that the copies of core.mdb name
 *   a worker   writes the manifest
 *   release
 *
 * Whatever was acknowledged before it began is in it, and more: it is the server as a kill between two of these lines
 * would have left it. Links cost nothing; to another file system all is copied. Where an index is damaged its files are copied
 * as they are, and it is named in the manifest and to whoever asked: all the rest is in the backup, whole. */
#ifndef COORDINATOR_BACKUP_H
#define COORDINATOR_BACKUP_H

#include <stdbool.h>

#include "coordinator/server.h"

struct backup;

/* `code` NULL: it is whole; CODE_BACKUP_DAMAGED: it is, but for what was damaged before; CODE_BACKUP_FAILED. */
typedef void backup_done(void *context, const char *code, const char *why);

/* False: another is being made, or an index gets a new edition at this moment. */
bool backup_start(struct server *s, const char *directory, backup_done *done, void *context);

/* No index may get another edition: the copies of core.mdb are of the one, and the catalog that is copied must be, too. */
bool backup_holds_editions(const struct server *s);

bool backup_is_idle(const struct server *s); /* nothing of it is in libuv's pool */

#endif
