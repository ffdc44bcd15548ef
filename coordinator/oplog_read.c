#include "coordinator/oplog_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/fd.h"
#include "proto/batch.h"

struct read_plan {
    struct oplog_stream stream;
    struct range numbers;
    char *room;
    struct oplog_cursor *pieces; /* by number, apart from each other */
    size_t count;
};

struct out { /* what was read so far */
    char *at, *end;
    uint64_t next; /* number */
    uint64_t lost;
};

/* --- the plan */

/* Of the extents that have `first` the one that reaches farthest; else the next number that any has. */
static const struct extent *find(const struct oplog_files *f, const struct oplog_stream *s, uint64_t *first,
                                 const struct log_file **out_file)
{
    const struct extent *best = NULL;
    uint64_t later = UINT64_MAX;
    for (size_t i = 0; i < f->count; i++)
        for (size_t k = 0; k < f->files[i].extent_count; k++) {
            const struct extent *e = &f->files[i].extents[k];
            if (memcmp(&f->streams[e->stream].stream, s, sizeof *s) != 0 || e->end <= *first)
                continue;
            if (e->first > *first) {
                later = e->first < later ? e->first : later;
            } else if (!best || e->end > best->end) {
                best = e;
                *out_file = &f->files[i];
            }
        }
    if (!best)
        *first = later;
    return best;
}

static int add_piece(struct read_plan *p, const struct oplog_files *f, const struct log_file *file,
                     const struct extent *e, struct range numbers)
{
    char path[OPLOG_PATH];
    struct oplog_cursor *grown = realloc(p->pieces, (p->count + 1) * sizeof *grown);
    if (!grown)
        return -ENOMEM;
    p->pieces = grown;
    oplog_path(f->directory, file->number, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    grown[p->count++] = (struct oplog_cursor){.fd = fd,
                                              .stream = p->stream,
                                              .first = numbers.first,
                                              .end = numbers.end,
                                              .at = e->from,
                                              .to = e->to,
                                              .room = p->room};
    return 0;
}

static int plan(struct read_plan *p, const struct oplog_files *f)
{
    for (uint64_t at = p->numbers.first; at < p->numbers.end;) {
        const struct log_file *file = NULL;
        const struct extent *e = find(f, &p->stream, &at, &file);
        if (!e)
            continue; /* a gap: `at` is behind it now */
        uint64_t end = e->end < p->numbers.end ? e->end : p->numbers.end;
        int err = add_piece(p, f, file, e, (struct range){at, end});
        if (err)
            return err;
        at = end;
    }
    return 0;
}

struct read_plan *read_plan_new(const struct oplog_files *f, const struct oplog_stream *s, struct range numbers)
{
    struct read_plan *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    *p = (struct read_plan){.stream = *s, .numbers = numbers, .room = malloc(OPLOG_MAX_PAYLOAD)};
    if (p->room && plan(p, f) == 0)
        return p;
    read_plan_free(p);
    return NULL;
}

void read_plan_free(struct read_plan *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++)
        fd_close(&p->pieces[i].fd);
    free(p->pieces);
    free(p->room);
    free(p);
}

/* --- reading */

static int put(struct out *o, const char *bytes, size_t size)
{
    if (size > (size_t)(o->end - o->at))
        return ERR_FULL;
    memcpy(o->at, bytes, size);
    o->at += size;
    return 0;
}

static int put_lost(struct out *o, uint64_t before)
{
    size_t size = operation_size(BATCH_LOST_ID, 0);
    for (; o->next < before; o->next++, o->lost++) {
        if (size > (size_t)(o->end - o->at))
            return ERR_FULL;
        operation_encode_lost(o->at);
        o->at += size;
    }
    return 0;
}

/* Of a record of whole operations those that come next. */
static int put_record(struct out *o, const struct oplog_entry *e, uint64_t end)
{
    struct str rest = e->operations;
    for (uint64_t n = e->first; n < e->first + e->count && n < end; n++) {
        size_t size = rest.len >= BATCH_OPERATION ? load_u32(rest.ptr) : 0;
        if (size < BATCH_OPERATION || size > rest.len)
            return ERR_CORRUPT;
        int err = n == o->next ? put(o, rest.ptr, size) : 0;
        if (err)
            return err;
        o->next += n == o->next;
        rest.ptr += size;
        rest.len -= size;
    }
    return 0;
}

/* An operation in fragments, whose first is in hand. */
static int put_fragments(struct out *o, struct oplog_cursor *c, struct oplog_record *r)
{
    char *begun = o->at;
    int got = 1;
    for (bool first = true; got > 0; first = false) {
        bool fits = r->entry.first == o->next && first == !!(r->flags & OPLOG_FIRST);
        got = fits ? put(o, r->entry.operations.ptr, r->entry.operations.len) : ERR_CORRUPT;
        if (got == 0 && r->flags & OPLOG_LAST) {
            o->next++;
            return 0;
        }
        if (got == 0)
            got = oplog_cursor_next(c, r);
    }
    o->at = begun;
    return got ? got : ERR_CORRUPT;
}

static int read_piece(struct out *o, struct oplog_cursor *c)
{
    struct oplog_record r;
    int got;
    while (o->next < c->end && (got = oplog_cursor_next(c, &r)) != 0) {
        int err = got;
        if (got > 0 && r.flags & OPLOG_FIRST) {
            err = put_lost(o, r.entry.first); /* what should stand before it */
            if (!err)
                err = r.flags & OPLOG_LAST ? put_record(o, &r.entry, c->end) : put_fragments(o, c, &r);
        }
        if (err == ERR_CLOSED) /* the file was cut */
            return 0;
        if (err < 0 && err != ERR_CORRUPT)
            return err;
    }
    return 0;
}

int64_t read_plan_run(struct read_plan *p, char *to, size_t room, uint64_t *out_lost)
{
    struct out o = {.at = to, .end = to + room, .next = p->numbers.first};
    int err = 0;
    for (size_t i = 0; i < p->count && !err; i++) {
        err = put_lost(&o, p->pieces[i].first);
        if (!err)
            err = read_piece(&o, &p->pieces[i]);
    }
    if (!err)
        err = put_lost(&o, p->numbers.end);
    *out_lost = o.lost;
    return err ? err : o.at - to;
}
