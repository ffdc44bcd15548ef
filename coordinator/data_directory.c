#include "coordinator/data_directory.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/logger.h"
#include "coordinator/lock.h"
#include "coordinator/oplog_version.h"
#include "coordinator/service.h"
#include "proto/manifest.h"

enum { START_S = 90 }; /* what a start takes once it has the data */

static void make_directory(const char *path)
{
    if (mkdir(path, 0750) < 0 && errno != EEXIST)
        log_die("cannot make the directory %s: %s", path, strerror(errno));
}

void data_directory_make(struct server *s)
{
    char path[PATH_MAX];
    make_directory(s->config.data);
    if (!realpath(s->config.data, path) || strlen(path) > sizeof s->data - 100)
        log_die("the data directory %s cannot be used: %s", s->config.data, strerror(errno));
    memcpy(s->data, path, strlen(path) + 1);
    snprintf(path, sizeof path, "%s/log", s->data);
    make_directory(path);
    snprintf(path, sizeof path, "%s/indexes", s->data);
    make_directory(path);
}

/* `mayfly restore` puts it there first and takes it away last. */
void data_directory_must_be_whole(const struct server *s)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/" RESTORING_NAME, s->data);
    if (access(path, F_OK) == 0)
        log_die("a restore into %s has not come to its end: empty the directory and restore again", s->data);
}

int data_directory_lock(const struct server *s)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/LOCK", s->data);
    service_needs(s->config.lock_timeout + START_S);
    int lock = lock_take(path, (unsigned)(s->config.lock_timeout * 1000));
    if (lock == -EWOULDBLOCK)
        log_die("another mayflyd has the data: %s is held", path);
    if (lock < 0)
        log_die("cannot lock %s: %s", path, err_str(lock));
    return lock;
}

/* The catalog is written as soon as it is open. */
static void check_log(const struct server *s)
{
    char path[PATH_MAX], why[OPLOG_WHY];
    snprintf(path, sizeof path, "%s/log", s->data);
    if (oplog_check_versions(path, why))
        log_die("the log cannot be used: %s", why);
}

static void open_catalog(struct server *s)
{
    char path[PATH_MAX], why[256] = "";
    snprintf(path, sizeof path, "%s/catalog.mdb", s->data);
    int err = catalog_open(s->loop, path, (uint32_t)s->config.shards, &s->indexes, &s->catalog, why);
    if (err)
        log_die("the catalog %s cannot be used: %s", path, why[0] ? why : err_str(err));
    for (struct index *i = s->indexes.first; i; i = i->next)
        i->durable = true;
}

static void open_log(struct server *s)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/log", s->data);
    int err = oplog_open(s->loop, path, catalog_epoch(s->catalog), s->config.log_quota, &s->log);
    if (err)
        log_die("cannot open %s: %s", path, err_str(err));
}

void data_directory_open(struct server *s)
{
    disk_open(&s->disk, s->data);
    check_log(s);
    open_catalog(s);
    open_log(s);
    catalog_set_disk(s->catalog, &s->disk);
    oplog_set_disk(s->log, &s->disk);
}
