#include "client/cli/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/fd.h"
#include "common/files.h"
#include "proto/manifest.h"

enum { DIRECTORY_MODE = 0750 };

struct restoring {
    const char *backup, *data;
    struct buf manifest;
    struct str lines;
    struct stat owner; /* of `data`: root gives it what it makes there */
    char *why;
};

__attribute__((format(printf, 2, 3))) static bool fail(const struct restoring *r, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(r->why, RESTORE_WHY, format, arguments);
    va_end(arguments);
    return false;
}

static bool join(const struct restoring *r, const char *directory, const char *name, char to[PATH_MAX])
{
    return snprintf(to, PATH_MAX, "%s/%s", directory, name) < PATH_MAX || fail(r, "%s: its path is too long", name);
}

/* -------------------------------------------------------------------------------------------------------- the backup */

static bool read_manifest(struct restoring *r)
{
    uint32_t version = 0;
    int err = manifest_read(r->backup, &r->manifest);
    if (err == -ENOENT && access(r->backup, F_OK) < 0)
        return fail(r, "%s: %s", r->backup, err_str(-errno));
    if (err == -ENOENT)
        return fail(r, "%s is no backup, or not whole: it has no " MANIFEST_NAME, r->backup);
    if (!err)
        err = manifest_open((struct str){r->manifest.data, r->manifest.len}, &r->lines, &version);
    if (err == ERR_VERSION)
        return fail(r, "%s is a backup of format %" PRIu32 ", this program reads %d", r->backup, version,
                    MANIFEST_VERSION);
    return !err || fail(r, "%s/" MANIFEST_NAME ": %s", r->backup, err_str(err));
}

typedef bool file_visitor(struct restoring *r, const struct manifest_file *f, const char *path);

/* Every file of the manifest, with its path in the backup. */
static bool each_file(struct restoring *r, file_visitor *visit, struct restored *out)
{
    struct str lines = r->lines;
    struct manifest_file f;
    char path[PATH_MAX];
    int got;
    buf_finish(&out->damaged);
    *out = (struct restored){0};
    while ((got = manifest_next(&lines, &f)) > 0) {
        if (manifest_is_damage(&f)) {
            buf_printf(&out->damaged, "%s: %s", f.path, f.what);
            buf_append_str(&out->damaged, (struct str){"", 1});
            out->damages++;
            continue;
        }
        if (!join(r, r->backup, f.path, path) || !visit(r, &f, path))
            return false;
        out->files++;
        out->bytes += f.bytes;
    }
    return got == 0 || fail(r, "%s/" MANIFEST_NAME ": %s", r->backup, err_str(got));
}

static bool is_as_listed(struct restoring *r, const struct manifest_file *f, const char *path, uint64_t bytes,
                         uint32_t crc)
{
    if (bytes != f->bytes)
        return fail(r, "%s has %" PRIu64 " bytes, the manifest says %" PRIu64, path, bytes, f->bytes);
    return crc == f->crc || fail(r, "%s is damaged: its checksum is not the manifest's", path);
}

static bool look_at(struct restoring *r, const struct manifest_file *f, const char *path)
{
    uint64_t bytes;
    uint32_t crc;
    int err = file_checksum(path, &bytes, &crc);
    return err ? fail(r, "%s: %s", path, err_str(err)) : is_as_listed(r, f, path, bytes, crc);
}

/* ----------------------------------------------------------------------------------------------- the data directory */

static bool give_away(const struct restoring *r, const char *path)
{
    if (geteuid() == 0 && chown(path, r->owner.st_uid, r->owner.st_gid) < 0)
        return fail(r, "%s: %s", path, err_str(-errno));
    return true;
}

/* The directories of a path, with their owner. */
static bool make_parents(const struct restoring *r, const char *path)
{
    char part[MANIFEST_PATH], whole[PATH_MAX];
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        if (!join(r, r->data, part, whole))
            return false;
        if (mkdir(whole, DIRECTORY_MODE) == 0) {
            if (!give_away(r, whole))
                return false;
        } else if (errno != EEXIST) {
            return fail(r, "%s: %s", whole, err_str(-errno));
        }
    }
    return true;
}

static bool copy(struct restoring *r, const struct manifest_file *f, const char *path)
{
    char to[PATH_MAX];
    uint64_t bytes;
    uint32_t crc;
    if (!join(r, r->data, f->path, to) || !make_parents(r, f->path))
        return false;
    int err = file_copy(path, to, &bytes, &crc);
    if (err)
        return fail(r, "%s: %s", to, err_str(err));
    return is_as_listed(r, f, path, bytes, crc) && give_away(r, to);
}

static int sync_directory(void *context, const char *path, bool is_directory)
{
    const struct restoring *r = context;
    char whole[PATH_MAX];
    if (!is_directory)
        return 0;
    return join(r, r->data, path, whole) ? fd_sync_directory(whole) : -ENAMETOOLONG;
}

static bool sync_all(struct restoring *r)
{
    int err = directory_walk(r->data, sync_directory, r);
    if (!err)
        err = fd_sync_directory(r->data);
    return !err || fail(r, "%s: %s", r->data, err_str(err));
}

static bool put_mark(struct restoring *r, char path[PATH_MAX])
{
    if (!join(r, r->data, RESTORING_NAME, path))
        return false;
    scoped(fd) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0 || fsync(fd) < 0)
        return fail(r, "%s: %s", path, err_str(-errno));
    int err = fd_sync_directory(r->data);
    return !err || fail(r, "%s: %s", r->data, err_str(err));
}

/* A server that is started meanwhile waits for it, as for a former life. */
static bool take_lock(struct restoring *r, int *out_fd)
{
    char path[PATH_MAX];
    if (!join(r, r->data, "LOCK", path))
        return false;
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0640);
    if (fd < 0)
        return fail(r, "%s: %s", path, err_str(-errno));
    *out_fd = fd;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return fail(r, "a server uses %s", r->data);
    return give_away(r, path);
}

static bool make_target(struct restoring *r)
{
    int err = directory_make_empty(r->data, DIRECTORY_MODE);
    if (err == -ENOTEMPTY)
        return fail(r, "%s is not empty: a restore goes into an empty directory or a new one", r->data);
    if (!err && stat(r->data, &r->owner) < 0)
        err = -errno;
    return !err || fail(r, "%s: %s", r->data, err_str(err));
}

static bool fill(struct restoring *r, struct restored *out)
{
    char mark[PATH_MAX];
    scoped(fd) int lock = -1;
    if (!make_target(r) || !put_mark(r, mark) || !take_lock(r, &lock) || !each_file(r, copy, out))
        return false;
    if (!make_parents(r, "log/") || !sync_all(r)) /* a log without a file is not in the manifest */
        return false;
    if (unlink(mark) < 0)
        return fail(r, "%s: %s", mark, err_str(-errno));
    int err = fd_sync_directory(r->data);
    return !err || fail(r, "%s: %s", r->data, err_str(err));
}

bool restore(const char *backup, const char *data, struct restored *out, char why[RESTORE_WHY])
{
    struct restoring r = {.backup = backup, .data = data, .why = why};
    *out = (struct restored){0};
    bool done = read_manifest(&r) && each_file(&r, look_at, out) && fill(&r, out);
    buf_finish(&r.manifest);
    return done;
}
