/* oplog_scan.h - one log file from its front to its end, entry by entry, over whatever is damaged in it. */
#ifndef COORDINATOR_OPLOG_SCAN_H
#define COORDINATOR_OPLOG_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "coordinator/oplog_record.h"

struct oplog_scan { /* zeroed: no file */
    const char *map;
    size_t size, at;
    size_t used;       /* without the zero bytes at its end, in which nothing was written yet */
    size_t end;        /* of the last thing that is whole: behind it nothing is */
    uint64_t synced;   /* of this file was durable, say its records */
    bool bad_header;   /* which names nothing that the records do not */
    struct buf joined; /* fragments */
};

enum oplog_event { SCAN_END, SCAN_ENTRY, SCAN_DAMAGE };

struct oplog_piece {
    size_t from, to;
    bool named;            /* damage: whose it was is known, `r` has it but the operations */
    struct oplog_record r; /* an entry with its fragments joined: a view until the next call */
};

/* ERR_VERSION, -errno, or ERR_CORRUPT if it is too short for its header. */
int oplog_scan_open(struct oplog_scan *s, const char *path, uint64_t number);
void oplog_scan_close(struct oplog_scan *s); /* keeps room for fragments */
void oplog_scan_finish(struct oplog_scan *s);

int oplog_scan_next(struct oplog_scan *s, struct oplog_piece *out); /* an event, or -ENOMEM */

#endif
