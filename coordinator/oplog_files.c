#include "coordinator/oplog_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/check.h"
#include "common/err.h"
#include "common/logger.h"

enum { SHRINK_STEP = 1 << 20 };

void oplog_path(const char *directory, uint64_t number, char out[OPLOG_PATH])
{
    snprintf(out, OPLOG_PATH, "%s/%llu.log", directory, (unsigned long long)number);
}

/* ------------------------------------------------------------------------------------------------------------- the
 * tables */

static struct log_file *file_of(struct oplog_files *f, uint64_t number)
{
    for (size_t i = f->count; i-- > 0;)
        if (f->files[i].number == number)
            return &f->files[i];
    struct log_file *grown = realloc(f->files, (f->count + 1) * sizeof *grown);
    require(grown != NULL);
    f->files = grown;
    grown[f->count] = (struct log_file){.number = number};
    return &grown[f->count++];
}

static uint32_t stream_of(struct oplog_files *f, const struct oplog_stream *s)
{
    for (size_t i = 0; i < f->stream_count; i++)
        if (memcmp(&f->streams[i].stream, s, sizeof *s) == 0)
            return (uint32_t)i;
    struct stream_state *grown = realloc(f->streams, (f->stream_count + 1) * sizeof *grown);
    require(grown != NULL);
    f->streams = grown;
    grown[f->stream_count] = (struct stream_state){.stream = *s, .moved = f->appended};
    return (uint32_t)f->stream_count++;
}

void oplog_claim(struct oplog_files *f, const struct oplog_stream *s, uint64_t end)
{
    uint32_t stream = stream_of(f, s);
    if (end > f->streams[stream].tail)
        f->streams[stream].tail = end;
}

/* The last one of the stream in the file, if it goes on where the entry begins. */
static struct extent *extent_before(struct log_file *file, uint32_t stream, uint64_t first, uint64_t from)
{
    for (size_t i = file->extent_count; i-- > 0;) {
        struct extent *e = &file->extents[i];
        if (e->stream == stream)
            return e->end == first && from - e->from < EXTENT_SPAN ? e : NULL;
    }
    return NULL;
}

static struct extent *new_extent(struct log_file *file, struct extent e)
{
    struct extent *grown = realloc(file->extents, (file->extent_count + 1) * sizeof *grown);
    require(grown != NULL);
    file->extents = grown;
    grown[file->extent_count] = e;
    return &grown[file->extent_count++];
}

void oplog_note(struct oplog_files *f, uint64_t number, const struct oplog_entry *e, uint64_t from, uint64_t to)
{
    struct log_file *file = file_of(f, number);
    uint32_t stream = stream_of(f, &e->stream);
    struct extent *x = extent_before(file, stream, e->first, from);
    if (!x)
        x = new_extent(file, (struct extent){.stream = stream, .first = e->first, .from = from, .first_task = e->task});
    x->end = e->first + e->count;
    x->to = to;
    x->bytes += to - from;
    x->last_task = e->task;
    oplog_claim(f, &e->stream, x->end);
}

void oplog_note_size(struct oplog_files *f, uint64_t number, uint64_t bytes)
{
    struct log_file *file = file_of(f, number);
    f->bytes += bytes - file->bytes;
    file->bytes = bytes;
}

bool oplog_is_needed(const struct oplog_files *f, const struct extent *e)
{
    return f->streams[e->stream].trimmed < e->end;
}

static bool is_needed(const struct oplog_files *f, struct log_file *file)
{
    if (file->needed < file->extent_count && oplog_is_needed(f, &file->extents[file->needed]))
        return true;
    for (size_t i = 0; i < file->extent_count; i++) {
        file->needed = i;
        if (oplog_is_needed(f, &file->extents[i]))
            return true;
    }
    return false;
}

struct removed_files oplog_files_take_removed(struct oplog_files *f)
{
    struct removed_files taken = f->removed;
    f->removed = (struct removed_files){NULL, 0};
    return taken;
}

/* In steps, since the kernel keeps the processor to the end of each: 20 ms for 64 MiB at once. A file that has another name, in a
 * backup, stays as it is. */
