/* stream.h - what `add` and `delete` have in common: a stream of writes with refusals, progress and a result. */
#ifndef CLIENT_CLI_STREAM_H
#define CLIENT_CLI_STREAM_H

#include "client/cli/places.h"
#include "client/cli/progress.h"
#include "client/cli/report.h"
#include "client/writer.h"

enum { STREAM_SHOWN = 100, STREAM_ERRORS = 1000 }; /* refusals that are printed, and kept for --json */

struct stream {
    struct cli *cli;
    struct mayfly_writer writer;
    struct progress progress;
    struct buf errors; /* elements of a JSON array */
    struct places places; /* of what was sent, where it comes from files */
    uint64_t kept;
    uint64_t refused_here; /* by us: not sent */
    uint64_t shown;
    uint64_t began_us;
};

/* Reads --wait, connects, and opens the stream; `options` are completed. An exit status. */
int stream_open(struct stream *s, struct cli *c, struct mayfly_writer_options *options);

/* What cannot be sent: counted and said, by place ("FILE:LINE"). */
void stream_refuse(struct stream *s, const char *place, struct str id, const char *code, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Ends the stream if `status` is 0, prints what came of it, and gives the exit status. */
int stream_close(struct stream *s, int status);

/* A failure of the writer: its message, what is safe, and the exit status. */
int stream_failed(struct stream *s, int rc, const struct mayfly_failure *failure);

#endif
