/* restore.h - a data directory out of a backup. Needs no server, and refuses where one may be at work. */
#ifndef CLIENT_CLI_RESTORE_H
#define CLIENT_CLI_RESTORE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

enum { RESTORE_WHY = 1024 };

struct restored {
    uint64_t files, bytes;
    struct buf damaged; /* what was damaged when it was backed up, zero-terminated sentences one after the other; the caller's to finish */
    size_t damages;
};

/* Looks at every file of the backup first, and makes or fills `data` only then. Until all is there and durable the file
 * RESTORING stands in it, with which mayflyd does not start. False: `why` has the sentence. */
bool restore(const char *backup, const char *data, struct restored *out, char why[RESTORE_WHY]);

#endif
