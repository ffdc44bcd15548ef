/* nursery.h - the long-lived half of mayfly-worker: forks one worker per job, reaps and reports. Allocates nothing.
 *
 * It has no thread, no loop, no LMDB environment: nothing that a fork could break. */
#ifndef WORKER_NURSERY_H
#define WORKER_NURSERY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/fd.h"

enum {
    NURSERY_SOCKET = 3, /* SEQPACKET, to the coordinator */
    NURSERY_WORDS = 4,  /* the nursery's own last-words page */
    NURSERY_CHILDREN = 256,
};

/* Descriptors of a ticket, in the order of proto/internal.proto. */
struct ticket {
    uint64_t job;
    bool urgent;
    uint64_t ahead_memory; /* not 0: the job comes over the lifeline */
    int group;     /* the file by which the worker enters its control group; -1: it has none */
    int group_err; /* in the worker: of entering it */
    int fds[FD_PASS_MAX];
    size_t count;
};

/* The life of a worker, in the child: does not return. */
typedef void nursery_work(void *context, struct ticket *ticket);

struct nursery {
    nursery_work *work;
    void *context;
    int signals; /* signalfd */
    struct {
        pid_t pid; /* 0: free */
        uint64_t job;
    } children[NURSERY_CHILDREN];
    struct ticket ticket; /* the one in hand */
};

/* Blocks SIGCHLD. 0, or a negative errno. */
int nursery_open(struct nursery *n, nursery_work *work, void *context);

/* Says READY and serves until the coordinator closes its end (0), or with what went wrong. */
int nursery_serve(struct nursery *n);

#endif
