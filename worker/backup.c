#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/fd.h"
#include "common/files.h"
#include "index/core.h"
#include "index/snapshot.h"
#include "proto/manifest.h"
#include "worker/job.h"
#include "worker/words.h"

/* BACKUP: copies of each core.mdb, or, later, the segments that they name and the manifest over all that is there. The
 * data directory is the working directory; nothing in it is unlinked while a backup is made. */

enum { DIRECTORY_MODE = 0750, TARGET_MAX = 3000, PATH_SIZE = TARGET_MAX + PLACE_PATH_MAX + 64 };

static _Noreturn void fail(const struct worker *w, const char *path, int err)
{
    words_die(w->words, words_reason(err), "%s: %s", path, err_str(err));
}

static void must(const struct worker *w, const char *path, int err)
{
    if (err)
        fail(w, path, err);
}

/* The parent of a path without its last slash. */
static void parent_of(const char *path, char out[TARGET_MAX])
{
    snprintf(out, TARGET_MAX, "%s", path);
    char *slash = strrchr(out, '/');
    *(slash && slash != out ? slash : out + 1) = '\0';
}

/* ---------------------------------------------------------------------------------------------------- the directory */

/* The next backup would have this one in it, and a start would take it for an orphan. */
static void must_be_outside(const struct worker *w, const char *target)
{
    char parent[TARGET_MAX], real[PATH_MAX], data[PATH_MAX];
    parent_of(target, parent);
    if (!realpath(parent, real))
        fail(w, parent, -errno);
    if (!realpath(".", data))
        fail(w, "the data directory", -errno);
    size_t length = strlen(data);
    if (strncmp(real, data, length) == 0 && (real[length] == '/' || real[length] == '\0'))
        words_die(w->words, EXIT_REASON_WRITE, "%s: a backup does not go into the data directory", target);
}

static void make_target(const struct worker *w, const char *target)
{
    if (target[0] != '/' || strlen(target) >= TARGET_MAX)
        words_die(w->words, EXIT_REASON_CORRUPT, "the backup's directory is no absolute path");
    must_be_outside(w, target);
    int err = directory_make_empty(target, DIRECTORY_MODE);
    if (err == -ENOTEMPTY)
        words_die(w->words, EXIT_REASON_WRITE, "%s: a backup goes into an empty directory or a new one", target);
    must(w, target, err);
    must(w, target, directory_make_below(target, "log", DIRECTORY_MODE));
    must(w, target, directory_make_below(target, "indexes", DIRECTORY_MODE));
}

/* -------------------------------------------------------------------------------------------------------- core.mdb */

static void copy_to(const struct worker *w, struct core *core, const char *path)
{
    scoped(fd) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0)
        fail(w, path, -errno);
    must(w, path, core_copy(core, fd));
    if (fsync(fd) < 0)
        fail(w, path, -errno);
}

/* Where there is none yet, nothing was ever committed. */
static void copy_core(const struct worker *w, const char *target, const place_message *place)
{
    char directory[PLACE_PATH_MAX], path[PATH_SIZE];
    struct core *core;
    job_place_path(place, directory);
    int err = core_open_reader(directory, &core);
    if (err == -ENOENT)
        return;
    must(w, directory, err);
    must(w, target, directory_make_below(target, directory, DIRECTORY_MODE));
    snprintf(path, sizeof path, "%s/%s/core.mdb", target, directory);
    copy_to(w, core, path);
    core_close(core);
}

/* -------------------------------------------------------------------------------------------------------- segments */

static void link_segments(const struct worker *w, const char *directory, const char *copy, const struct core_view *view)
{
    char from[PATH_SIZE], to[PATH_SIZE];
    for (size_t i = 0; i < view->segment_count; i++) {
        if (view->segments[i].image) /* it is in core.mdb */
            continue;
        snapshot_segment_path(directory, view->segments[i].id, from, sizeof from);
        snapshot_segment_path(copy, view->segments[i].id, to, sizeof to);
        must(w, from, file_link(from, to));
        w->words->bytes += view->segments[i].bytes;
    }
}

static void add_segments(const struct worker *w, const char *target, const place_message *place)
{
    char directory[PLACE_PATH_MAX], copy[PATH_SIZE];
    struct core *core;
    struct core_view *view;
    job_place_path(place, directory);
    snprintf(copy, sizeof copy, "%s/%s", target, directory);
    int err = core_open_alone(copy, &core);
    if (err == -ENOENT)
        return;
    must(w, copy, err);
    must(w, copy, core_read(core, NULL, &view));
    link_segments(w, directory, copy, view);
    core_view_release(view);
    core_close(core);
}

/* -------------------------------------------------------------------------------------------------------- manifest */

struct listing {
    const struct worker *worker;
    const char *target;
    struct buf text;
};

static int list_one(void *context, const char *path, bool is_directory)
{
    struct listing *l = context;
    char whole[PATH_SIZE];
    struct manifest_file file;
    if (snprintf(whole, sizeof whole, "%s/%s", l->target, path) >= (int)sizeof whole ||
        snprintf(file.path, sizeof file.path, "%s", path) >= (int)sizeof file.path)
        return -ENAMETOOLONG;
    int err = is_directory ? fd_sync_directory(whole) : file_checksum(whole, &file.bytes, &file.crc);
    if (err)
        fail(l->worker, whole, err);
    if (!is_directory)
        manifest_add(&l->text, &file);
    return 0;
}

/* Under its name only when it is whole and all that it lists is durable. */
static void write_manifest(const struct worker *w, const char *target, struct str text)
{
    char path[PATH_SIZE], name[PATH_SIZE], parent[TARGET_MAX];
    snprintf(path, sizeof path, "%s/" MANIFEST_NAME ".new", target);
    snprintf(name, sizeof name, "%s/" MANIFEST_NAME, target);
    parent_of(target, parent);
    scoped(fd) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0)
        fail(w, path, -errno);
    must(w, path, fd_write_all(fd, text.ptr, text.len));
    if (fsync(fd) < 0 || rename(path, name) < 0)
        fail(w, path, -errno);
    must(w, target, fd_sync_directory(target));
    must(w, parent, fd_sync_directory(parent));
}

static void finish(const struct worker *w, const char *target)
{
    struct listing l = {.worker = w, .target = target};
    words_stage(w->words, STAGE_WRITING);
    manifest_begin(&l.text);
    must(w, target, directory_walk(target, list_one, &l));
    must(w, target, fd_sync_directory(target));
    manifest_end(&l.text);
    must(w, target, l.text.err);
    write_manifest(w, target, (struct str){l.text.data, l.text.len});
}

enum exit_reason backup_run(struct worker *w)
{
    const job_message *job = w->job;
    const char *target = job->backup;
    w->words->documents_total = job->n_survey;
    if (!job->finish)
        make_target(w, target);
    for (size_t i = 0; i < job->n_survey; i++) {
        if (job->finish)
            add_segments(w, target, job->survey[i]);
        else
            copy_core(w, target, job->survey[i]);
        w->words->documents++;
    }
    if (job->finish)
        finish(w, target);
    return EXIT_REASON_DONE;
}
