#include "coordinator/disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "common/clock.h"
#include "common/logger.h"

enum {
    SLACK = 64 << 10, /* of a file system, which keeps more than bytes of files */
    CALM = 3,         /* looks: a disk that is almost full is not full and not full in turn */
};

static bool is_on(const char *path, dev_t device)
{
    struct stat status;
    return stat(path, &status) == 0 && status.st_dev == device;
}

/* The highest directory above that is on the same file system. */
static void find_mount(struct disk *d)
{
    char above[PATH_MAX];
    struct stat status;
    if (!realpath(d->directory, d->mount) || stat(d->mount, &status) < 0) {
        snprintf(d->mount, sizeof d->mount, "%s", d->directory);
        return;
    }
    memcpy(above, d->mount, sizeof above);
    for (char *slash; (slash = strrchr(above, '/')) != NULL && above[1];) {
        slash[slash == above] = 0;
        if (!is_on(above, status.st_dev))
            return;
        memcpy(d->mount, above, sizeof above);
    }
}

void disk_open(struct disk *d, const char *directory)
{
    *d = (struct disk){.directory = directory};
    find_mount(d);
}

struct disk_room disk_room(const struct disk *d)
{
    struct statvfs s;
    if (statvfs(d->directory, &s) < 0)
        return (struct disk_room){0, 0};
    return (struct disk_room){(uint64_t)s.f_blocks * s.f_frsize, (uint64_t)s.f_bavail * s.f_frsize};
}

bool disk_is_full(const struct disk *d)
{
    return d && d->full_since;
}

static const struct disk_need *first_unmet(const struct disk *d)
{
    for (unsigned user = 0; user < DISK_USERS; user++)
        if (d->needs[user].is_unmet)
            return &d->needs[user];
    return NULL;
}

/* With a quota there may be free bytes that are not ours. */
uint64_t disk_missing(const struct disk *d)
{
    const struct disk_need *need = first_unmet(d);
    uint64_t wanted = need ? need->bytes + SLACK : 0, free = disk_room(d).free;
    return free < wanted ? wanted - free : wanted;
}

const char *disk_lacking(const struct disk *d)
{
    const struct disk_need *need = first_unmet(d);
    return need ? need->path : "";
}

void disk_say(const struct disk *d, char out[DISK_SENTENCE])
{
    snprintf(out, DISK_SENTENCE, "the disk at %.120s is full: %.160s/%s lacks %llu bytes; try again when there is room", d->mount,
             d->directory, disk_lacking(d), (unsigned long long)disk_missing(d));
}

static void begin(struct disk *d)
{
    d->full_since = clock_wall_us();
    d->refusals_before = d->refusals;
    d->failures_before = d->failures;
    log_error("the disk is full: what was accepted waits, new writes may be refused, searches go on disk=%s path=%s/%s missing=%llu "
              "free=%llu",
              d->mount, d->directory, disk_lacking(d), (unsigned long long)disk_missing(d), (unsigned long long)disk_room(d).free);
}

static void end_if_met(struct disk *d)
{
    d->calm = first_unmet(d) ? 0 : d->calm + 1;
    if (!d->full_since || d->calm < CALM)
        return;
    uint64_t seconds = (clock_wall_us() - d->full_since) / 1000000;
    d->full_since = 0;
    log_info("the disk has room again, all that waited goes on disk=%s seconds=%llu refused=%llu failed=%llu", d->mount,
             (unsigned long long)seconds, (unsigned long long)(d->refusals - d->refusals_before),
             (unsigned long long)(d->failures - d->failures_before));
}

bool disk_is_lacked(struct disk *d, enum disk_user user, int err, uint64_t bytes, const char *path)
{
    if (!d || (err != -ENOSPC && err != -EDQUOT))
        return false;
    struct disk_need *need = &d->needs[user];
    need->is_unmet = true;
    d->calm = 0;
    need->bytes = bytes;
    snprintf(need->path, sizeof need->path, "%s", path);
    if (!d->full_since)
        begin(d);
    d->failures++;
    return true;
}

void disk_has_sufficed(struct disk *d, enum disk_user user)
{
    if (d)
        d->needs[user].is_unmet = false; /* disk_look says that it is over: others may be about to fail */
}

void disk_refused(struct disk *d)
{
    d->refusals++;
}

bool disk_has_room_for(const struct disk *d, enum disk_user user)
{
    const struct disk_need *need = &d->needs[user];
    return need->is_unmet && disk_room(d).free >= need->bytes + SLACK;
}

void disk_look(struct disk *d)
{
    if (disk_has_room_for(d, DISK_CATALOG))
        d->needs[DISK_CATALOG].is_unmet = false;
    end_if_met(d);
}
