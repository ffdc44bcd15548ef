#include "index/core.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/err.h"
#include "common/fd.h"
#include "index/core_commit.h"
#include "index/core_file.h"
#include "index/core_ids.h"
#include "index/core_keys.h"
#include "index/core_view.h"

struct core {
    struct core_file *file;
    char directory[]; /* "" for the working directory */
};

/* ---------------------------------------------------------------------------------------------------------- directory
 */

static int make_directory(const char *path)
{
    return mkdir(path, 0750) && errno != EEXIST ? -errno : 0;
}

/* Calls `visit` for each directory on the way to and including `path`. */
static int walk(const char *path, int (*visit)(const char *path))
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len >= sizeof part)
        return -ENAMETOOLONG;
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && i != len)
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        int err = visit(part);
        if (err)
            return err;
    }
    return 0;
}

/* The first commit makes the file's name durable: whoever made it may have been killed before that. */
static int sync_directories(const char *directory)
{
    int err = directory[0] == '/' ? 0 : fd_sync_directory(".");
    return err ? err : walk(directory, fd_sync_directory);
}

/* ------------------------------------------------------------------------------------------------------ open and close
 */

static int open_core(const char *directory, enum core_access access, struct core **out)
{
    char path[PATH_MAX];
    size_t len = strlen(directory);
    int n = snprintf(path, sizeof path, "%s/core.mdb", len ? directory : ".");
    if (n < 0 || (size_t)n >= sizeof path)
        return -ENAMETOOLONG;
    struct core *c = calloc(1, sizeof *c + len + 1);
    if (!c)
        return -ENOMEM;
    memcpy(c->directory, directory, len + 1);
    int err = core_file_open(path, access, &c->file);
    if (err)
        core_close(c);
    else
        *out = c;
    return err;
}

int core_open_reader(const char *directory, struct core **out)
{
    return open_core(directory, CORE_READS, out);
}

int core_open_alone(const char *directory, struct core **out)
{
    return open_core(directory, CORE_ALONE, out);
}

int core_open_builder(const char *directory, struct core **out)
{
    int err = walk(directory, make_directory);
    return err ? err : open_core(directory, CORE_WRITES, out);
}

int core_open_writer(const char *directory, struct core **out)
{
    struct core *c;
    int err = core_open_builder(directory, &c);
    if (err)
        return err;
    err = core_begin(c);
    if (err) {
        core_close(c);
        return err;
    }
    core_abort(c);
    *out = c;
    return 0;
}

void core_close(struct core *c)
{
    if (!c)
        return;
    core_file_close(c->file);
    free(c);
}

int core_sweep(struct core *c)
{
    return core_file_sweep(c->file);
}

int core_copy(struct core *c, int fd)
{
    return core_file_copy(c->file, fd);
}

int core_verify(struct core *c)
{
    int err = core_file_look(c->file);
    if (err)
        return err;
    err = core_file_verify(c->file);
    core_file_done(c->file);
    return err;
}

/* ------------------------------------------------------------------------------------------------------------- reading
 */

int core_read(struct core *c, struct core_view *previous, struct core_view **out)
{
    int err = core_file_look(c->file);
    if (err)
        return err;
    err = core_view_read(c->file, previous, out);
    core_file_done(c->file);
    return err;
}

static int read_tombstones(struct core_file *f, struct core_cursor *cursor, core_tombstone_sink *sink, void *context)
{
    struct core_key from = core_key(CORE_TOMBSTONE);
    struct str key, value;
    int err = core_cursor_open(f, cursor);
    if (!err)
        err = core_cursor_seek(cursor, core_key_str(&from), &key, &value);
    for (; !err && key.ptr[0] == CORE_TOMBSTONE; err = core_cursor_next(cursor, &key, &value)) {
        struct core_tombstone t = {.id = {.ptr = key.ptr + CORE_TOMBSTONE_ID, .len = key.len - CORE_TOMBSTONE_ID}};
        err = core_key_read_tombstone(key, &t.hash);
        if (!err)
            err = core_get_tombstone(key, value, &t.stamp, &t.sequence);
        if (!err)
            err = sink(context, &t);
        if (err)
            return err;
    }
    return err == -ENOENT ? 0 : err;
}

