/* writer.h - one stream of operations to an index: packed into frames, sent ahead of the answers within a window.
 *
 * What is in memory is bounded by the window and the largest document. Lives in the caller's memory. */
#ifndef CLIENT_WRITER_H
#define CLIENT_WRITER_H

#include "client/mayfly.h"
#include "common/buf.h"

/* In operations, counted from the beginning of the stream. */
struct mayfly_progress {
    uint64_t task;
    uint64_t sent;
    uint64_t accepted;   /* durable or refused */
    uint64_t searchable; /* applied or refused */
    uint64_t refused;
    uint64_t deleted; /* by filter: documents, as far as it is applied */
    uint64_t bytes; /* of documents, handed to the connection */
    bool done;
};

struct mayfly_writer_options {
    const char *index;
    Mayfly__Write__Kind kind;
    Mayfly__Write__Wait wait;
    bool create;             /* make the index if there is none */
    const char *filter;      /* of a DELETE without operations: what matches it is deleted; NULL: by id */
    const char *primary_key; /* of an index made so; NULL: "id" */
    void (*on_refusal)(void *context, const Mayfly__Refusal *refusal);
    void (*on_progress)(void *context, const struct mayfly_progress *progress);
    void *context;
};

enum { MAYFLY_WRITER_FRAMES = 64 };

struct mayfly_writer {
    struct mayfly *connection;
    struct mayfly_writer_options options;
    uint64_t request;
    bool opened; /* the first frame is out */
    struct buf pending;
    struct mayfly_progress progress;
    struct {
        uint64_t end; /* operations up to here */
        size_t bytes;
    } flight[MAYFLY_WRITER_FRAMES]; /* frames whose operations are not known to be safe */
    uint64_t flushed;               /* operations that are out as a whole */
    size_t flight_first, flight_count, flight_bytes;
};

void mayfly_writer_init(struct mayfly_writer *w, struct mayfly *m, const struct mayfly_writer_options *options);
void mayfly_writer_finish(struct mayfly_writer *w);

/* After a failure progress says what is safe; nothing more can be written then. */
int mayfly_writer_append(struct mayfly_writer *w, struct str id, struct str body, struct mayfly_failure *failure);

/* Ends the stream and waits for what its `wait` says. */
int mayfly_writer_end(struct mayfly_writer *w, struct mayfly_failure *failure);

#endif
