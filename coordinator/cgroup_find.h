/* cgroup_find.h - where the directory of this process's own control group is, read from the texts of /proc. Pure.
 *
 *   /proc/self/cgroup      4:memory:/system.slice/mayfly.service      cgroup v1: number, controllers, path
 *                          0::/system.slice/mayfly.service            cgroup v2
 *   /proc/self/mountinfo   35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
 *                                     |         |                     |             |
 *                              path that is   where              file system    controllers (v1)
 *                                mounted                                                              */
#ifndef COORDINATOR_CGROUP_FIND_H
#define COORDINATOR_CGROUP_FIND_H

#include <stdbool.h>

enum { CGROUP_PATH = 2048 };

enum cgroup_version { CGROUP_V1 = 1, CGROUP_V2 };

/* False: the version is not there, or counts no memory, or its mount does not reach to the group. */
bool cgroup_find(enum cgroup_version version, const char *own_groups, const char *mounts, char out[CGROUP_PATH]);

#endif
