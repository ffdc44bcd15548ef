/* outbox.h - frames on their way to the coordinator: small ones wait for each other and leave together, at the end of
 * a turn; a large one leaves at once, behind those that wait, from where it lies. */
#ifndef SHARD_OUTBOX_H
#define SHARD_OUTBOX_H

#include <stddef.h>
#include <sys/uio.h>

#include "common/buf.h"

struct outbox {
    int sock;
    struct buf waiting;
    int err; /* sticky; ERR_CLOSED: the coordinator is gone */
};

/* A whole frame in pieces, which are free again afterwards; they are changed. */
void outbox_put(struct outbox *o, struct iovec *pieces, size_t count);

/* Waits until the socket has taken everything. */
void outbox_flush(struct outbox *o);

void outbox_finish(struct outbox *o);

#endif
