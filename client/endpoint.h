/* endpoint.h - a connected socket to where the server listens: a Unix socket, or HOST:PORT. */
#ifndef CLIENT_ENDPOINT_H
#define CLIENT_ENDPOINT_H

#include "client/mayfly.h"

/* The descriptor, or MAYFLY_LOST with `failure` saying what could not be reached. */
int endpoint_connect(const struct mayfly_options *options, struct mayfly_failure *failure);

/* One of our own failures. */
int endpoint_fail(struct mayfly_failure *failure, int status, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
