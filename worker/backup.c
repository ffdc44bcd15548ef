#include <dirent.h>
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
#include "index/segment.h"
#include "index/snapshot.h"
#include "index/store.h"
#include "proto/manifest.h"
#include "worker/job.h"
#include "worker/report.h"
#include "worker/words.h"

/* BACKUP: copies of each core.mdb, or, later, the segments that they name and the manifest over all that is there. The
 * data directory is the working directory; nothing in it is unlinked while a backup is made.
 *
 * What is damaged is told (report_damaged), and its files are copied as they are, so that the rest is had, and nobody's data
 * is lost for that. LMDB may end who walks what is damaged: then the next worker knows of which place that was, and does not. */

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

static int copy_to(const struct worker *w, struct core *core, const char *path)
{
    scoped(fd) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0)
        fail(w, path, -errno);
    int err = core_copy(core, fd);
    if (!err && fsync(fd) < 0)
        fail(w, path, -errno);
    return err;
}

static bool is_damage(int err)
{
    enum exit_reason reason = words_reason(err);
    return reason == EXIT_REASON_CORRUPT || store_is_damage(err);
}

static bool is_known(const struct worker *w, const place_message *p)
{
    for (size_t i = 0; i < w->job->n_damaged; i++) {
        const place_message *d = w->job->damaged[i]->place;
        if (d && d->index == p->index && d->edition == p->edition && d->shard == p->shard)
            return true;
    }
    return false;
}

/* A file of its directory that is not there is no more damage than there is already. */
static void copy_as_it_is(const struct worker *w, const char *target, const char *directory, const char *name)
{
    char from[PATH_SIZE], to[PATH_SIZE];
    snprintf(from, sizeof from, "%s/%s", directory, name);
    snprintf(to, sizeof to, "%s/%s/%s", target, directory, name);
    uint64_t bytes;
    uint32_t crc;
    int err = unlink(to) < 0 && errno != ENOENT ? -errno : file_copy(from, to, &bytes, &crc);
    if (err != -ENOENT)
        must(w, to, err);
}

/* A worker makes core.mdb before it writes a segment. */
static bool has_segments(const char *directory)
{
    bool found = false;
    DIR *d = opendir(directory);
    for (struct dirent *e; d && !found && (e = readdir(d)) != NULL;)
        found = strncmp(e->d_name, "seg-", 4) == 0;
    if (d)
        closedir(d);
    return found;
}

/* Where there is none yet, nothing was ever committed. */
static void copy_core(struct worker *w, const char *target, const place_message *place)
{
    char directory[PLACE_PATH_MAX], path[PATH_SIZE];
    struct core *core;
    job_place_path(place, directory);
    bool damaged = is_known(w, place);
    int err = damaged ? 0 : core_open_reader(directory, &core);
    if (err == -ENOENT && !has_segments(directory))
        return;
    must(w, target, directory_make_below(target, directory, DIRECTORY_MODE));
    if (!damaged && !err) {
        snprintf(path, sizeof path, "%s/%s/core.mdb", target, directory);
        err = copy_to(w, core, path);
        core_close(core);
    }
    if (err && err != -ENOENT && !is_damage(err))
        fail(w, directory, err);
    if (err)
        report_damaged(w, place, "core.mdb: %s", err == -ENOENT ? "it is gone or cut" : err_str(err));
    if (damaged || err)
        copy_as_it_is(w, target, directory, "core.mdb");
}

/* -------------------------------------------------------------------------------------------------------- segments */

/* Every byte is looked at: the manifest is to say of nothing that it is whole that is not. */
static void look_at_segment(struct worker *w, const place_message *place, const char *path)
{
    const char *section = NULL, *name = strrchr(path, '/') + 1;
    int err = segment_verify(path, &section);
    if (err && !is_damage(err))
        fail(w, path, err);
    if (err)
        report_damaged(w, place, "%s: %s%s%s", name, section ? section : "", section ? ": " : "", err_str(err));
}

static void link_segment(struct worker *w, const place_message *place, const char *from, const char *to)
{
    int err = file_link(from, to);
    if (err == -EEXIST) /* by the worker before this one, which died */
        return;
    if (err == -ENOENT)
        report_damaged(w, place, "%s: %s", strrchr(from, '/') + 1, err_str(err));
    else
        must(w, from, err);
}

