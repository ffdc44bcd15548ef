/* cgroup.h - a control group of its own for every worker, below the group that this process is in. Used by cap.c.
 *
 *   own group                      as systemd or a container gave it to us
 *     core/                        v2: the coordinator and what it starts; a group that has groups holds no process
 *     mayfly-<data>-<number>/      one worker: made for it, entered by it first of all, removed after its end
 *
 * One for all workers would do as well, were it not for memory that outlives a process: pages of a memfd stay charged
 * to the group that touched them first as long as anybody holds it, and the next worker, which is innocent, would be
 * killed for them. What a removed group was charged goes to the one above it. */
#ifndef COORDINATOR_CGROUP_H
#define COORDINATOR_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "coordinator/cgroup_find.h"

enum { CGROUP_PREFIX = 64, CGROUP_WHY = 256 };

struct cgroup_kind; /* names of files, by version */

struct cgroup {
    const struct cgroup_kind *kind;
    int directory; /* of the group below which those of workers are */
    char path[CGROUP_PATH];
    char prefix[CGROUP_PREFIX]; /* of the names of our groups: no other server's below the same one */
};

/* What the kernel counted in a worker's group. */
struct cgroup_counts {
    uint64_t peak;      /* bytes; 0: this kernel does not say */
    uint64_t oom_kills; /* processes that its OOM killer ended, for whatever reason */
    bool was_full;      /* the group was at its own limit */
};

/* `own` is the directory of this process's group. Moves the process to core/ where that is needed, tries whether a
 * group can be made and limited, and removes what a former life has left. A negative errno fills `why`. */
int cgroup_open(enum cgroup_version version, const char *own, const char *prefix, struct cgroup *out,
                char why[CGROUP_WHY]);

/* As it is, without trying anything. */
int cgroup_at(enum cgroup_version version, const char *path, const char *prefix, struct cgroup *out);
void cgroup_close(struct cgroup *g);

/* The least limit of our own group and those above it; UINT64_MAX: none has one. */
uint64_t cgroup_room(const struct cgroup *g);
uint64_t cgroup_limit(enum cgroup_version version, const char *own); /* of the group in that directory */

/* The descriptor to which the worker writes "0" to enter, or a negative errno. */
int cgroup_make(const struct cgroup *g, uint64_t number, uint64_t limit);
struct cgroup_counts cgroup_read(const struct cgroup *g, uint64_t number);
int cgroup_remove(const struct cgroup *g, uint64_t number); /* -EBUSY: somebody is still in it */
void cgroup_sweep(const struct cgroup *g);                  /* all of ours that nobody is in */

#endif
