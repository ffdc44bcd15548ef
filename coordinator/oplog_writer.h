/* oplog_writer.h - the file of the log that is written now. Runs in libuv's pool. */
#ifndef COORDINATOR_OPLOG_WRITER_H
#define COORDINATOR_OPLOG_WRITER_H

#include <stdint.h>

#include "coordinator/oplog_record.h"

struct oplog_writer {
    const char *directory;
    int fd;
    uint64_t number;
    uint64_t written, synced; /* bytes in it, and those that were durable before this group */
    uint64_t room;            /* up to there it has zero bytes that are to be written over */
};

void oplog_writer_close(struct oplog_writer *w); /* accepts one without a file */
int oplog_writer_next(struct oplog_writer *w); /* goes on in a new file */
int oplog_writer_record(struct oplog_writer *w, struct oplog_record *r);
int oplog_writer_entry(struct oplog_writer *w, const struct oplog_entry *e, uint64_t epoch);
int oplog_writer_sync(struct oplog_writer *w);

/* After a failure: what was written since the last sync is nobody's, and gives its disk back. The file is closed; one with nothing
 * in it goes. */
void oplog_writer_take_back(struct oplog_writer *w);

#endif