static void shrink(int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0 || status.st_nlink > 0)
        return;
    off_t left = status.st_size;
    while (left > 0) {
        left = left > SHRINK_STEP ? left - SHRINK_STEP : 0;
        if (ftruncate(fd, left) < 0)
            return;
    }
}

void oplog_files_free_removed(struct removed_files *r, bool are_read)
{
    for (size_t i = 0; i < r->count; i++) {
        if (!are_read)
            shrink(r->fds[i]);
        close(r->fds[i]);
    }
    free(r->fds);
    *r = (struct removed_files){NULL, 0};
}

/* As long as it is open, to unlink it is only to take away its name. */
static void keep_open(struct oplog_files *f, const char *path)
{
    struct removed_files *r = &f->removed;
    int *grown = realloc(r->fds, (r->count + 1) * sizeof *grown);
    if (!grown)
        return;
    r->fds = grown;
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0)
        r->fds[r->count++] = fd;
}

static void remove_file(struct oplog_files *f, size_t at)
{
    char path[OPLOG_PATH];
    oplog_path(f->directory, f->files[at].number, path);
    keep_open(f, path);
    if (unlink(path) < 0 && errno != ENOENT)
        log_warn("a log file that nobody needs could not be removed: %s", path);
    f->bytes -= f->files[at].bytes;
    free(f->files[at].extents);
    memmove(f->files + at, f->files + at + 1, (f->count - at - 1) * sizeof *f->files);
    f->count--;
}

static void remove_unneeded(struct oplog_files *f, uint64_t open)
{
    if (f->holds)
        return;
    for (size_t i = 0; i < f->count;) {
        bool untold = f->files[i].old && f->reading_number && f->files[i].number >= f->told;
        if (f->files[i].number == open || untold || is_needed(f, &f->files[i]))
            i++;
        else
            remove_file(f, i);
    }
}

void oplog_files_trim(struct oplog_files *f, const struct oplog_stream *s, uint64_t sequence, uint64_t open)
{
    uint32_t stream = stream_of(f, s); /* first: it may move the table */
    struct stream_state *state = &f->streams[stream];
    if (sequence <= state->trimmed)
        return;
    state->trimmed = sequence;
    state->moved = f->appended;
    remove_unneeded(f, open);
}

void oplog_files_leave(struct oplog_files *f, uint64_t number, bool stays)
{
    struct log_file *file = file_of(f, number);
    file->stays = stays;
    if (stays)
        return;
    file->extent_count = 0;
    remove_unneeded(f, f->last_number);
}

void oplog_files_hold(struct oplog_files *f, bool held, uint64_t open)
{
    f->holds += held ? 1 : -1u;
    remove_unneeded(f, open);
}

void oplog_files_drop(struct oplog_files *f, uint32_t index, uint64_t open)
{
    for (size_t i = 0; i < f->stream_count; i++)
        if (f->streams[i].stream.index == index)
            f->streams[i].trimmed = UINT64_MAX;
    remove_unneeded(f, open);
}

uint64_t oplog_files_tail(const struct oplog_files *f, const struct oplog_stream *s)
{
    for (size_t i = 0; i < f->stream_count; i++)
        if (memcmp(&f->streams[i].stream, s, sizeof *s) == 0)
            return f->streams[i].tail;
    return 0;
}

void oplog_files_present(const struct oplog_files *f, const struct oplog_stream *s, struct ranges *add)
{
    for (size_t i = 0; i < f->count; i++)
        for (size_t k = 0; k < f->files[i].extent_count; k++) {
            const struct extent *e = &f->files[i].extents[k];
            if (memcmp(&f->streams[e->stream].stream, s, sizeof *s) == 0)
                ranges_add(add, e->first, e->end);
        }
}

/* ------------------------------------------------------------------------------------------------------------- reading
 */

static int next_entry(struct oplog_scan *scan, struct oplog_entry *out)
{
    struct oplog_piece p;
    int event;
    while ((event = oplog_scan_next(scan, &p)) == SCAN_DAMAGE)
        continue; /* reported when the log was opened */
    if (event == SCAN_ENTRY)
        *out = p.r.entry;
    return event < 0 ? event : event == SCAN_ENTRY;
}

