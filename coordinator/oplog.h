/* oplog.h - the log: accepted operations that are not applied yet, on disk: log/<n>.log.
 *
 * Append-only files of records with CRC-32C; one fdatasync per group, in libuv's pool, at most one in flight; a torn tail
 * is cut when it is opened; a file is unlinked when every stream has applied past it. After a failed sync the log is
 * poisoned: writes are refused until it is reopened. The interface is per stream, and is what several machines will be
 * given by another log: append, read, trim, tail. */
#ifndef COORDINATOR_OPLOG_H
#define COORDINATOR_OPLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/str.h"

struct oplog;

enum { OPLOG_MAX_RECORD = 1 << 20 };

struct oplog_stream { /* by number, not by pointer: records outlive indexes */
    uint32_t index, edition, shard;
};

struct oplog_entry {
    struct oplog_stream stream;
    uint64_t task;
    uint64_t first;      /* sequence number of its first operation */
    uint32_t count;
    struct str operations; /* whole operations (proto/batch.h), as in a region */
};

/* Opens the directory, cuts a torn tail. `quota` is bytes on disk. */
struct uv_loop_s;
int oplog_open(struct uv_loop_s *loop, const char *directory, uint64_t epoch, uint64_t quota, struct oplog **out);
void oplog_close(struct oplog *l);

/* The operations must stay readable until `done`, which says that they are durable (or why not). Splits what is larger
 * than a record. ERR_FULL past the quota, -EIO when poisoned: then `done` is not called. */
typedef void oplog_done(void *context, int err);
int oplog_append(struct oplog *l, const struct oplog_entry *e, oplog_done *done, void *context);
bool oplog_is_writing(const struct oplog *l); /* an append is in flight: later ones will share the next sync */

/* At start: every entry that was durable, fragments joined, in order. A visitor's negative value ends it. */
typedef int oplog_visitor(void *context, const struct oplog_entry *e);
int oplog_read(struct oplog *l, oplog_visitor *visit, void *context);

/* The stream has applied everything below `sequence`: files nobody needs are unlinked. */
void oplog_trim(struct oplog *l, const struct oplog_stream *s, uint64_t sequence);
void oplog_drop_stream(struct oplog *l, uint32_t index, uint32_t edition);

/* The sequence number after the last durable operation of the stream; 0 if the log has none. */
uint64_t oplog_tail(const struct oplog *l, const struct oplog_stream *s);
uint64_t oplog_bytes(const struct oplog *l);

#endif
