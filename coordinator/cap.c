#include "coordinator/cap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/check.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/logger.h"
#include "coordinator/cgroup.h"

enum {
    SLACK = 8 << 20,        /* stacks, page tables, sockets */
    LEAST_CACHE = 32 << 20, /* page cache: with less the worker waits for the disk at every page */
    PAGE_TABLES = 256,      /* a byte of page tables for so many mapped ones, generously */
    STEP = 1 << 20,         /* so that jobs which are much alike have the same limit */
    PROC_TEXT = 64 << 10,
};

struct cap {
    struct cgroup group; /* of kind NULL: none */
    const char *name;
    bool is_data_in_memory;
    uint64_t peak;
    uint64_t *leftovers; /* groups that could not be removed when their workers had ended */
    size_t leftover_count;
};

/* --- what can be had */

static const struct {
    const char *name;
    enum cgroup_version version;
} ways[] = {[CAP_CGROUP2] = {"cgroup v2", CGROUP_V2}, [CAP_CGROUP1] = {"cgroup v1", CGROUP_V1}};

static void read_proc(const char *path, char to[PROC_TEXT])
{
    size_t used = 0;
    scoped(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (ssize_t got = 1; fd >= 0 && got > 0 && used<PROC_TEXT - 1; used += got> 0 ? (size_t)got : 0)
        got = read(fd, to + used, PROC_TEXT - 1 - used);
    to[used] = '\0';
}

static bool find_own_group(enum cgroup_version version, char out[CGROUP_PATH])
{
    char *own = malloc(2 * PROC_TEXT);
    require(own);
    char *mounts = own + PROC_TEXT;
    read_proc("/proc/self/cgroup", own);
    read_proc("/proc/self/mountinfo", mounts);
    bool found = cgroup_find(version, own, mounts, out);
    free(own);
    return found;
}

/* The same for every life on this data, and for no other server's. */
static int make_prefix(const char *data, char out[CGROUP_PREFIX])
{
    struct stat s;
    if (stat(data, &s) < 0)
        return -errno;
    snprintf(out, CGROUP_PREFIX, "mayfly-%llx-%llx-", (unsigned long long)s.st_dev, (unsigned long long)s.st_ino);
    return 0;
}

static int try_way(struct cap *c, enum config_worker_cap way, const char *data, char why[CGROUP_WHY])
{
    char own[CGROUP_PATH], prefix[CGROUP_PREFIX];
    if (!find_own_group(ways[way].version, own)) {
        snprintf(why, CGROUP_WHY, "it is not mounted here");
        return -ENOENT;
    }
    int err = make_prefix(data, prefix);
    if (!err)
        err = cgroup_open(ways[way].version, own, prefix, &c->group, why);
    if (!err)
        c->name = ways[way].name;
    return err;
}

static int choose(struct cap *c, enum config_worker_cap wanted, const char *data, char why[CAP_WHY])
{
    char one[CGROUP_WHY] = "";
    size_t used = 0;
    for (enum config_worker_cap way = CAP_CGROUP2; way <= CAP_CGROUP1; way++) {
        if (wanted != CAP_AUTO && wanted != way)
            continue;
        if (try_way(c, way, data, one) == 0)
            return 0;
        used += (size_t)snprintf(why + used, CAP_WHY - used, "%s%s: %s", used ? "; " : "", ways[way].name, one);
    }
    return wanted == CAP_AUTO || wanted == CAP_RLIMIT ? 0 : ERR_INVALID;
}

/* In a build whose workers have no cap of their own (sanitizers) nothing is enforced unless it is asked for. */
static enum config_worker_cap in_this_build(enum config_worker_cap wanted)
{
#ifdef MAYFLY_UNCAPPED_WORKERS
    return wanted == CAP_AUTO ? CAP_RLIMIT : wanted;
#else
    return wanted;
#endif
}

bool cap_is_in_memory(const char *path)
{
    static const uint32_t tmpfs = 0x01021994, ramfs = 0x858458f6; /* linux/magic.h */
    struct statfs s;
    return statfs(path, &s) == 0 && ((uint32_t)s.f_type == tmpfs || (uint32_t)s.f_type == ramfs);
}

static void say(const struct cap *c, const char *why)
{
    if (c->group.kind)
        log_info("worker-memory is enforced by %s and RLIMIT_DATA groups=%s", c->name, c->group.path);
    else
        log_info("worker-memory is enforced by RLIMIT_DATA alone%s%s", *why ? ": " : "", why);
}

int cap_open(enum config_worker_cap wanted, const char *data, struct cap **out, char why[CAP_WHY])
{
    struct cap *c = calloc(1, sizeof *c);
    require(c);
    *c = (struct cap){.group.directory = -1, .name = "rlimit", .is_data_in_memory = cap_is_in_memory(data)};
    why[0] = '\0';
    int err = choose(c, in_this_build(wanted), data, why);
    if (err) {
        free(c);
        return err;
    }
    say(c, why);
    *out = c;
    return 0;
}

static bool has_group(const struct cap *c)
{
    return c && c->group.kind;
}

void cap_close(struct cap *c)
{
    if (has_group(c)) {
        cgroup_sweep(&c->group);
        cgroup_close(&c->group);
    }
    free(c ? c->leftovers : NULL);
    free(c);
}

const char *cap_name(const struct cap *c)
{
    return c ? c->name : "rlimit";
}

const char *cap_group(const struct cap *c)
{
    return has_group(c) ? c->group.path : "";
}

uint64_t cap_room(const struct cap *c)
{
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t group = has_group(c) ? cgroup_room(&c->group) : UINT64_MAX;
    return group < machine ? group : machine;
}

uint64_t cap_own_limit(void)
{
    uint64_t least = UINT64_MAX;
    char own[CGROUP_PATH];
    for (enum config_worker_cap way = CAP_CGROUP2; way <= CAP_CGROUP1; way++) {
        uint64_t limit = find_own_group(ways[way].version, own) ? cgroup_limit(ways[way].version, own) : UINT64_MAX;
        least = limit < least ? limit : least;
    }
    return least < (uint64_t)1 << 62 ? least : UINT64_MAX; /* v1 has a number for none */
}

uint64_t cap_peak(const struct cap *c)
{
    return c ? c->peak : 0;
}

/* --- one worker's */

uint64_t cap_limit(const struct cap *c, uint64_t worker_memory, struct cap_need need)
{
    if (!has_group(c))
        return worker_memory;
    uint64_t cache = worker_memory / 4 > LEAST_CACHE ? worker_memory / 4 : LEAST_CACHE;
    uint64_t more = need.mapped / PAGE_TABLES + (c->is_data_in_memory || need.in_memory ? need.written : 0);
    more = more > STEP ? more - STEP : 0; /* so much of SLACK is for page tables */
    return worker_memory + cache + SLACK + (more + STEP - 1) / STEP * STEP;
}

int cap_begin(struct cap *c, uint64_t job, uint64_t limit, int *out_entrance)
{
    *out_entrance = -1;
    if (!has_group(c))
        return 0;
    int entrance = cgroup_make(&c->group, job, limit);
    if (entrance < 0)
        return entrance;
    *out_entrance = entrance;
    return 0;
}

static void remove_leftovers(struct cap *c)
{
    for (size_t i = c->leftover_count; i-- > 0;)
        if (cgroup_remove(&c->group, c->leftovers[i]) == 0)
            c->leftovers[i] = c->leftovers[--c->leftover_count];
}

static void leave_over(struct cap *c, uint64_t job)
{
    uint64_t *grown = realloc(c->leftovers, (c->leftover_count + 1) * sizeof *grown);
    require(grown);
    c->leftovers = grown;
    c->leftovers[c->leftover_count++] = job;
}

struct cap_end cap_end(struct cap *c, uint64_t job)
{
    if (!has_group(c))
        return (struct cap_end){0};
    struct cgroup_counts n = cgroup_read(&c->group, job);
    remove_leftovers(c);
    if (cgroup_remove(&c->group, job) != 0)
        leave_over(c, job);
    c->peak = n.peak > c->peak ? n.peak : c->peak;
    return (struct cap_end){.peak = n.peak, .oom_killed = n.oom_kills > 0, .was_full = n.was_full};
}
