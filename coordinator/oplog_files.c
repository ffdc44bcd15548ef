#include "coordinator/oplog_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/check.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/logger.h"

void oplog_path(const struct oplog_files *f, uint64_t number, char out[OPLOG_PATH])
{
    snprintf(out, OPLOG_PATH, "%s/%llu.log", f->directory, (unsigned long long)number);
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
    grown[f->stream_count] = (struct stream_state){.stream = *s};
    return (uint32_t)f->stream_count++;
}

void oplog_note(struct oplog_files *f, uint64_t number, const struct oplog_stream *s, uint64_t end)
{
    struct log_file *file = file_of(f, number);
    uint32_t stream = stream_of(f, s);
    if (end > f->streams[stream].tail)
        f->streams[stream].tail = end;
    for (size_t i = 0; i < file->need_count; i++) {
        if (file->needs[i].stream == stream) {
            if (end > file->needs[i].end)
                file->needs[i].end = end;
            return;
        }
    }
    struct need *grown = realloc(file->needs, (file->need_count + 1) * sizeof *grown);
    require(grown != NULL);
    file->needs = grown;
    grown[file->need_count++] = (struct need){stream, end};
}

void oplog_note_size(struct oplog_files *f, uint64_t number, uint64_t bytes)
{
    struct log_file *file = file_of(f, number);
    f->bytes += bytes - file->bytes;
    file->bytes = bytes;
}

static bool is_needed(const struct oplog_files *f, const struct log_file *file)
{
    for (size_t i = 0; i < file->need_count; i++)
        if (f->streams[file->needs[i].stream].trimmed < file->needs[i].end)
            return true;
    return false;
}

static void remove_file(struct oplog_files *f, size_t at)
{
    char path[OPLOG_PATH];
    oplog_path(f, f->files[at].number, path);
    if (unlink(path) < 0 && errno != ENOENT)
        log_warn("a log file that nobody needs could not be removed: %s", path);
    f->bytes -= f->files[at].bytes;
    free(f->files[at].needs);
    memmove(f->files + at, f->files + at + 1, (f->count - at - 1) * sizeof *f->files);
    f->count--;
}

static void remove_unneeded(struct oplog_files *f, uint64_t open)
{
    for (size_t i = 0; i < f->count;) {
        bool read_now = f->files[i].old && f->reading_number <= f->files[i].number && f->reading_number;
        if (f->files[i].number == open || read_now || is_needed(f, &f->files[i]))
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
    remove_unneeded(f, open);
}

void oplog_files_drop(struct oplog_files *f, uint32_t index)
{
    for (size_t i = 0; i < f->stream_count; i++)
        if (f->streams[i].stream.index == index)
            f->streams[i].trimmed = UINT64_MAX;
}

uint64_t oplog_files_tail(const struct oplog_files *f, const struct oplog_stream *s)
{
    for (size_t i = 0; i < f->stream_count; i++)
        if (memcmp(&f->streams[i].stream, s, sizeof *s) == 0)
            return f->streams[i].tail;
    return 0;
}

/* ------------------------------------------------------------------------------------------------------------- reading
 */

static void unmap(struct oplog_files *f)
{
    union {
        const char *from;
        void *to;
    } map = {.from = f->map};
    if (f->map)
        munmap(map.to, f->map_size);
    f->map = NULL;
    f->map_size = f->at = 0;
}

static int map_file(struct oplog_files *f, uint64_t number)
{
    char path[OPLOG_PATH];
    struct stat status;
    unmap(f);
    oplog_path(f, number, path);
    scoped(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        return -errno;
    if (status.st_size < OPLOG_FILE_HEADER)
        return ERR_CORRUPT; /* made, but its header was not yet durable */
    void *map = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    f->map = map;
    f->map_size = (size_t)status.st_size;
    f->at = OPLOG_FILE_HEADER;
    return oplog_check_file_header(map, f->map_size, number);
}

/* The next whole record of the mapped file; 0 at its end or where it is torn. */
static int64_t next_record(struct oplog_files *f, struct oplog_record *r)
{
    if (f->at >= f->map_size)
        return 0;
    int64_t size = oplog_decode((struct str){f->map + f->at, f->map_size - f->at}, r);
    if (size < 0)
        return 0;
    f->at += (size_t)size;
    return size;
}

static int join(struct oplog_files *f, struct oplog_record *r)
{
    f->joined.len = 0;
    buf_append_str(&f->joined, r->entry.operations);
    while (!(r->flags & OPLOG_LAST)) {
        struct oplog_record next;
        if (next_record(f, &next) == 0 || next.flags & OPLOG_FIRST)
            return 0; /* torn between fragments: it was never acknowledged */
        buf_append_str(&f->joined, next.entry.operations);
        r->flags |= next.flags & OPLOG_LAST;
    }
    r->entry.operations = (struct str){f->joined.data, f->joined.len};
    return f->joined.err ? f->joined.err : 1;
}

static int next_entry(struct oplog_files *f, struct oplog_entry *out)
{
    struct oplog_record r;
    while (next_record(f, &r)) {
        if (!(r.flags & OPLOG_FIRST))
            continue;
        int got = r.flags & OPLOG_LAST ? 1 : join(f, &r);
        if (got == 0)
            continue;
        if (got > 0)
            *out = r.entry;
        return got;
    }
    return 0;
}

int oplog_files_next(struct oplog_files *f, struct oplog_entry *out)
{
    for (;;) {
        if (f->map) {
            int got = next_entry(f, out);
            if (got)
                return got;
            unmap(f);
            f->reading++;
        }
        while (f->reading < f->count && (!f->files[f->reading].old))
            f->reading++;
        if (f->reading >= f->count)
            return 0;
        f->reading_number = f->files[f->reading].number;
        int err = map_file(f, f->reading_number);
        if (err && err != ERR_CORRUPT)
            return err;
        if (err) {
            unmap(f);
            f->reading++;
        }
    }
}

void oplog_files_end_reading(struct oplog_files *f)
{
    unmap(f);
    buf_finish(&f->joined);
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

static int scan(struct oplog_files *f, size_t at)
{
    struct oplog_entry e;
    uint64_t number = f->files[at].number;
    int err = map_file(f, number);
    if (err && err != ERR_CORRUPT)
        return err;
    size_t whole = f->at;
    while (!err && next_entry(f, &e) > 0) {
        oplog_note(f, number, &e.stream, e.first + e.count);
        whole = f->at;
    }
    if (whole < f->map_size) {
        char path[OPLOG_PATH];
        oplog_path(f, number, path);
        log_warn("cut a torn tail of %llu bytes: %s", (unsigned long long)(f->map_size - whole), path);
        if (truncate(path, (off_t)whole) < 0)
            return -errno;
    }
    oplog_note_size(f, number, whole);
    unmap(f);
    return 0;
}

int oplog_files_open(struct oplog_files *f, const char *directory)
{
    *f = (struct oplog_files){0};
    if (strlen(directory) >= sizeof f->directory)
        return -ENAMETOOLONG;
    snprintf(f->directory, sizeof f->directory, "%s", directory);
    int err = list_files(f);
    for (size_t i = 0; i < f->count && !err; i++)
        err = scan(f, i);
    f->reading_number = f->count ? f->files[0].number : 0;
    if (err)
        oplog_files_close(f);
    return err;
}

void oplog_files_close(struct oplog_files *f)
{
    unmap(f);
    buf_finish(&f->joined);
    for (size_t i = 0; i < f->count; i++)
        free(f->files[i].needs);
    free(f->files);
    free(f->streams);
    *f = (struct oplog_files){0};
}
