#include "coordinator/oplog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "common/bytes.h"
#include "common/check.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/logger.h"
#include "coordinator/oplog_files.h"

enum { ROLL_AT = 64 << 20, RETRY_MS = 200, RETRY_MOST_MS = 5000 };

struct append {
    struct append *next;
    struct oplog_entry entry;
    uint64_t from, to; /* bytes of the file, once it is written */
    oplog_done *done;
    void *context;
};

struct oplog {
    uv_loop_t *loop;
    uv_work_t work;
    uv_timer_t retry;
    uint64_t epoch, quota;
    struct oplog_files files;
    struct append *waiting, **waiting_end, *writing;
    int fd;           /* of the file that is written */
    uint64_t written, synced; /* bytes in it, and those of groups before this one */
    bool is_writing;
    int result;  /* of the group in the pool */
    int failure; /* of the last group; 0: usable */
    uint64_t retry_ms;
};

/* ------------------------------------------------------------------------------------------------------------- in the
 * pool */

static int next_file(struct oplog *l)
{
    uint8_t header[OPLOG_FILE_HEADER];
    char path[OPLOG_PATH];
    fd_close(&l->fd);
    uint64_t number = l->files.last_number + 1;
    oplog_path(&l->files, number, path);
    l->fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0640);
    if (l->fd < 0)
        return -errno;
    l->files.last_number = number; /* also if what follows fails: the next try takes another */
    oplog_file_header(header, number);
    int err = fd_write_all(l->fd, header, sizeof header);
    if (!err)
        err = fd_sync_directory(l->files.directory);
    l->written = sizeof header;
    return err;
}

static int write_record(struct oplog *l, struct oplog_record *r)
{
    uint8_t header[OPLOG_RECORD_HEADER];
    struct str payload = r->entry.operations;
    r->synced = l->synced;
    oplog_encode_header(header, r);
    int err = fd_pwrite_all(l->fd, header, sizeof header, (off_t)l->written);
    if (!err)
        err = fd_pwrite_all(l->fd, payload.ptr, payload.len, (off_t)(l->written + sizeof header));
    l->written += sizeof header + payload.len;
    return err;
}

/* One operation, larger than a record. */
static int write_fragments(struct oplog *l, struct oplog_record *r, struct str operation)
{
    r->entry.count = 1;
    for (size_t at = 0; at < operation.len;) {
        size_t part = operation.len - at < OPLOG_MAX_PAYLOAD ? operation.len - at : OPLOG_MAX_PAYLOAD;
        r->flags = (at == 0 ? OPLOG_FIRST : 0u) | (at + part == operation.len ? OPLOG_LAST : 0u);
        r->entry.operations = (struct str){operation.ptr + at, part};
        int err = write_record(l, r);
        if (err)
            return err;
        at += part;
    }
    return 0;
}

static int write_entry(struct oplog *l, const struct oplog_entry *e)
{
    struct oplog_record r = {.epoch = l->epoch};
    uint64_t sequence = e->first;
    int err = 0;
    for (size_t at = 0; at < e->operations.len && !err;) {
        bool fits = oplog_split(e, &at, &r);
        r.entry.first = sequence;
        if (fits) {
            err = write_record(l, &r);
            sequence += r.entry.count;
        } else {
            size_t size = load_u32(e->operations.ptr + at);
            err = write_fragments(l, &r, (struct str){e->operations.ptr + at, size});
            at += size;
            sequence++;
        }
    }
    return err;
}

static void in_pool(uv_work_t *work)
{
    struct oplog *l = work->data;
    int err = 0;
    if (l->fd < 0 || l->written > ROLL_AT || l->failure)
        err = next_file(l);
    l->synced = l->written;
    for (struct append *a = l->writing; a && !err; a = a->next) {
        a->from = l->written;
        err = write_entry(l, &a->entry);
        a->to = l->written;
    }
    if (!err && fdatasync(l->fd) < 0)
        err = -errno;
    l->result = err;
}

/* ------------------------------------------------------------------------------------------------------------- in the
 * loop */

static void after_pool(uv_work_t *work, int status);

static void start_writing(struct oplog *l)
{
    if (l->is_writing || !l->writing)
        return;
    l->is_writing = true;
    l->work.data = l;
    require(uv_queue_work(l->loop, &l->work, in_pool, after_pool) == 0);
}

static void take_waiting(struct oplog *l)
{
    if (l->writing)
        return;
    l->writing = l->waiting;
    l->waiting = NULL;
    l->waiting_end = &l->waiting;
    start_writing(l);
}

