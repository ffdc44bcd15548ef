/* disk.h - the disk of the data is full: who lacks what, said once in the log when it begins, and once when it is over.
 *
 *   begins   when somebody could not write for lack of room: the log's group, the catalog's commit, a worker
 *   goes on  while any of them has not written since. Each tries again by itself, at once when there is what it lacked
 *   is over  when nobody has lacked anything for some seconds; what was refused meanwhile is counted
 *
 * Clients that are refused are told by disk_say which disk it is, what could not be written, and how many bytes are missing. */
#ifndef COORDINATOR_DISK_H
#define COORDINATOR_DISK_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

enum disk_user { DISK_LOG, DISK_WORKERS, DISK_CATALOG, DISK_USERS };
enum { DISK_PATH = 128, DISK_SENTENCE = 512 };

struct disk_need {
    bool is_unmet;
    uint64_t bytes;       /* at most */
    char path[DISK_PATH]; /* below the data */
};

struct disk {
    const char *directory; /* of the data */
    char mount[PATH_MAX];  /* where its file system begins */
    struct disk_need needs[DISK_USERS];
    unsigned calm;                               /* looks since somebody lacked something */
    uint64_t full_since;                         /* wall microseconds; 0: it is not full */
    uint64_t refusals, failures;                 /* since the start */
    uint64_t refusals_before, failures_before;   /* when it began */
};

void disk_open(struct disk *d, const char *directory);

/* Somebody could not write so many bytes to the file at `path`, below the data. True: for lack of room, which is said.
 * False, also without a disk: for another reason, which is the caller's to say. */
bool disk_is_lacked(struct disk *d, enum disk_user user, int err, uint64_t bytes, const char *path);
void disk_has_sufficed(struct disk *d, enum disk_user user); /* it has written */

void disk_refused(struct disk *d); /* an operation or a request */

/* Every second. The catalog's needs are met when there is room: nobody may be writing it. */
void disk_look(struct disk *d);

bool disk_is_full(const struct disk *d);
bool disk_has_room_for(const struct disk *d, enum disk_user user); /* what it lacked is there now */
uint64_t disk_missing(const struct disk *d);                       /* bytes */
const char *disk_lacking(const struct disk *d);                    /* the path of who lacks them; empty: nobody does */

/* "the disk at /var is full: /var/lib/mayfly/log/7.log lacks 1048576 bytes; try again when there is room" */
void disk_say(const struct disk *d, char out[DISK_SENTENCE]);

/* Of the file system: 0 where they cannot be had. */
struct disk_room {
    uint64_t bytes, free; /* free for who is not root */
};
struct disk_room disk_room(const struct disk *d);

#endif
