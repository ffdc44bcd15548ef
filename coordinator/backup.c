#include "coordinator/backup.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/files.h"
#include "common/logger.h"
#include "coordinator/editions.h"
#include "coordinator/tasks_state.h"
#include "proto/manifest.h"

enum { WHY = 512 };

struct backup {
    struct server *server;
    backup_done *done;
    void *context;
    uint64_t began_us;
    struct backup_part part;
    struct place *places;
    struct backup_damage *damages;
    uint64_t *logs; /* numbers of files */
    size_t log_count;
    uv_work_t work;
    bool in_pool, log_is_held;
    char why[WHY]; /* of the pool */
    char directory[];
};

/* Of one index it is enough to be told the first. */
static void say_damages(const struct backup *b, char out[WHY])
{
    size_t more = b->part.damage_count - 1;
    snprintf(out, WHY, "%.400s%s", b->damages[0].what, more ? "; and more, which MANIFEST has" : "");
}

static void tell(struct backup *b, const char *why)
{
    char damages[WHY];
    uint64_t ms = (clock_us() - b->began_us) / 1000;
    if (why) {
        log_error("the backup is not whole, what there is of it can be removed directory=%s: %s", b->directory, why);
        b->done(b->context, CODE_BACKUP_FAILED, why);
    } else if (b->part.damage_count) {
        say_damages(b, damages);
        log_error("backed up, but for what is damaged: its files are copied as they are directory=%s ms=%llu: %s", b->directory,
                  (unsigned long long)ms, damages);
        b->done(b->context, CODE_BACKUP_DAMAGED, damages);
    } else {
        log_info("backed up directory=%s ms=%llu", b->directory, (unsigned long long)ms);
        b->done(b->context, NULL, NULL);
    }
}

/* After a kill a task is known from the catalog or from the log, so the log forgets nothing of it before the catalog has been
 * told; where it cannot be, the disk that the log gives back may be all that it lacks. */
static void on_tasks_told(void *context, int err)
{
    struct oplog *log = context;
    (void)err;
    oplog_release(log);
}

static void release_log(struct backup *b)
{
    if (!b->log_is_held)
        return;
    b->log_is_held = false;
    tasks_release(b->server->tasks);
    tasks_flush(b->server->tasks, on_tasks_told, b->server->log);
}

static void end(struct backup *b, const char *why)
{
    struct server *s = b->server;
    release_log(b);
    jobs_hold_removals(s->jobs, false);
    s->backup = NULL;
    tell(b, why);
    for (size_t i = 0; i < b->part.damage_count; i++)
        free(b->damages[i].what);
    free(b->damages);
    free(b->places);
    free(b->logs);
    free(b);
}

static void fail(struct backup *b, int err)
{
    char why[WHY];
    snprintf(why, sizeof why, "%s", err_str(err));
    end(b, why);
}

/* ---------------------------------------------------------------------------------------------------------- the end */

static void on_finished(void *context, int err, const char *why)
{
    end(context, err ? why : NULL);
}

static void on_segments_linked(void *context, int err, const char *why)
{
    struct backup *b = context;
    b->part.stage = BACKUP_MANIFEST;
    if (err)
        end(b, why);
    else
        jobs_backup(b->server->jobs, &b->part, on_finished, b);
}

static void add_segments(struct backup *b)
{
    release_log(b);
    b->part.stage = BACKUP_SEGMENTS;
    jobs_backup(b->server->jobs, &b->part, on_segments_linked, b);
}

/* ------------------------------------------------------------------------------------------------- catalog and log */

static int link_log(const struct backup *b, uint64_t number, char to[PATH_MAX])
{
    char from[PATH_MAX];
    unsigned long long n = number;
    snprintf(from, sizeof from, "%s/log/%llu.log", b->server->data, n);
    if (snprintf(to, PATH_MAX, "%s/log/%llu.log", b->directory, n) >= PATH_MAX)
        return -ENAMETOOLONG;
    return file_link(from, to);
}

static void in_pool(uv_work_t *work)
{
    struct backup *b = work->data;
    char path[PATH_MAX];
    int err = snprintf(path, sizeof path, "%s/catalog.mdb", b->directory) < (int)sizeof path ? 0 : -ENAMETOOLONG;
    if (!err)
        err = catalog_copy(b->server->catalog, path);
    for (size_t i = 0; i < b->log_count && !err; i++)
        err = link_log(b, b->logs[i], path);
    if (err)
        snprintf(b->why, sizeof b->why, "%.400s: %s", path, err_str(err));
    b->part.in_memory = cap_is_in_memory(b->directory);
}

