/* oplog_files.h - the files of the log: which there are, what of which stream stands where, reading them at start. */
#ifndef COORDINATOR_OPLOG_FILES_H
#define COORDINATOR_OPLOG_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "coordinator/oplog.h"
#include "coordinator/oplog_scan.h"
#include "coordinator/ranges.h"

enum { OPLOG_PATH = 4200, EXTENT_SPAN = 1 << 20 };

/* Consecutive operations of a stream in a file, dense; records of others may lie between theirs. */
struct extent {
    uint32_t stream;     /* its place in the table */
    uint64_t first, end; /* sequence numbers */
    uint64_t from, to;   /* bytes of the file */
    uint64_t bytes;      /* of its own records */
    uint64_t first_task, last_task;
};

struct log_file {
    uint64_t number, bytes;
    struct extent *extents;
    size_t extent_count;
    size_t needed; /* an extent that was needed when one looked last: asked first */
    bool old;      /* was there at start */
    bool stays;    /* it cannot be read: not to be carried over */
};

struct stream_state {
    struct oplog_stream stream;
    uint64_t tail;    /* after its last operation */
    uint64_t trimmed; /* everything below is applied */
    uint64_t moved;   /* how much had been appended when that rose last */
};

struct damage {
    uint64_t number; /* of the file */
    uint64_t from, to;
    bool named, proven; /* proven: it was durable once */
    struct oplog_stream stream;
    uint64_t first, end, task;
};

/* Descriptors of files that were unlinked. To close the last of one frees tens of megabytes, which takes milliseconds. */
struct removed_files {
    int *fds;
    size_t count;
};

struct oplog_files {
    char directory[4000];
    struct log_file *files; /* by number */
    size_t count;
    unsigned holds; /* how often it is held */
    struct stream_state *streams;
    size_t stream_count;
    uint64_t last_number, bytes;
    uint64_t appended; /* bytes, since start */

    /* Reading at start. */
    size_t reading; /* which file */
    uint64_t reading_number; /* 0: no more */
    uint64_t told;           /* older ones may go */
    struct oplog_scan scan;
    struct damage *damages;
    size_t damage_count;

    struct removed_files removed;
};

int oplog_files_open(struct oplog_files *f, const char *directory);
void oplog_files_close(struct oplog_files *f);
void oplog_path(const char *directory, uint64_t number, char out[OPLOG_PATH]);

/* A whole entry stands in that file from byte `from` to `to`. */
void oplog_note(struct oplog_files *f, uint64_t number, const struct oplog_entry *e, uint64_t from, uint64_t to);
void oplog_claim(struct oplog_files *f, const struct oplog_stream *s, uint64_t end); /* numbers below it were given */
void oplog_note_size(struct oplog_files *f, uint64_t number, uint64_t bytes);

struct removed_files oplog_files_take_removed(struct oplog_files *f);
void oplog_files_free_removed(struct removed_files *r, bool are_read); /* in the pool */

/* Unlinks what nobody needs; `open` is the file that is written now, which stays. */
void oplog_files_trim(struct oplog_files *f, const struct oplog_stream *s, uint64_t sequence, uint64_t open);
bool oplog_is_needed(const struct oplog_files *f, const struct extent *e);
void oplog_files_leave(struct oplog_files *f, uint64_t number, bool stays); /* what it has stands in newer files */
void oplog_files_hold(struct oplog_files *f, bool held, uint64_t open); /* nothing is unlinked while it is held */
void oplog_files_drop(struct oplog_files *f, uint32_t index, uint64_t open);
uint64_t oplog_files_tail(const struct oplog_files *f, const struct oplog_stream *s);
void oplog_files_present(const struct oplog_files *f, const struct oplog_stream *s, struct ranges *add);

int oplog_files_next(struct oplog_files *f, struct oplog_entry *out);
void oplog_files_end_reading(struct oplog_files *f);

/* oplog_damage.c: after all files were scanned. Cuts torn tails, reports the rest, and lets no number that was lost be
 * given again. */
void oplog_add_damage(struct oplog_files *f, uint64_t number, const struct oplog_piece *p);
void oplog_mark_proven(struct oplog_files *f, uint64_t number, uint64_t synced);
int oplog_settle_damage(struct oplog_files *f, const uint64_t *ends);
uint64_t oplog_task_of_lost(const struct oplog_files *f, const struct oplog_stream *s, uint64_t first, uint64_t *end);
bool oplog_has_unnamed_damage(const struct oplog_files *f);

#endif
