#include "coordinator/oplog_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/fd.h"
#include "coordinator/oplog_files.h"

enum { PAGE = 4096, SMALL_GROUP = 16 << 10, AHEAD = 64 << 10 };

/* What it has room for and nobody wrote is given back; who is killed before leaves zero bytes, which readers know. */
void oplog_writer_close(struct oplog_writer *w)
{
    if (w->fd >= 0 && w->room > w->written && ftruncate(w->fd, (off_t)w->written) == 0)
        w->room = w->written;
    fd_close(&w->fd);
}

int oplog_writer_next(struct oplog_writer *w)
{
    uint8_t header[OPLOG_FILE_HEADER];
    char path[OPLOG_PATH];
    oplog_writer_close(w);
    uint64_t number = w->number + 1;
    oplog_path(w->directory, number, path);
    w->fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0640);
    if (w->fd < 0)
        return -errno;
    w->number = number; /* also if what follows fails: the next try takes another */
    w->written = w->synced = w->room = sizeof header;
    oplog_file_header(header, number);
    int err = fd_write_all(w->fd, header, sizeof header);
    if (!err)
        err = fd_sync_directory(w->directory);
    return err;
}

int oplog_writer_record(struct oplog_writer *w, struct oplog_record *r)
{
    uint8_t header[OPLOG_RECORD_HEADER];
    struct str payload = r->entry.operations;
    r->synced = w->synced;
    oplog_encode_header(header, r);
    int err = fd_pwrite_all(w->fd, header, sizeof header, (off_t)w->written);
    if (!err)
        err = fd_pwrite_all(w->fd, payload.ptr, payload.len, (off_t)(w->written + sizeof header));
    w->written += sizeof header + payload.len;
    return err;
}

/* One operation, larger than a record. */
static int write_fragments(struct oplog_writer *w, struct oplog_record *r, struct str operation)
{
    r->entry.count = 1;
    for (size_t at = 0; at < operation.len;) {
        size_t part = operation.len - at < OPLOG_MAX_PAYLOAD ? operation.len - at : OPLOG_MAX_PAYLOAD;
        r->flags = (at == 0 ? OPLOG_FIRST : 0u) | (at + part == operation.len ? OPLOG_LAST : 0u);
        r->entry.operations = (struct str){operation.ptr + at, part};
        int err = oplog_writer_record(w, r);
        if (err)
            return err;
        at += part;
    }
    return 0;
}

int oplog_writer_entry(struct oplog_writer *w, const struct oplog_entry *e, uint64_t epoch)
{
    struct oplog_record r = {.epoch = epoch};
    uint64_t sequence = e->first;
    int err = 0;
    for (size_t at = 0; at < e->operations.len && !err;) {
        bool fits = oplog_split(e, &at, &r);
        r.entry.first = sequence;
        if (fits) {
            err = oplog_writer_record(w, &r);
            sequence += r.entry.count;
        } else {
            size_t size = load_u32(e->operations.ptr + at);
            err = write_fragments(w, &r, (struct str){e->operations.ptr + at, size});
            at += size;
            sequence++;
        }
    }
    return err;
}

/* Each sync of a file that has grown makes the file system write its journal, which is several times a small group. So
 * room is made for many such groups at once, by zero bytes: to write over them changes nothing but themselves. No page is
 * written together with others, so that one that is dirty is counted alone. Where there is no room, there is none. */
static void make_room(struct oplog_writer *w)
{
    static const char zeros[PAGE];
    if (w->written <= w->room || w->written - w->synced > SMALL_GROUP)
        return;
    uint64_t end = (w->written + AHEAD) / PAGE * PAGE;
    w->room = w->written;
    while (w->room < end) {
        size_t size = PAGE - w->room % PAGE;
        if (fd_pwrite_all(w->fd, zeros, size, (off_t)w->room))
            return;
        w->room += size;
    }
}

int oplog_writer_sync(struct oplog_writer *w)
{
    make_room(w);
    if (fdatasync(w->fd) < 0)
        return -errno;
    w->synced = w->written;
    return 0;
}

void oplog_writer_take_back(struct oplog_writer *w)
{
    char path[OPLOG_PATH];
    if (w->fd < 0)
        return;
    oplog_path(w->directory, w->number, path);
    if (w->synced <= OPLOG_FILE_HEADER)
        unlink(path); /* else it stays, as after a kill */
    else if (ftruncate(w->fd, (off_t)w->synced) == 0)
        w->written = w->room = w->synced;
    fd_close(&w->fd);
}
