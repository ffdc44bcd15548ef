/* report.h - talking to the server and to the person: one place where failures become messages and exit statuses. */
#ifndef CLIENT_CLI_REPORT_H
#define CLIENT_CLI_REPORT_H

#include "client/cli/args.h"
#include "common/buf.h"

/* On stderr, or with --json as the one document on stdout. */
void report_error(const struct cli *c, const char *code, const char *message, const char *field);

/* A failure's message, and the exit status for what the library gave. */
int report_failure(const struct cli *c, int rc, const struct mayfly_failure *failure);

/* A file that was named cannot be read, by errno or err.h; the exit status. */
int report_unreadable(const struct cli *c, const char *path, int err);
int report_packed(const struct cli *c, const char *path, const char *unpacker); /* a file that is to be unpacked first */

/* Connects; the exit status after having said why not. */
int report_connect(struct cli *c);

/* Connects, asks, and gets an answer of the wanted kind; the exit status after having said why not. */
int report_call(struct cli *c, Mayfly__Envelope *request, Mayfly__Envelope__MessageCase wanted,
                struct mayfly_answer *out);

/* The document of --json, with a newline. */
void report_json(struct buf *b);

/* An empty message of its kind in an envelope. */
#define REQUEST(envelope, kind, KIND, message)                                                                         \
    Mayfly__Envelope envelope = MAYFLY__ENVELOPE__INIT;                                                                \
    envelope.message_case = MAYFLY__ENVELOPE__MESSAGE_##KIND;                                                          \
    envelope.kind = &(message)

#endif
