/* mayfly.h - libmayfly: a connection to mayflyd over its binary protocol.
 *
 * Messages are those of proto/mayfly.proto, as protobuf-c generates them. One thread at a time uses a connection. Calls
 * block; requests may be pipelined: send several, then receive their answers, in any order, by request number. While a
 * send waits for room it reads what arrives, so neither side can block the other for ever. */
#ifndef CLIENT_MAYFLY_H
#define CLIENT_MAYFLY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/str.h"
#include "proto/mayfly.pb-c.h"

struct mayfly; /* a connection */

struct mayfly_options {
    const char *socket; /* path; NULL: $MAYFLY_SOCKET, else /run/mayfly.sock */
    const char *host;   /* "HOST:PORT" or "[HOST]:PORT", TCP instead of `socket`; without a port 6359 */
    const char *key;    /* NULL: none */
    const char *client; /* for the server's log; NULL: "libmayfly" */
};

/* What went wrong: the server's words, or one of ours with a code of MAYFLY_CODE_x. */
struct mayfly_failure {
    char code[48];
    char message[512];
    char field[128];
};

#define MAYFLY_CODE_CANNOT_CONNECT  "cannot_connect"
#define MAYFLY_CODE_CONNECTION_LOST "connection_lost"

/* What every function gives that can fail: 0, or one of these with `failure` filled. */
enum {
    MAYFLY_REFUSED = -1, /* the server said no to this request; the connection goes on */
    MAYFLY_LOST = -2,    /* there is no connection, or none any more */
};

int mayfly_connect(struct mayfly **out, const struct mayfly_options *options, struct mayfly_failure *failure);
void mayfly_close(struct mayfly *m); /* accepts NULL */

const char *mayfly_server(const struct mayfly *m); /* "mayflyd 0.1.0" */
uint64_t mayfly_max_document_size(const struct mayfly *m);

struct mayfly_answer {
    const Mayfly__Envelope *envelope; /* valid until the next call on this connection */
    struct str body;
};

/* Gives the envelope the next request number and sends it. */
int mayfly_send(struct mayfly *m, Mayfly__Envelope *envelope, struct mayfly_failure *failure);

/* The same, but it may leave later, together with others: at the latest with the next send or receive. */
int mayfly_queue(struct mayfly *m, Mayfly__Envelope *envelope, struct mayfly_failure *failure);

/* The same as mayfly_send for a request that has a number already (further frames of a stream), with a body. */
int mayfly_send_body(struct mayfly *m, const Mayfly__Envelope *envelope, struct str body,
                     struct mayfly_failure *failure);

uint64_t mayfly_next_request(struct mayfly *m);

/* The next answer to any request; after a send that failed, first those that came before it, then why it failed. An
 * Error for a request is an answer too; one for the connection is MAYFLY_LOST. */
int mayfly_receive(struct mayfly *m, struct mayfly_answer *out, struct mayfly_failure *failure);

/* Whether mayfly_receive has something without waiting. */
bool mayfly_has_answer(struct mayfly *m);

/* Sends one request and receives its answer, which is of the kind `wanted` or the call fails. Nothing else may be in
 * flight. */
int mayfly_call(struct mayfly *m, Mayfly__Envelope *envelope, Mayfly__Envelope__MessageCase wanted,
                struct mayfly_answer *out, struct mayfly_failure *failure);

/* An Error's three strings into `failure`. */
void mayfly_failure_take(struct mayfly_failure *failure, const Mayfly__Error *error);

#endif
