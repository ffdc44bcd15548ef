#include "coordinator/oplog_cursor.h"

#include <string.h>

#include "common/err.h"
#include "common/fd.h"

static bool is_wanted(const struct oplog_cursor *c, const struct oplog_entry *e)
{
    return memcmp(&e->stream, &c->stream, sizeof e->stream) == 0 && e->first < c->end && e->first + e->count > c->first;
}

int oplog_cursor_next(struct oplog_cursor *c, struct oplog_record *out)
{
    char header[OPLOG_RECORD_HEADER];
    while (c->at < c->to) {
        uint64_t at = c->at;
        int err = fd_pread_all(c->fd, header, sizeof header, (off_t)at);
        int64_t size = err ? err : oplog_decode_header((struct str){header, sizeof header}, out);
        c->at = size < 0 ? c->to : at + (uint64_t)size;
        if (size < 0)
            return (int)size;
        if (!is_wanted(c, &out->entry))
            continue;
        size_t length = out->entry.operations.len;
        err = fd_pread_all(c->fd, c->room, length, (off_t)(at + sizeof header));
        out->entry.operations.ptr = c->room;
        if (!err && !oplog_is_payload(out, out->entry.operations))
            err = ERR_CORRUPT;
        return err ? err : 1;
    }
    return 0;
}
