/* cap.h - what of the kernel's stands behind worker_memory: a control group per worker where there can be one, and in
 * every case the worker's own RLIMIT_DATA (worker/malloc.c).  Called by jobs_start.c and jobs_run.c; main.c opens it.
 *
 *   arena (clean end, said in last words) < RLIMIT_DATA (commit fails, said too) < the group (killed, no words)
 *
 * RLIMIT_DATA counts private memory. The group counts everything: shared memory, stacks, page tables, sockets, and the
 * page cache of files that the worker is the first to touch, which the kernel takes back when it gets short. So its
 * limit is worker_memory and an allowance for that. */
#ifndef COORDINATOR_CAP_H
#define COORDINATOR_CAP_H

#include <stdbool.h>
#include <stdint.h>

#include "coordinator/config.h"

enum { CAP_WHY = 600 };

struct cap;

/* What a job needs besides worker_memory. */
struct cap_need {
    uint64_t mapped;  /* bytes of files that it may map: their page tables count */
    uint64_t written; /* bytes that it may write: memory, where the data is on a file system in memory, */
    bool in_memory;   /* or it writes elsewhere, and there it is */
};

/* How a worker's group ended. */
struct cap_end {
    uint64_t peak;   /* bytes that the kernel counted at most; 0: not known */
    bool oom_killed; /* the kernel's OOM killer ended it, and */
    bool was_full;   /* not because the service or the machine had no memory left */
};

/* Finds what can be had here, and logs it. ERR_INVALID fills `why` if `wanted` cannot be had. `data` is the directory,
 * whose LOCK must be held: what a former life has left is removed. */
int cap_open(enum config_worker_cap wanted, const char *data, struct cap **out, char why[CAP_WHY]);
void cap_close(struct cap *c); /* accepts NULL, as all below do: then there is no group */

const char *cap_name(const struct cap *c);  /* cgroup v2 | cgroup v1 | rlimit */
const char *cap_group(const struct cap *c); /* the directory of workers' groups; empty: none */
uint64_t cap_room(const struct cap *c);     /* bytes of memory that the machine has, or our own group may have */
uint64_t cap_own_limit(void);               /* least limit of our own group and those above it; UINT64_MAX: none */
bool cap_is_in_memory(const char *path);    /* what is written there is memory; it blocks */
uint64_t cap_peak(const struct cap *c);     /* the highest of all workers so far */

/* Limit of a worker's group that needs nothing special; worker_memory itself where there is no group. */
uint64_t cap_limit(const struct cap *c, uint64_t worker_memory, struct cap_need need);

/* A group for this job: the descriptor its worker enters it by, -1 if there are none; or an error. */
int cap_begin(struct cap *c, uint64_t job, uint64_t limit, int *out_entrance);
struct cap_end cap_end(struct cap *c, uint64_t job); /* its worker is gone, or was never there */

#endif
