#include "coordinator/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/fd.h"

enum { SMALL_FILE = 4096, SETTINGS = 3, ALMOST = 1 << 20, NAME = CGROUP_PREFIX + 24 };

static const char limit_itself[] = "";

struct cgroup_kind {
    struct {
        const char *file, *text; /* limit_itself: the limit in bytes */
        bool must;               /* not every kernel has the others, and not every one counts swap */
    } settings[SETTINGS];
    const char *enter, *peak, *events;
    const char *full; /* in events: how often the group was at its limit; NULL: what it had at most tells */
};

/* A group is entered by a single thread, which with v1 can say so: `tasks` takes no lock of the whole system, 30 us;
 * `cgroup.procs` waits for a grace period of RCU where the last such move is some time ago, 10 ms. */
static const struct cgroup_kind kinds[] = {
    [CGROUP_V1] = {.settings = {{"memory.limit_in_bytes", limit_itself, true},
                                {"memory.memsw.limit_in_bytes", limit_itself, false},
                                {"memory.swappiness", "0", false}},
                   .enter = "tasks",
                   .peak = "memory.max_usage_in_bytes",
                   .events = "memory.oom_control",
                   .full = NULL}, /* memory.failcnt stays 0 where newer kernels count swap */
    [CGROUP_V2] = {.settings = {{"memory.max", limit_itself, true},
                                {"memory.swap.max", "0", false},
                                {"memory.oom.group", "1", false}},
                   .enter = "cgroup.procs",
                   .peak = "memory.peak",
                   .events = "memory.events",
                   .full = "oom"},
};

/* --- files of a group */