int oplog_files_next(struct oplog_files *f, struct oplog_entry *out)
{
    for (;;) {
        if (f->scan.map) {
            int got = next_entry(&f->scan, out);
            if (got)
                return got;
            oplog_scan_close(&f->scan);
            f->reading++;
        }
        while (f->reading < f->count && !f->files[f->reading].old)
            f->reading++;
        if (f->reading >= f->count)
            return 0;
        char path[OPLOG_PATH];
        f->reading_number = f->files[f->reading].number;
        oplog_path(f->directory, f->reading_number, path);
        int err = oplog_scan_open(&f->scan, path, f->reading_number);
        if (err && err != ERR_CORRUPT)
            return err;
        if (err)
            f->reading++;
    }
}

void oplog_files_end_reading(struct oplog_files *f)
{
    oplog_scan_finish(&f->scan);
    f->reading_number = 0;
    for (size_t i = 0; i < f->count; i++)
        f->files[i].old = false;
    remove_unneeded(f, f->last_number);
}

/* ------------------------------------------------------------------------------------------------------------- opening
 */

static int by_number(const void *left, const void *right)
{
    const struct log_file *a = left, *b = right;
    return (a->number > b->number) - (a->number < b->number);
}

static int list_files(struct oplog_files *f)
{
    DIR *d = opendir(f->directory);
    if (!d)
        return -errno;
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        unsigned long long number;
        int end = 0;
        if (sscanf(e->d_name, "%llu.log%n", &number, &end) == 1 && end > 0 && e->d_name[end] == 0)
            file_of(f, number)->old = true;
    }
    closedir(d);
    if (f->count)
        qsort(f->files, f->count, sizeof *f->files, by_number);
    f->last_number = f->count ? f->files[f->count - 1].number : 0;
    return 0;
}

/* `out_end`: nothing behind it is whole. */
static int scan_file(struct oplog_files *f, uint64_t number, uint64_t *out_end)
{
    struct oplog_piece p;
    char path[OPLOG_PATH];
    oplog_path(f->directory, number, path);
    int event = 0, err = oplog_scan_open(&f->scan, path, number);
    if (err)
        return err == ERR_CORRUPT ? 0 : err;
    while ((event = oplog_scan_next(&f->scan, &p)) > 0) {
        if (event == SCAN_ENTRY)
            oplog_note(f, number, &p.r.entry, p.from, p.to);
        else
            oplog_add_damage(f, number, &p);
    }
    *out_end = f->scan.end;
    oplog_note_size(f, number, f->scan.used > f->scan.end ? f->scan.used : f->scan.end);
    if (f->scan.bad_header && f->scan.end > OPLOG_FILE_HEADER)
        log_error("the header of a log file is damaged, its records are read: %s", path);
    oplog_mark_proven(f, number, f->scan.synced);
    oplog_scan_close(&f->scan);
    return event;
}

static int scan_all(struct oplog_files *f)
{
    uint64_t *ends = calloc(f->count + 1, sizeof *ends);
    int err = ends ? 0 : -ENOMEM;
    for (size_t i = 0; i < f->count && !err; i++)
        err = scan_file(f, f->files[i].number, &ends[i]);
    if (!err)
        err = oplog_settle_damage(f, ends);
    free(ends);
    return err;
}

int oplog_files_open(struct oplog_files *f, const char *directory)
{
    *f = (struct oplog_files){0};
    if (strlen(directory) >= sizeof f->directory)
        return -ENAMETOOLONG;
    snprintf(f->directory, sizeof f->directory, "%s", directory);
    int err = list_files(f);
    if (!err)
        err = scan_all(f);
    f->reading_number = f->count ? f->files[0].number : 0;
    if (err)
        oplog_files_close(f);
    return err;
}

void oplog_files_close(struct oplog_files *f)
{
    struct removed_files removed = oplog_files_take_removed(f);
    oplog_files_free_removed(&removed, true);
    oplog_scan_finish(&f->scan);
    for (size_t i = 0; i < f->count; i++)
        free(f->files[i].extents);
    free(f->files);
    free(f->streams);
    free(f->damages);
    *f = (struct oplog_files){0};
}