static void after_pool(uv_work_t *work, int status)
{
    struct backup *b = work->data;
    b->in_pool = false;
    if (status)
        fail(b, status);
    else if (b->why[0])
        end(b, b->why);
    else
        add_segments(b);
}

static void on_rolled(void *context, uint64_t last)
{
    struct backup *b = context;
    for (uint64_t number = 0; (number = oplog_next_file(b->server->log, number)) != 0 && number <= last;) {
        uint64_t *grown = realloc(b->logs, (b->log_count + 1) * sizeof *grown);
        require(grown);
        b->logs = grown;
        grown[b->log_count++] = number;
    }
    b->work.data = b;
    b->in_pool = true;
    require(uv_queue_work(b->server->loop, &b->work, in_pool, after_pool) == 0);
}

/* ---------------------------------------------------------------------------------------------------- the beginning */

static void on_cores_copied(void *context, int err, const char *why)
{
    struct backup *b = context;
    if (err)
        end(b, why);
    else
        oplog_roll(b->server->log, on_rolled, b);
}

static void on_damaged(void *context, const struct place *place, const char *what)
{
    struct backup *b = context;
    const struct index *i = indexes_by_number(&b->server->indexes, place->index);
    struct backup_damage *grown = realloc(b->damages, (b->part.damage_count + 1) * sizeof *grown);
    char text[MANIFEST_WHAT];
    require(grown);
    snprintf(text, sizeof text, "index %s, shard %u: %s", i ? i->name : "that was dropped", place->shard, what);
    message_make_valid(text);
    b->part.damages = b->damages = grown;
    grown[b->part.damage_count] = (struct backup_damage){.place = *place, .what = strdup(text)};
    require(grown[b->part.damage_count++].what);
    log_error("what is damaged is backed up as it is: %s", text);
}

/* Those that were acknowledged by now are in the catalog, and so in its copy, as they were when they were held. */
static void on_tasks_kept(void *context, int err)
{
    struct backup *b = context;
    (void)err; /* the catalog has said so; then the log has them */
    jobs_backup(b->server->jobs, &b->part, on_cores_copied, b);
}

static void list_places(struct backup *b)
{
    const struct indexes *all = &b->server->indexes;
    size_t count = 0;
    for (const struct index *i = all->first; i; i = i->next)
        count += i->shards;
    b->places = calloc(count + 1, sizeof *b->places);
    require(b->places);
    for (const struct index *i = all->first; i; i = i->next)
        for (uint32_t n = 0; n < i->shards; n++) {
            b->places[b->part.place_count++] = stream_place(&i->streams[n]);
            if (i->streams[n].damaged)
                on_damaged(b, &b->places[b->part.place_count - 1], "it is refused since the start, whose log says why");
        }
    b->part.places = b->places;
    b->part.on_damaged = on_damaged;
}

static bool is_any_switching(const struct indexes *all)
{
    for (const struct index *i = all->first; i; i = i->next)
        if (editions_is_switching(i))
            return true;
    return false;
}

bool backup_start(struct server *s, const char *directory, backup_done *done, void *context)
{
    if (s->backup || is_any_switching(&s->indexes))
        return false;
    size_t length = strlen(directory);
    struct backup *b = calloc(1, sizeof *b + length + 1);
    require(b);
    *b = (struct backup){.server = s, .done = done, .context = context, .began_us = clock_us()};
    memcpy(b->directory, directory, length + 1);
    b->part.directory = b->directory;
    b->part.in_memory = true; /* for all that is known yet; little is written */
    list_places(b);
    jobs_hold_removals(s->jobs, true);
    oplog_hold(s->log);
    tasks_hold(s->tasks);
    b->log_is_held = true;
    s->backup = b;
    log_info("backing up directory=%s", directory);
    tasks_flush(s->tasks, on_tasks_kept, b);
    return true;
}

bool backup_holds_editions(const struct server *s)
{
    return s->backup && s->backup->log_is_held;
}

bool backup_is_idle(const struct server *s)
{
    return !s->backup || !s->backup->in_pool;
}
