/* oplog.h - the log: accepted operations that are not applied yet, on disk: log/<n>.log.
 *
 * Append-only files of records with CRC-32C; one fdatasync per group (oplog_queue.h), in libuv's pool, at most one in flight; a file is
 * unlinked when every stream has applied past it; what a stuck stream still needs of old ones is carried over to a new one
 * (oplog_carry.h). When it is opened, a torn tail is cut; damage before what is whole is
 * reported and stepped over. After a failed sync the log is poisoned: writes are refused until it is reopened. The
 * interface is per stream, and is what several machines will be given by another log: append, read, trim, tail. */
#ifndef COORDINATOR_OPLOG_H
#define COORDINATOR_OPLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/str.h"
#include "coordinator/ranges.h"

struct oplog;

enum { OPLOG_MAX_RECORD = 1 << 20 };

struct oplog_stream { /* by number, not by pointer: records outlive indexes */
    uint32_t index, edition, shard;
};

struct oplog_entry {
    struct oplog_stream stream;
    uint64_t task;
    uint64_t first; /* sequence number of its first operation */
    uint32_t count;
    struct str operations; /* whole operations (proto/batch.h), as in a region */
    bool small;            /* it goes ahead of what is not: oplog_queue.h, */
    bool overtakes;        /* of its own stream, too */
    bool has_crc;          /* of those who copied them in: else it is made when they are written */
    uint32_t crc;          /* CRC-32C of the operations */
    /* NULL, or: it is about to be written, behind all that were so before, and gets its number now, and operations that are
     * final. */
    void (*taken)(void *context, struct oplog_entry *e);
};

/* Opens the directory and looks at every record. `quota` is bytes on disk. */
struct uv_loop_s;
int oplog_open(struct uv_loop_s *loop, const char *directory, uint64_t epoch, uint64_t quota, struct oplog **out);
void oplog_close(struct oplog *l); /* it is idle */

/* The operations must stay readable until `done`, which says that they are durable: a failed write is tried again in a
 * new file until it succeeds, and meanwhile oplog_is_usable is false. Splits what is larger than a record. */
typedef void oplog_done(void *context);
int oplog_append(struct oplog *l, const struct oplog_entry *e, oplog_done *done, void *context);
bool oplog_is_writing(const struct oplog *l); /* a group is in flight: later appends will share the next sync */
bool oplog_is_hurried(const struct oplog *l); /* small appends have come of late: groups are short, for those that come next */

bool oplog_is_idle(const struct oplog *l); /* nothing of it is in libuv's pool */

/* 0; ERR_FULL past the quota, or why the last write failed: new operations are to be refused. */
int oplog_usable(const struct oplog *l);
void oplog_set_quota(struct oplog *l, uint64_t quota);

/* What it lacks of the disk is told there (disk.h), and tried again when that is told to be there. */
struct disk;
void oplog_set_disk(struct oplog *l, struct disk *d);
void oplog_try_again(struct oplog *l);

/* At start: what was durable when it was opened, in order, fragments joined; views are valid until the next call. 1, 0
 * at the end, or negative. */
int oplog_next(struct oplog *l, struct oplog_entry *out);
void oplog_end_reading(struct oplog *l);

/* Meanwhile a file stays, even if its operations are applied, until it was read and what it tells of tasks is in the
 * catalog: oplog_told, of the files that were read before a write to the catalog that is durable now. */
uint64_t oplog_read_below(const struct oplog *l); /* a file number */
void oplog_told(struct oplog *l, uint64_t below);

/* Reads durable operations again, whole and in order, to `to`, which has room for what they took when they were appended.
 * Where one is damaged, a LOST one (proto/batch.h) stands in its place. `done` is told their bytes, or an error after
 * which it can be tried again. */
struct oplog_reading {
    struct oplog_stream stream;
    struct range numbers;
    char *to;
    size_t room;
    void (*done)(void *context, int64_t bytes, uint64_t lost);
    void *context;
};
int oplog_read(struct oplog *l, const struct oplog_reading *r);

/* The stream has applied everything below `sequence`: files nobody needs are unlinked. */
void oplog_trim(struct oplog *l, const struct oplog_stream *s, uint64_t sequence);
/* Nothing else will make room: carries over what it can, however short the streams have stood still. True: it is at it. */
bool oplog_make_room(struct oplog *l);
/* As long as it is held no file is unlinked, and nothing is carried over: a backup is being made. */
void oplog_hold(struct oplog *l);
void oplog_release(struct oplog *l);

/* What is appended from here on goes to a new file. `rolled` is told, at once or when the group in flight is durable, up to
 * which number the files will not be written any more; while the log cannot be written it waits. One at a time. */
typedef void oplog_rolled(void *context, uint64_t last);
void oplog_roll(struct oplog *l, oplog_rolled *rolled, void *context);
uint64_t oplog_next_file(const struct oplog *l, uint64_t above); /* the number of the first file above it; 0: none */

/* The catalog knows for good that nobody will ask for anything of it. */
void oplog_drop_index(struct oplog *l, uint32_t index);

/* The sequence number after the last durable operation of the stream; 0 if the log has none. What is known to be lost
 * counts. */
uint64_t oplog_tail(const struct oplog *l, const struct oplog_stream *s);

/* At start: which numbers of the stream the log has. Of those that it should have and has not, oplog_lost_task says whose
 * they were: the task of `first` and of what follows it up to *end, which is lowered; 0: nobody knows. */
void oplog_present(const struct oplog *l, const struct oplog_stream *s, struct ranges *add);
uint64_t oplog_lost_task(const struct oplog *l, const struct oplog_stream *s, uint64_t first, uint64_t *end);
bool oplog_has_lost_unnamed(const struct oplog *l); /* operations of which not even the stream is known */
uint64_t oplog_bytes(const struct oplog *l);

#endif
