/* child.h - a process that the coordinator keeps alive: started by posix_spawn, watched by pidfd, restarted with
 * back-off, given up when it dies again and again before it was ready. Nursery and shards are such children; workers
 * are not. */
#ifndef COORDINATOR_CHILD_H
#define COORDINATOR_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "common/region.h"
#include "proto/last_words.h"

enum child_state { CHILD_STOPPED, CHILD_STARTING, CHILD_READY, CHILD_WAITING, CHILD_FAILED };

enum { CHILD_MAX_ARGUMENTS = 10, CHILD_CRASH_LOOP = 10 };

struct child {
    /* Set by the owner before child_init; strings stay the owner's. */
    char name[32]; /* for the log: "shard 1.0" */
    char path[300];
    const char *arguments[CHILD_MAX_ARGUMENTS + 1]; /* argv[1] and on, NULL at the end */
    const char *directory;                          /* working directory */
    int socket_type;                                /* SOCK_STREAM or SOCK_SEQPACKET: the child's descriptor 3 */
    int inherited;                                  /* becomes its descriptor 5; -1: none */
    void (*on_start)(struct child *c);              /* `socket` is connected, nothing is ready yet */
    void (*on_death)(struct child *c);              /* before `socket` is closed */
    void (*on_failed)(struct child *c);             /* crash loop: it will not be started again */
    void *owner;

    uv_loop_t *loop;
    enum child_state state;
    pid_t pid;
    int socket; /* the lifeline: closing it ends the child */
    struct region words;
    uint64_t life;   /* +1 at each start */
    unsigned deaths; /* in a row, before it was ready */
    unsigned restarts;
    unsigned silence, killed_at; /* pulse.h: seconds since a question that is not answered; when it was killed for that */
    unsigned hangs;              /* how often it was, since start */
    uint64_t backoff_ms;
    int pidfd;
    bool stopping;
    uv_poll_t *watch; /* of this life; freed in its close callback */
    uv_timer_t timer;
};

int child_init(struct child *c, uv_loop_t *loop);
void child_start(struct child *c);
void child_start_again(struct child *c); /* one that is stopped, or was never started */
void child_is_ready(struct child *c); /* said by the owner, who heard it; within a minute, else it is killed */
void child_revive(struct child *c);   /* starts one that was given up */

/* Closes the lifeline; on_death is called when it is gone. Kills what does not go within the limit. */
void child_stop(struct child *c, uint64_t limit_ms);
const struct last_words *child_words(const struct child *c); /* NULL before the first start */
const char *child_state_name(enum child_state s);

#endif