static int write_text(int directory, const char *file, const char *text)
{
    scoped(fd) int fd = openat(directory, file, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        return -errno;
    return 0;
}

static int read_text(int directory, const char *file, char to[SMALL_FILE])
{
    scoped(fd) int fd = openat(directory, file, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, to, SMALL_FILE - 1);
    if (got < 0)
        return -errno;
    to[got] = '\0';
    return 0;
}

/* The number behind "key " at the beginning of a line; of a file with nothing but a number, the key is empty. */
static uint64_t read_number(int directory, const char *file, const char *key)
{
    char text[SMALL_FILE];
    size_t length = strlen(key);
    if (read_text(directory, file, text) < 0)
        return 0;
    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (strncmp(line, key, length) == 0 && (!length || line[length] == ' '))
            return strtoull(line + length, NULL, 10);
    return 0;
}

static bool has_word(int directory, const char *file, const char *word)
{
    char text[SMALL_FILE], *rest = text;
    if (read_text(directory, file, text) < 0)
        return false;
    for (char *one; (one = strsep(&rest, " \n")) != NULL;)
        if (strcmp(one, word) == 0)
            return true;
    return false;
}

/* --- one worker's */

static void name_of(const struct cgroup *g, uint64_t number, char to[NAME])
{
    snprintf(to, NAME, "%s%llu", g->prefix, (unsigned long long)number);
}

static int open_group(const struct cgroup *g, uint64_t number)
{
    char name[NAME];
    name_of(g, number, name);
    int fd = openat(g->directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int set_limits(const struct cgroup *g, int group, uint64_t limit)
{
    char bytes[24];
    snprintf(bytes, sizeof bytes, "%llu", (unsigned long long)limit);
    for (size_t i = 0; i < SETTINGS; i++) {
        const char *text = g->kind->settings[i].text;
        int err = write_text(group, g->kind->settings[i].file, text == limit_itself ? bytes : text);
        if (err && g->kind->settings[i].must)
            return err;
    }
    return 0;
}

static int open_entrance(const struct cgroup *g, uint64_t number, uint64_t limit)
{
    scoped(fd) int group = open_group(g, number);
    int err = group < 0 ? group : set_limits(g, group, limit);
    if (err)
        return err;
    int entrance = openat(group, g->kind->enter, O_WRONLY | O_CLOEXEC);
    return entrance < 0 ? -errno : entrance;
}

int cgroup_make(const struct cgroup *g, uint64_t number, uint64_t limit)
{
    char name[NAME];
    name_of(g, number, name);
    if (mkdirat(g->directory, name, 0755) < 0 && errno != EEXIST)
        return -errno;
    int entrance = open_entrance(g, number, limit);
    if (entrance < 0)
        cgroup_remove(g, number);
    return entrance;
}

struct cgroup_counts cgroup_read(const struct cgroup *g, uint64_t number)
{
    const struct cgroup_kind *k = g->kind;
    scoped(fd) int group = open_group(g, number);
    if (group < 0)
        return (struct cgroup_counts){0};
    uint64_t peak = read_number(group, k->peak, "");
    bool was_full = k->full ? read_number(group, k->events, k->full) > 0
                            : peak + ALMOST >= read_number(group, k->settings[0].file, "");
    return (struct cgroup_counts){
        .peak = peak, .oom_kills = read_number(group, k->events, "oom_kill"), .was_full = was_full};
}

int cgroup_remove(const struct cgroup *g, uint64_t number)
{
    char name[NAME];
    name_of(g, number, name);
    return unlinkat(g->directory, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

void cgroup_sweep(const struct cgroup *g)
{
    int copy = openat(g->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    if (!d) {
        fd_close(&copy);
        return;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (strncmp(e->d_name, g->prefix, strlen(g->prefix)) == 0)
            (void)unlinkat(g->directory, e->d_name, AT_REMOVEDIR);
    closedir(d);
}

/* --- the group they are below */

uint64_t cgroup_room(const struct cgroup *g)
{
    return cgroup_limit(g->kind == &kinds[CGROUP_V1] ? CGROUP_V1 : CGROUP_V2, g->path);
}

uint64_t cgroup_limit(enum cgroup_version version, const char *own)
{
    char path[CGROUP_PATH];
    uint64_t room = UINT64_MAX;
    snprintf(path, sizeof path, "%s", own);
    for (char *last; (last = strrchr(path, '/')) != NULL && last != path; *last = '\0') {
        scoped(fd) int group = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        uint64_t limit = read_number(group, kinds[version].settings[0].file, ""); /* 0: "max", or not a group */
        room = limit && limit < room ? limit : room;
    }
    return room;
}

/* With v2 a group that hands its memory controller down holds no process, except at the root. */
static int hand_down_memory(const struct cgroup *g)
{
    if (!has_word(g->directory, "cgroup.controllers", "memory"))
        return -EOPNOTSUPP;
    if (has_word(g->directory, "cgroup.subtree_control", "memory"))
        return 0;
    int err = write_text(g->directory, "cgroup.subtree_control", "+memory");
    if (err != -EBUSY)
        return err;
    if (mkdirat(g->directory, "core", 0755) < 0 && errno != EEXIST)
        return -errno;
    err = write_text(g->directory, "core/cgroup.procs", "0");
    if (!err)
        err = write_text(g->directory, "cgroup.subtree_control", "+memory");
    if (err) { /* others are in it: as it was */
        write_text(g->directory, "cgroup.procs", "0");
        unlinkat(g->directory, "core", AT_REMOVEDIR);
    }
    return err;
}

/* We are in a group for the coordinator already: of a former life, or systemd's DelegateSubgroup=. */
static void leave_out_core(char path[CGROUP_PATH])
{
    char *last = strrchr(path, '/');
    if (last && last != path && (strcmp(last, "/core") == 0 || strcmp(last, "/supervisor") == 0))
        *last = '\0';
}

static int try_one(const struct cgroup *g)
{
    int entrance = cgroup_make(g, 0, 64 << 20);
    if (entrance < 0)
        return entrance;
    fd_close(&entrance);
    return cgroup_remove(g, 0);
}

/* Whoever moves a process must be able to write to the group above both ends. */
static int may_move(const struct cgroup *g)
{
    return faccessat(g->directory, "cgroup.procs", W_OK, 0) < 0 ? -errno : 0;
}

static int prepare(const struct cgroup *g, enum cgroup_version version, char why[CGROUP_WHY])
{
    int err = version == CGROUP_V2 ? hand_down_memory(g) : 0;
    const char *what = err == -EOPNOTSUPP ? "it does not count memory here"
                       : err == -EBUSY    ? "other processes are in our group"
                                          : "our group is not delegated to us";
    if (!err) {
        what = "no group can be made in ours";
        err = may_move(g);
    }
    if (!err) {
        cgroup_sweep(g);
        err = try_one(g);
    }
    if (err)
        snprintf(why, CGROUP_WHY, "%s: %.100s", what, err_str(err));
    return err;
}

int cgroup_at(enum cgroup_version version, const char *path, const char *prefix, struct cgroup *out)
{
    *out = (struct cgroup){.kind = &kinds[version]};
    snprintf(out->path, sizeof out->path, "%s", path);
    snprintf(out->prefix, sizeof out->prefix, "%s", prefix);
    out->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return out->directory < 0 ? -errno : 0;
}

int cgroup_open(enum cgroup_version version, const char *own, const char *prefix, struct cgroup *out,
                char why[CGROUP_WHY])
{
    char path[CGROUP_PATH];
    struct cgroup g;
    snprintf(path, sizeof path, "%s", own);
    if (version == CGROUP_V2)
        leave_out_core(path);
    int err = cgroup_at(version, path, prefix, &g);
    if (err) {
        snprintf(why, CGROUP_WHY, "our group cannot be opened: %.100s", err_str(err));
        return err;
    }
    err = prepare(&g, version, why);
    if (err)
        cgroup_close(&g);
    else
        *out = g;
    return err;
}

void cgroup_close(struct cgroup *g)
{
    fd_close(&g->directory);
}
