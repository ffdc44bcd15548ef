#include "coordinator/oplog_carry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/logger.h"

enum { AT_ONCE = 4 << 20, STUCK_SHARE = 8 };

struct copy { /* of whole entries, dense */
    struct oplog_entry entry;
    uint64_t from, to;
};

struct place { /* how far it has got */
    size_t extent;
    struct oplog_cursor cursor;
};

struct carry {
    uint64_t number; /* of the old file */
    int fd;
    char *room;
    struct oplog_cursor *extents; /* what is needed of it */
    size_t count;
    struct place durable, copied; /* before and after what is in the pool */
    struct copy *made;
    size_t made_count, made_room;
    int err; /* the old file cannot be read */
};

/* --- which */

static bool is_stuck(const struct oplog_files *f, uint32_t stream, uint64_t quota)
{
    return f->appended - f->streams[stream].moved >= quota / STUCK_SHARE;
}

static bool is_worth_it(const struct oplog_files *f, const struct log_file *file, uint64_t quota, bool in_need)
{
    uint64_t needed = 0;
    for (size_t i = 0; i < file->extent_count; i++) {
        const struct extent *e = &file->extents[i];
        if (!oplog_is_needed(f, e))
            continue;
        needed += e->bytes;
        if (needed > file->bytes / 2 || (!in_need && !is_stuck(f, e->stream, quota)))
            return false;
    }
    return needed > 0;
}

static struct oplog_cursor cursor_of(const struct oplog_files *f, const struct extent *e)
{
    const struct stream_state *s = &f->streams[e->stream];
    return (struct oplog_cursor){.stream = s->stream,
                                 .first = e->first > s->trimmed ? e->first : s->trimmed,
                                 .end = e->end,
                                 .at = e->from,
                                 .to = e->to};
}

static struct carry *begin(const struct oplog_files *f, const struct log_file *file)
{
    char path[OPLOG_PATH];
    struct carry *c = calloc(1, sizeof *c);
    require(c);
    c->number = file->number;
    c->room = malloc(OPLOG_MAX_PAYLOAD);
    c->extents = calloc(file->extent_count, sizeof *c->extents);
    require(c->room && c->extents);
    oplog_path(f->directory, file->number, path);
    c->fd = open(path, O_RDONLY | O_CLOEXEC);
    c->err = c->fd < 0 ? -errno : 0;
    for (size_t i = 0; i < file->extent_count; i++)
        if (oplog_is_needed(f, &file->extents[i]))
            c->extents[c->count++] = cursor_of(f, &file->extents[i]);
    for (size_t i = 0; i < c->count; i++) {
        c->extents[i].fd = c->fd;
        c->extents[i].room = c->room;
    }
    c->durable.cursor = c->extents[0];
    return c;
}

struct carry *carry_begin(struct oplog_files *f, uint64_t open, uint64_t quota, bool in_need)
{
    for (size_t i = 0; i < f->count && !f->reading_number; i++)
        if (f->files[i].number != open && !f->files[i].stays && is_worth_it(f, &f->files[i], quota, in_need))
            return begin(f, &f->files[i]);
    return NULL;
}

void carry_free(struct carry *c)
{
    if (!c)
        return;
    fd_close(&c->fd);
    free(c->room);
    free(c->extents);
    free(c->made);
    free(c);
}

/* --- in the pool */

/* The last one grows while what follows is of the same stream and task. */
static void note(struct carry *c, const struct oplog_entry *e, uint64_t from, uint64_t to)
{
    struct copy *last = c->made_count ? &c->made[c->made_count - 1] : NULL;
    if (last && memcmp(&last->entry.stream, &e->stream, sizeof e->stream) == 0 && last->entry.task == e->task &&
        last->entry.first + last->entry.count == e->first) {
        last->entry.count += e->count;
        last->to = to;
        return;
    }
    if (c->made_count == c->made_room) {
        c->made_room = c->made_room ? c->made_room * 2 : 64;
        c->made = realloc(c->made, c->made_room * sizeof *c->made);
        require(c->made);
    }
    c->made[c->made_count] = (struct copy){*e, from, to};
    c->made[c->made_count++].entry.operations = (struct str){NULL, 0};
}

/* One record, of the extent that is in hand or the next. 1, 0: that was all, or the old file cannot be read. */
static int next_record(struct carry *c, struct oplog_record *r)
{
    struct place *p = &c->copied;
    for (;;) {
        int got = c->err ? 0 : oplog_cursor_next(&p->cursor, r);
        if (got < 0)
            c->err = got;
        if (got > 0)
            return 1;
        if (c->err || p->extent + 1 >= c->count)
            return 0;
        p->cursor = c->extents[++p->extent];
    }
}

int carry_some(struct carry *c, struct oplog_writer *w)
{
    struct oplog_record r;
    uint64_t begun = w->written, from = w->written;
    c->copied = c->durable;
    c->made_count = 0;
    while (next_record(c, &r)) {
        if (r.flags & OPLOG_FIRST)
            from = w->written;
        int err = oplog_writer_record(w, &r);
        if (err)
            return err;
        if (!(r.flags & OPLOG_LAST))
            continue;
        note(c, &r.entry, from, w->written);
        if (w->written - begun >= AT_ONCE)
            return 0;
    }
    c->copied.extent = c->count;
    return 0;
}

/* --- in the loop */

static void finish(struct carry *c, struct oplog_files *f)
{
    char path[OPLOG_PATH];
    oplog_path(f->directory, c->number, path);
    if (c->err)
        log_error("a log file stays, since what a stuck stream needs of it cannot be read: %s: %s", path,
                  err_str(c->err));
    else
        log_info("carried over what a stuck stream needs of %s", path);
    oplog_files_leave(f, c->number, c->err != 0);
    carry_free(c);
}

bool carry_done(struct carry *c, struct oplog_files *f, const struct oplog_writer *w)
{
    for (size_t i = 0; i < c->made_count; i++)
        oplog_note(f, w->number, &c->made[i].entry, c->made[i].from, c->made[i].to);
    c->made_count = 0;
    c->durable = c->copied;
    if (c->durable.extent < c->count)
        return false;
    finish(c, f);
    return true;
}
