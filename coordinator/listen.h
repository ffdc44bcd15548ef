/* listen.h - the sockets that clients come in by: those that a service manager passed, and for a kind of which it
 * passed none, the one that the configuration names.  Used by session.c. */
#ifndef COORDINATOR_LISTEN_H
#define COORDINATOR_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <uv.h>

#include "coordinator/activation.h"
#include "coordinator/config.h"
#include "coordinator/handover.h"

struct listener {
    union {
        uv_stream_t stream;
        uv_pipe_t pipe;
        uv_tcp_t tcp;
    } handle;
};

struct listeners {
    struct listener at[ACTIVATION_MOST + 2];
    size_t count;
    char own[sizeof(((struct sockaddr_un *)0)->sun_path) + 1]; /* a Unix socket that is ours to unlink; empty: none */
};

struct listen_options {
    uv_loop_t *loop;
    const struct config *config;
    const struct activation *activation;
    uv_connection_cb on_connection;
    void *context; /* becomes the `data` of each handle */
};

/* Fails as a whole, with a sentence in `why`. */
int listen_begin(struct listeners *l, const struct listen_options *o, char why[256]);

/* All of them, for another process to take over. */
void listen_share(const struct listeners *l, struct handover_sockets *out);
void listen_give_away(struct listeners *l); /* it has them: nothing is unlinked at the end */

/* Sockets of our own are unlinked. Those that were passed stay with the service manager, where connections queue. */
void listen_end(struct listeners *l);

#endif
