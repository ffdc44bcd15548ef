#include "common/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/crc.h"
#include "common/fd.h"

enum { CHUNK = 128 << 10 };

/* ------------------------------------------------------------------------------------------------------------- files */

/* Sums up what `from` still has, and writes it to `to` unless that is -1. */
static int pump(int from, int to, uint64_t *out_bytes, uint32_t *out_crc)
{
    char *chunk = malloc(CHUNK);
    uint64_t bytes = 0;
    uint32_t crc = 0;
    int err = chunk ? 0 : -ENOMEM;
    while (!err) {
        ssize_t got = read(from, chunk, CHUNK);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            err = got < 0 ? -errno : 0;
            break;
        }
        crc = crc32c(crc, chunk, (size_t)got);
        bytes += (uint64_t)got;
        err = to < 0 ? 0 : fd_write_all(to, chunk, (size_t)got);
    }
    free(chunk);
    *out_bytes = bytes;
    *out_crc = crc;
    return err;
}

static int open_to_read(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return fd;
}

int file_checksum(const char *path, uint64_t *out_bytes, uint32_t *out_crc)
{
    scoped(fd) int fd = open_to_read(path);
    return fd < 0 ? fd : pump(fd, -1, out_bytes, out_crc);
}

int file_copy(const char *from, const char *to, uint64_t *out_bytes, uint32_t *out_crc)
{
    scoped(fd) int source = open_to_read(from);
    if (source < 0)
        return source;
    scoped(fd) int target = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (target < 0)
        return -errno;
    int err = pump(source, target, out_bytes, out_crc);
    return err ? err : fsync(target) < 0 ? -errno : 0;
}

/* Not on this file system, not of that owner's file, or not one more of it. */
static bool is_no_link_possible(int error)
{
    return error == EXDEV || error == EPERM || error == EOPNOTSUPP || error == EMLINK || error == EACCES;
}

int file_link(const char *from, const char *to)
{
    uint64_t bytes;
    uint32_t crc;
    if (link(from, to) == 0)
        return 0;
    return is_no_link_possible(errno) ? file_copy(from, to, &bytes, &crc) : -errno;
}

/* ------------------------------------------------------------------------------------------------------- directories */

static int is_real(const struct dirent *e)
{
    return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static int check_empty(const char *path)
{
    DIR *d = opendir(path);
    if (!d)
        return -errno;
    const struct dirent *e = readdir(d);
    while (e && !is_real(e))
        e = readdir(d);
    closedir(d);
    return e ? -ENOTEMPTY : 0;
}

int directory_make_empty(const char *path, unsigned mode)
{
    if (mkdir(path, mode) == 0)
        return 0;
    return errno == EEXIST ? check_empty(path) : -errno;
}

int directory_make_below(const char *root, const char *path, unsigned mode)
{
    char part[PATH_MAX];
    int length = snprintf(part, sizeof part, "%s/%s", root, path);
    if (length < 0 || (size_t)length >= sizeof part)
        return -ENAMETOOLONG;
    for (char *at = part + strlen(root) + 1; at; *at++ = '/') {
        at = strchr(at, '/');
        if (at)
            *at = '\0';
        if (mkdir(part, mode) < 0 && errno != EEXIST)
            return -errno;
        if (!at)
            break;
    }
    return 0;
}

struct walk {
    char path[PATH_MAX]; /* from `root` bytes on relative */
    size_t root;
    directory_visitor *visit;
    void *context;
};

static int walk_directory(struct walk *w, size_t length);

static int walk_one(struct walk *w, size_t length, const char *name)
{
    struct stat status;
    int more = snprintf(w->path + length, sizeof w->path - length, "/%s", name);
    if (more < 0 || length + (size_t)more >= sizeof w->path)
        return -ENAMETOOLONG;
    if (lstat(w->path, &status) < 0)
        return -errno;
    bool is_directory = S_ISDIR(status.st_mode);
    if (!is_directory && !S_ISREG(status.st_mode))
        return -EINVAL;
    int err = is_directory ? walk_directory(w, length + (size_t)more) : 0;
    return err ? err : w->visit(w->context, w->path + w->root, is_directory);
}

static int walk_directory(struct walk *w, size_t length)
{
    struct dirent **entries;
    int count = scandir(w->path, &entries, is_real, alphasort), err = 0;
    if (count < 0)
        return -errno;
    for (int i = 0; i < count; i++) {
        err = err ? err : walk_one(w, length, entries[i]->d_name);
        w->path[length] = '\0';
        free(entries[i]);
    }
    free(entries);
    return err;
}

int directory_walk(const char *root, directory_visitor *visit, void *context)
{
    struct walk w = {.root = strlen(root) + 1, .visit = visit, .context = context};
    if (w.root >= sizeof w.path)
        return -ENAMETOOLONG;
    memcpy(w.path, root, w.root);
    return walk_directory(&w, w.root - 1);
}
