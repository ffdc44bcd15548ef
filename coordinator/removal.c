#include "coordinator/removal.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "common/check.h"
#include "common/err.h"
#include "common/logger.h"

struct doomed {
    struct doomed *next;
    uint64_t due; /* loop time */
    int err;
    bool tree;
    char path[];
};

struct removal {
    uv_loop_t *loop;
    uv_timer_t timer;
    uv_work_t work;
    struct doomed *waiting; /* by `due` */
    struct doomed *removing;
    bool held;
    char data[PATH_MAX];
};

/* --- removing, in the pool */

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status, (void)kind, (void)where;
    return remove(path) < 0 && errno != ENOENT ? -errno : 0;
}

static int remove_path(const char *path, bool tree)
{
    if (!tree)
        return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
    int rc = nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return rc == -1 && errno == ENOENT ? 0 : rc;
}

static void remove_in_pool(uv_work_t *work)
{
    struct removal *r = work->data;
    for (struct doomed *d = r->removing; d; d = d->next)
        d->err = remove_path(d->path, d->tree);
}

static void arm(struct removal *r);

static void removed(uv_work_t *work, int status)
{
    struct removal *r = work->data;
    (void)status;
    for (struct doomed *next, *d = r->removing; d; d = next) {
        next = d->next;
        if (d->err)
            log_warn("cannot remove %s, the next start tries again: %s", d->path, err_str(d->err));
        free(d);
    }
    r->removing = NULL;
    arm(r);
}

/* --- waiting */

static void on_due(uv_timer_t *timer)
{
    struct removal *r = timer->data;
    struct doomed **end = &r->removing;
    if (r->removing || r->held)
        return;
    while (r->waiting && r->waiting->due <= uv_now(r->loop)) {
        *end = r->waiting;
        r->waiting = r->waiting->next;
        end = &(*end)->next;
        *end = NULL;
    }
    if (r->removing)
        require(uv_queue_work(r->loop, &r->work, remove_in_pool, removed) == 0);
    else
        arm(r);
}

static void arm(struct removal *r)
{
    uint64_t now = uv_now(r->loop);
    if (r->waiting && !r->removing && !r->held)
        uv_timer_start(&r->timer, on_due, r->waiting->due > now ? r->waiting->due - now : 0, 0);
}

static void doom(struct removal *r, const char *path, bool tree, uint64_t grace_ms)
{
    size_t length = strlen(path);
    struct doomed *d = calloc(1, sizeof *d + length + 1);
    require(d);
    memcpy(d->path, path, length);
    d->tree = tree;
    d->due = uv_now(r->loop) + grace_ms;
    struct doomed **at = &r->waiting;
    while (*at && (*at)->due <= d->due)
        at = &(*at)->next;
    d->next = *at;
    *at = d;
    arm(r);
}

void removal_segment(struct removal *r, const struct stream *s, uint64_t segment, uint64_t grace_ms)
{
    char path[PATH_MAX + 128];
    snprintf(path, sizeof path, "%s/indexes/%u/%u/%u/seg-%llu.mdb", r->data, s->index->number, s->index->edition,
             s->shard, (unsigned long long)segment);
    doom(r, path, false, grace_ms);
}

void removal_edition(struct removal *r, uint32_t number, uint32_t edition, uint64_t grace_ms)
{
    char path[PATH_MAX + 128];
    snprintf(path, sizeof path, "%s/indexes/%u/%u", r->data, number, edition);
    doom(r, path, true, grace_ms);
}

void removal_index(struct removal *r, uint32_t number, uint64_t grace_ms)
{
    char path[PATH_MAX + 128];
    snprintf(path, sizeof path, "%s/indexes/%u", r->data, number);
    doom(r, path, true, grace_ms);
}

struct removal *removal_create(struct uv_loop_s *loop, const char *data)
{
    struct removal *r = calloc(1, sizeof *r);
    require(r);
    r->loop = loop;
    r->work.data = r;
    snprintf(r->data, sizeof r->data, "%s", data);
    require(uv_timer_init(loop, &r->timer) == 0);
    r->timer.data = r;
    return r;
}

