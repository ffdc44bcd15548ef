#include "coordinator/oplog_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/fd.h"

void oplog_scan_close(struct oplog_scan *s)
{
    union {
        const char *from;
        void *to;
    } map = {.from = s->map};
    if (s->map)
        munmap(map.to, s->size);
    *s = (struct oplog_scan){.joined = s->joined};
}

void oplog_scan_finish(struct oplog_scan *s)
{
    oplog_scan_close(s);
    buf_finish(&s->joined);
}

/* Up to a place where a record may begin. */
static size_t used_of(const char *map, size_t size)
{
    size_t used = size;
    while (used > 0 && map[used - 1] == 0)
        used--;
    used = (used + OPLOG_ALIGN - 1) / OPLOG_ALIGN * OPLOG_ALIGN;
    return used < size ? used : size;
}

int oplog_scan_open(struct oplog_scan *s, const char *path, uint64_t number)
{
    struct stat status;
    oplog_scan_close(s);
    scoped(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        return -errno;
    if (status.st_size < OPLOG_FILE_HEADER)
        return ERR_CORRUPT; /* made, but its header was not yet durable */
    void *map = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    s->map = map;
    s->size = (size_t)status.st_size;
    s->used = used_of(map, s->size);
    s->at = s->end = OPLOG_FILE_HEADER;
    int err = oplog_check_file_header(map, s->size, number);
    s->bad_header = err == ERR_CORRUPT;
    return s->bad_header ? 0 : err;
}

static struct str rest_of(const struct oplog_scan *s)
{
    return (struct str){s->map + s->at, s->size - s->at};
}

/* What cannot be read is stepped over: by what its header says, or to the next header. */
static int step_over(struct oplog_scan *s, struct oplog_piece *out)
{
    int64_t size = oplog_decode_header(rest_of(s), &out->r);
    out->named = size >= 0;
    if (out->named)
        s->at += (size_t)size < s->size - s->at ? (size_t)size : s->size - s->at;
    while (!out->named && s->at < s->used) {
        struct oplog_record next;
        s->at += s->used - s->at < OPLOG_ALIGN ? s->used - s->at : OPLOG_ALIGN;
        if (oplog_decode_header(rest_of(s), &next) >= 0)
            break;
    }
    out->to = s->at;
    return SCAN_DAMAGE;
}

static bool is_same_operation(const struct oplog_entry *a, const struct oplog_entry *b)
{
    return memcmp(&a->stream, &b->stream, sizeof a->stream) == 0 && a->first == b->first;
}

static int64_t next_record(struct oplog_scan *s, struct oplog_record *r)
{
    int64_t size = oplog_decode(rest_of(s), r);
    if (size > 0 && r->synced > s->synced)
        s->synced = r->synced;
    return size;
}

/* Of an operation in fragments there is all or nothing. */
static int join(struct oplog_scan *s, struct oplog_piece *out)
{
    s->joined.len = 0;
    buf_append_str(&s->joined, out->r.entry.operations);
    while (!(out->r.flags & OPLOG_LAST)) {
        struct oplog_record next;
        int64_t size = next_record(s, &next);
        if (size < 0 || next.flags & OPLOG_FIRST || !is_same_operation(&next.entry, &out->r.entry))
            return SCAN_DAMAGE;
        s->at += (size_t)size;
        buf_append_str(&s->joined, next.entry.operations);
        out->r.flags |= next.flags & OPLOG_LAST;
    }
    out->r.entry.operations = (struct str){s->joined.data, s->joined.len};
    return s->joined.err ? s->joined.err : SCAN_ENTRY;
}

int oplog_scan_next(struct oplog_scan *s, struct oplog_piece *out)
{
    *out = (struct oplog_piece){.from = s->at};
    if (s->at >= s->used)
        return SCAN_END;
    int64_t size = next_record(s, &out->r);
    if (size < 0)
        return step_over(s, out);
    s->at += (size_t)size;
    bool orphan = !(out->r.flags & OPLOG_FIRST); /* what it continues is not there */
    int event = orphan ? SCAN_DAMAGE : SCAN_ENTRY;
    if (!orphan && !(out->r.flags & OPLOG_LAST))
        event = join(s, out);
    out->named = event == SCAN_DAMAGE;
    out->to = s->at;
    if (event == SCAN_ENTRY || orphan) /* the beginning of an operation whose end is torn is no proof of anything */
        s->end = s->at;
    return event;
}
