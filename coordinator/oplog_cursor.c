#include "coordinator/oplog_cursor.h"

#include <string.h>

#include "common/err.h"
#include "common/fd.h"

static bool is_wanted(const struct oplog_cursor *c, const struct oplog_entry *e)
{
    return memcmp(&e->stream, &c->stream, sizeof e->stream) == 0 && e->first < c->end && e->first + e->count > c->first;
}

static int64_t read_header(const struct oplog_cursor *c, uint64_t at, char to[OPLOG_RECORD_HEADER],
                           struct oplog_record *out)
{
    int err = fd_pread_all(c->fd, to, OPLOG_RECORD_HEADER, (off_t)at);
    return err ? err : oplog_decode_header((struct str){to, OPLOG_RECORD_HEADER}, out);
}

/* Behind a header that is damaged. */
static void find_header(struct oplog_cursor *c)
{
    char header[OPLOG_RECORD_HEADER];
    struct oplog_record r;
    int64_t size = ERR_CORRUPT;
    while (c->at < c->to && size == ERR_CORRUPT) {
        c->at += OPLOG_ALIGN;
        size = read_header(c, c->at, header, &r);
    }
}

int oplog_cursor_next(struct oplog_cursor *c, struct oplog_record *out)
{
    char header[OPLOG_RECORD_HEADER];
    while (c->at < c->to) {
        uint64_t at = c->at;
        int64_t size = read_header(c, at, header, out);
        if (size == ERR_CORRUPT)
            find_header(c);
        if (size < 0)
            return (int)size;
        c->at = at + (uint64_t)size;
        if (!is_wanted(c, &out->entry))
            continue;
        size_t length = out->entry.operations.len;
        int err = fd_pread_all(c->fd, c->room, length, (off_t)(at + sizeof header));
        out->entry.operations.ptr = c->room;
        if (!err && !oplog_is_payload(out, out->entry.operations))
            err = ERR_CORRUPT;
        return err ? err : 1;
    }
    return 0;
}