static void on_retry(uv_timer_t *timer)
{
    start_writing(timer->data);
}

/* The group is tried again, whole, in a file of its own: whether the failed one kept it nobody can know, and doubled
 * records are harmless, since operations have numbers. */
static void poison(struct oplog *l)
{
    if (!l->failure)
        log_error("the log could not be written, writes are refused until it can: %s", err_str(l->result));
    l->failure = l->result;
    uv_timer_start(&l->retry, on_retry, l->retry_ms, 0);
    l->retry_ms = l->retry_ms * 2 < RETRY_MOST_MS ? l->retry_ms * 2 : RETRY_MOST_MS;
}

static void finish_group(struct oplog *l)
{
    struct append *a = l->writing;
    l->writing = NULL;
    if (l->failure)
        log_info("the log can be written again");
    l->failure = 0;
    l->retry_ms = RETRY_MS;
    oplog_note_size(&l->files, l->files.last_number, l->written);
    for (struct append *one = a; one; one = one->next)
        oplog_note(&l->files, l->files.last_number, &one->entry, one->from, one->to);
    take_waiting(l); /* the next group is on its way while this one is told */
    while (a) {
        struct append *next = a->next;
        a->done(a->context);
        free(a);
        a = next;
    }
}

static void after_pool(uv_work_t *work, int status)
{
    struct oplog *l = work->data;
    l->is_writing = false;
    if (status)
        l->result = status;
    if (l->result)
        poison(l);
    else
        finish_group(l);
}

int oplog_append(struct oplog *l, const struct oplog_entry *e, oplog_done *done, void *context)
{
    struct append *a = calloc(1, sizeof *a);
    if (!a)
        return -ENOMEM;
    *a = (struct append){.entry = *e, .done = done, .context = context};
    *l->waiting_end = a;
    l->waiting_end = &a->next;
    take_waiting(l);
    return 0;
}

bool oplog_is_writing(const struct oplog *l)
{
    return l->writing != NULL;
}

int oplog_usable(const struct oplog *l)
{
    if (l->failure)
        return l->failure;
    return l->files.bytes > l->quota ? ERR_FULL : 0;
}

void oplog_set_quota(struct oplog *l, uint64_t quota)
{
    l->quota = quota;
}

/* ------------------------------------------------------------------------------------------------------------- the
 * rest */

int oplog_open(uv_loop_t *loop, const char *directory, uint64_t epoch, uint64_t quota, struct oplog **out)
{
    struct oplog *l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    *l = (struct oplog){.loop = loop, .epoch = epoch, .quota = quota, .fd = -1, .retry_ms = RETRY_MS};
    l->waiting_end = &l->waiting;
    l->retry.data = l;
    int err = uv_timer_init(loop, &l->retry);
    if (!err)
        err = oplog_files_open(&l->files, directory);
    if (err) {
        free(l);
        return err;
    }
    *out = l;
    return 0;
}

void oplog_close(struct oplog *l)
{
    if (!l)
        return;
    fd_close(&l->fd);
    oplog_files_close(&l->files);
    free(l);
}

int oplog_next(struct oplog *l, struct oplog_entry *out)
{
    return oplog_files_next(&l->files, out);
}

void oplog_end_reading(struct oplog *l)
{
    oplog_files_end_reading(&l->files);
}

void oplog_trim(struct oplog *l, const struct oplog_stream *s, uint64_t sequence)
{
    /* Past the quota nothing more is written: the file that is open must not hold it up for ever. */
    if (!l->writing && l->files.bytes > l->quota)
        fd_close(&l->fd);
    oplog_files_trim(&l->files, s, sequence, l->is_writing || l->fd >= 0 ? l->files.last_number : 0);
}

void oplog_drop_index(struct oplog *l, uint32_t index)
{
    oplog_files_drop(&l->files, index);
}

uint64_t oplog_tail(const struct oplog *l, const struct oplog_stream *s)
{
    return oplog_files_tail(&l->files, s);
}

void oplog_present(const struct oplog *l, const struct oplog_stream *s, struct ranges *add)
{
    oplog_files_present(&l->files, s, add);
}

uint64_t oplog_lost_task(const struct oplog *l, const struct oplog_stream *s, uint64_t first, uint64_t *end)
{
    return oplog_task_of_lost(&l->files, s, first, end);
}

bool oplog_has_lost_unnamed(const struct oplog *l)
{
    return oplog_has_unnamed_damage(&l->files);
}

uint64_t oplog_bytes(const struct oplog *l)
{
    return l->files.bytes;
}
