/* oplog_files.h - the files of the log: which there are, which stream needs them up to where, reading them at start. */
#ifndef COORDINATOR_OPLOG_FILES_H
#define COORDINATOR_OPLOG_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "coordinator/oplog.h"
#include "coordinator/oplog_record.h"

enum { OPLOG_PATH = 4200 };

struct need {        /* a file holds operations of a stream below `end` */
    uint32_t stream; /* its place in the table */
    uint64_t end;
};

struct log_file {
    uint64_t number, bytes;
    struct need *needs;
    size_t need_count;
    bool old; /* was there at start */
};

struct stream_state {
    struct oplog_stream stream;
    uint64_t tail;    /* after its last operation */
    uint64_t trimmed; /* everything below is applied */
};

struct oplog_files {
    char directory[4000];
    struct log_file *files; /* by number */
    size_t count;
    struct stream_state *streams;
    size_t stream_count;
    uint64_t last_number, bytes;

    /* Reading at start. */
    size_t reading; /* which file */
    uint64_t reading_number;
    const char *map;
    size_t map_size, at;
    struct buf joined; /* fragments */
};

int oplog_files_open(struct oplog_files *f, const char *directory);
void oplog_files_close(struct oplog_files *f);
void oplog_path(const struct oplog_files *f, uint64_t number, char out[OPLOG_PATH]);

void oplog_note(struct oplog_files *f, uint64_t number, const struct oplog_stream *s, uint64_t end);
void oplog_note_size(struct oplog_files *f, uint64_t number, uint64_t bytes);

/* Unlinks what nobody needs; `open` is the file that is written now, which stays. */
void oplog_files_trim(struct oplog_files *f, const struct oplog_stream *s, uint64_t sequence, uint64_t open);
void oplog_files_drop(struct oplog_files *f, uint32_t index);
uint64_t oplog_files_tail(const struct oplog_files *f, const struct oplog_stream *s);

int oplog_files_next(struct oplog_files *f, struct oplog_entry *out);
void oplog_files_end_reading(struct oplog_files *f);

#endif
