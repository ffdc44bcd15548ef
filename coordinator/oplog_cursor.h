/* oplog_cursor.h - records of one stream in a file, read again while the log is in use. Runs in libuv's pool. */
#ifndef COORDINATOR_OPLOG_CURSOR_H
#define COORDINATOR_OPLOG_CURSOR_H

#include <stdint.h>

#include "coordinator/oplog_record.h"

struct oplog_cursor {
    int fd; /* of the file, not owned */
    struct oplog_stream stream;
    uint64_t first, end; /* the numbers that are wanted */
    uint64_t at, to;     /* bytes of the file where they are */
    char *room;          /* OPLOG_MAX_PAYLOAD bytes: the payload of the record that was read last */
};

/* 1, 0 at the end, or negative; after ERR_CORRUPT what follows can still be read. */
int oplog_cursor_next(struct oplog_cursor *c, struct oplog_record *out);

#endif