int core_tombstones(struct core *c, core_tombstone_sink *sink, void *context)
{
    int err = core_file_look(c->file);
    if (err)
        return err;
    struct core_cursor cursor = {0};
    err = read_tombstones(c->file, &cursor, sink, context);
    core_cursor_close(&cursor);
    core_file_done(c->file);
    return err;
}

static size_t all_places(uint32_t *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (uint32_t)i;
    return count;
}

int core_may_have(struct core *c, uint64_t segment, const uint64_t *hashes, size_t count, uint32_t *out_places,
                  size_t *out_count)
{
    bool is_locked = core_file_is_writing(c->file);
    int err = is_locked ? 0 : core_file_look(c->file);
    if (err)
        return err;
    if (!core_ids_find(c->file, segment, hashes, count, out_places, out_count))
        *out_count = all_places(out_places, count);
    if (!is_locked)
        core_file_done(c->file);
    return 0;
}

static int read_refusals(struct core_file *f, struct core_cursor *cursor, core_refusal_sink *sink, void *context)
{
    struct core_key from = core_key(CORE_REFUSAL);
    struct str key, value;
    int err = core_cursor_open(f, cursor);
    if (!err)
        err = core_cursor_seek(cursor, core_key_str(&from), &key, &value);
    for (; !err && key.ptr[0] == CORE_REFUSAL; err = core_cursor_next(cursor, &key, &value)) {
        struct core_refusal r;
        err = core_get_refusal(key, value, &r);
        if (!err)
            err = sink(context, &r);
        if (err)
            return err;
    }
    return err == -ENOENT ? 0 : err;
}

int core_refusals(struct core *c, core_refusal_sink *sink, void *context)
{
    int err = core_file_look(c->file);
    if (err)
        return err;
    struct core_cursor cursor = {0};
    err = read_refusals(c->file, &cursor, sink, context);
    core_cursor_close(&cursor);
    core_file_done(c->file);
    return err;
}

/* ------------------------------------------------------------------------------------------------------------- writing
 */

int core_begin(struct core *c)
{
    return core_file_begin(c->file);
}

int core_begin_view(struct core *c, struct core_view *previous, struct core_view **out)
{
    return core_view_read(c->file, previous, out);
}

int core_find_tombstone(struct core *c, uint64_t hash, struct str id, uint64_t *out_stamp)
{
    if (id.len > CORE_ID_MAX)
        return -ENOENT;
    struct core_key key = core_key_tombstone(hash, id);
    struct str value;
    uint64_t sequence;
    int err = core_file_get(c->file, core_key_str(&key), &value);
    return err ? err : core_get_tombstone(core_key_str(&key), value, out_stamp, &sequence);
}

int core_seek_tombstone(struct core *c, uint64_t from_hash, uint64_t *out_hash)
{
    struct core_key from = core_key_u64(CORE_TOMBSTONE, from_hash);
    struct core_cursor cursor = {0};
    struct str key, value;
    int err = core_cursor_open(c->file, &cursor);
    if (!err)
        err = core_cursor_seek(&cursor, core_key_str(&from), &key, &value);
    if (!err)
        err = core_key_read_tombstone(key, out_hash);
    core_cursor_close(&cursor);
    return err;
}

int core_commit(struct core *c, const struct core_change *change, uint64_t *out_generation)
{
    uint64_t generation;
    int err = core_change_write(c->file, change, &generation);
    if (!err && (generation == 1 || change->position)) /* which may be the first commit, too */
        err = sync_directories(c->directory);
    if (err) {
        core_abort(c);
        return err;
    }
    err = core_file_commit(c->file);
    if (!err)
        *out_generation = generation;
    return err;
}

void core_abort(struct core *c)
{
    core_file_abort(c->file);
}