void removal_hold(struct removal *r)
{
    r->held = true;
    uv_timer_stop(&r->timer);
}

void removal_release(struct removal *r)
{
    r->held = false;
    arm(r);
}

bool removal_is_idle(const struct removal *r)
{
    return !r->removing;
}

size_t removal_waiting(const struct removal *r, uint64_t *out_due_ms)
{
    size_t count = 0;
    uint64_t now = uv_now(r->loop), last = now;
    for (const struct doomed *d = r->removing; d; d = d->next)
        count++;
    for (const struct doomed *d = r->waiting; d; d = d->next) {
        count++;
        last = d->due > last ? d->due : last;
    }
    *out_due_ms = last - now;
    return count;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void removal_destroy(struct removal *r)
{
    require(!r->removing);
    for (struct doomed *next, *d = r->waiting; d; d = next) {
        next = d->next;
        free(d);
    }
    uv_close((uv_handle_t *)&r->timer, on_closed);
}

/* --- orphans */

static bool parse_number(const char *text, const char *suffix, uint64_t *out)
{
    if (*text < '0' || *text > '9')
        return false;
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && strcmp(end, suffix) == 0;
}

static bool is_live(const struct stream *s, uint64_t segment)
{
    for (size_t i = 0; i < s->segment_count; i++)
        if (s->segments[i].id == segment)
            return true;
    return false;
}

static void remove_orphan(const char *path, bool tree)
{
    int err = remove_path(path, tree);
    if (err)
        log_warn("cannot remove orphan %s: %s", path, err_str(err));
    else
        log_info("removed orphan %s", path);
}

static void clean_stream(const char *data, const struct stream *s)
{
    char directory[PATH_MAX + 128], path[PATH_MAX + 512];
    snprintf(directory, sizeof directory, "%s/indexes/%u/%u/%u", data, s->index->number, s->index->edition, s->shard);
    DIR *d = opendir(directory);
    if (!d)
        return;
    for (struct dirent *entry; (entry = readdir(d));) {
        uint64_t id;
        if (strncmp(entry->d_name, "seg-", 4) != 0 || !parse_number(entry->d_name + 4, ".mdb", &id) || is_live(s, id))
            continue;
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        remove_orphan(path, false);
    }
    closedir(d);
}

/* Directories with a number for a name that is not wanted. */
static void clean_numbers(const char *directory, bool (*is_wanted)(const void *context, uint64_t number),
                          const void *context)
{
    char path[PATH_MAX + 512];
    DIR *d = opendir(directory);
    if (!d)
        return;
    for (struct dirent *entry; (entry = readdir(d));) {
        uint64_t number;
        if (!parse_number(entry->d_name, "", &number) || is_wanted(context, number))
            continue;
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        remove_orphan(path, true);
    }
    closedir(d);
}

static bool is_index(const void *context, uint64_t number)
{
    return number <= UINT32_MAX && indexes_by_number(context, (uint32_t)number);
}

static bool is_edition(const void *context, uint64_t number)
{
    const struct index *i = context;
    return number == i->edition;
}

/* Others are what is left of one that was not finished, or had its successor. */
static void clean_editions(const char *data, const struct index *i)
{
    char directory[PATH_MAX + 32];
    snprintf(directory, sizeof directory, "%s/indexes/%u", data, i->number);
    clean_numbers(directory, is_edition, i);
}

void removal_of_orphans(const char *data, const struct indexes *all)
{
    char directory[PATH_MAX + 16];
    snprintf(directory, sizeof directory, "%s/indexes", data);
    clean_numbers(directory, is_index, all);
    for (const struct index *i = all->first; i; i = i->next) {
        clean_editions(data, i);
        for (uint32_t n = 0; n < i->shards; n++)
            if (!i->streams[n].damaged)
                clean_stream(data, &i->streams[n]);
    }
}