static void link_segments(struct worker *w, const place_message *place, const char *directory, const char *copy,
                          const struct core_view *view)
{
    char from[PATH_SIZE], to[PATH_SIZE];
    for (size_t i = 0; i < view->segment_count; i++) {
        if (view->segments[i].image) /* it is in core.mdb */
            continue;
        snapshot_segment_path(directory, view->segments[i].id, from, sizeof from);
        snapshot_segment_path(copy, view->segments[i].id, to, sizeof to);
        link_segment(w, place, from, to);
        if (access(to, F_OK) == 0)
            look_at_segment(w, place, to);
        w->words->bytes += view->segments[i].bytes;
    }
}

/* Nobody can say which of them are live. */
static void link_all_segments(struct worker *w, const place_message *place, const char *directory, const char *copy)
{
    char from[PATH_SIZE], to[PATH_SIZE];
    DIR *d = opendir(directory);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        if (strncmp(e->d_name, "seg-", 4) != 0)
            continue;
        snprintf(from, sizeof from, "%s/%.64s", directory, e->d_name);
        snprintf(to, sizeof to, "%.3000s/%.64s", copy, e->d_name);
        link_segment(w, place, from, to);
    }
    if (d)
        closedir(d);
}

static int read_copy(const char *copy, struct core **core, struct core_view **view)
{
    int err = core_open_alone(copy, core);
    if (err)
        return err;
    err = core_read(*core, NULL, view);
    if (err)
        core_close(*core);
    return err;
}

static void add_segments(struct worker *w, const char *target, const place_message *place)
{
    char directory[PLACE_PATH_MAX], copy[PATH_SIZE];
    struct core *core;
    struct core_view *view;
    job_place_path(place, directory);
    snprintf(copy, sizeof copy, "%s/%s", target, directory);
    bool damaged = is_known(w, place);
    int err = damaged ? 0 : read_copy(copy, &core, &view);
    if (err == -ENOENT)
        return;
    if (err && !is_damage(err))
        fail(w, copy, err);
    if (err)
        report_damaged(w, place, "core.mdb: %s", err_str(err));
    if (damaged || err) {
        link_all_segments(w, place, directory, copy);
        return;
    }
    link_segments(w, place, directory, copy, view);
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
    struct manifest_file file = {0};
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

static void list_damaged(struct worker *w, struct listing *l)
{
    for (size_t i = 0; i < w->job->n_damaged; i++) {
        struct manifest_file file = {0};
        job_place_path(w->job->damaged[i]->place, file.path);
        snprintf(file.what, sizeof file.what, "%s", w->job->damaged[i]->what);
        manifest_add(&l->text, &file);
    }
}

static void finish(struct worker *w, const char *target)
{
    struct listing l = {.worker = w, .target = target};
    words_stage(w->words, STAGE_WRITING);
    manifest_begin(&l.text);
    must(w, target, directory_walk(target, list_one, &l));
    must(w, target, fd_sync_directory(target));
    list_damaged(w, &l);
    manifest_end(&l.text);
    must(w, target, l.text.err);
    write_manifest(w, target, (struct str){l.text.data, l.text.len});
}

enum exit_reason backup_run(struct worker *w)
{
    const job_message *job = w->job;
    const char *target = job->backup;
    w->words->documents_total = job->n_survey;
    if (job->part == MAYFLY__INTERNAL__JOB__PART__MANIFEST)
        finish(w, target);
    else if (job->part == MAYFLY__INTERNAL__JOB__PART__CORES && job->from == 0)
        make_target(w, target);
    for (size_t i = job->from; i < job->n_survey && job->part != MAYFLY__INTERNAL__JOB__PART__MANIFEST; i++) {
        w->words->documents = i; /* the place that is in hand: if LMDB ends this process, it is of that one */
        if (job->part == MAYFLY__INTERNAL__JOB__PART__SEGMENTS)
            add_segments(w, target, job->survey[i]);
        else
            copy_core(w, target, job->survey[i]);
    }
    return EXIT_REASON_DONE;
}
