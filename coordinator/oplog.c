#include "coordinator/oplog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "common/check.h"
#include "common/err.h"
#include "common/logger.h"
#include "coordinator/disk.h"
#include "coordinator/oplog_carry.h"
#include "coordinator/oplog_files.h"
#include "coordinator/oplog_queue.h"
#include "coordinator/oplog_read.h"
#include "coordinator/oplog_writer.h"

enum { ROLL_AT = 64 << 20, ROLL_SHARE = 8, RETRY_MS = 200, RETRY_MOST_MS = 5000, HURRY_MS = 1000 };

struct oplog {
    uv_loop_t *loop;
    uv_work_t work;
    uv_timer_t retry;
    uint64_t epoch, quota;
    struct oplog_files files;
    struct oplog_writer writer;
    struct oplog_queue waiting;
    struct append *writing;
    uint64_t hurried_until; /* loop time: a small append has come */
    struct carry *carry; /* under way */
    bool carrying;       /* the group is a part of it */
    bool in_pool;
    unsigned readings; /* in the pool */
    uv_work_t freeing; /* of removed files, in the pool */
    struct removed_files removed;
    bool is_freeing;
    bool are_read; /* by others in the pool, maybe: what is freed must stay whole until they are done */
    uint64_t roll_at;
    int result;  /* of the group in the pool */
    int failure; /* of the last group; 0: usable */
    uint64_t retry_ms;
    struct disk *disk; /* NULL: nobody is told what it lacks */
    oplog_rolled *rolled; /* asked for, and not done yet */
    void *rolled_context;
};

/* ------------------------------------------------------------------------------------------------------------- in the
 * pool */

static int write_appends(struct oplog *l)
{
    int err = 0;
    for (struct append *a = l->writing; a && !err; a = a->next) {
        a->from = l->writer.written;
        err = oplog_writer_entry(&l->writer, &a->entry, l->epoch);
        a->to = l->writer.written;
    }
    return err;
}

static void in_pool(uv_work_t *work)
{
    struct oplog *l = work->data;
    int err = 0;
    if (l->writer.fd < 0 || l->writer.written > l->roll_at || l->failure)
        err = oplog_writer_next(&l->writer);
    if (!err)
        err = l->carrying ? carry_some(l->carry, &l->writer) : write_appends(l);
    l->result = err ? err : oplog_writer_sync(&l->writer);
    if (l->result)
        oplog_writer_take_back(&l->writer);
}

/* ------------------------------------------------------------------------------------------------------------- in the
 * loop */

static void free_in_pool(uv_work_t *work)
{
    struct oplog *l = work->data;
    oplog_files_free_removed(&l->removed, l->are_read);
}

static void free_removed(struct oplog *l);

static void after_freeing(uv_work_t *work, int status)
{
    (void)status;
    struct oplog *l = work->data;
    l->is_freeing = false;
    free_removed(l);
}

/* After whatever may have unlinked some. */
static void free_removed(struct oplog *l)
{
    if (l->is_freeing || !l->files.removed.count)
        return;
    l->is_freeing = true;
    l->are_read = l->readings || l->carry; /* who begins later does not find them any more */
    l->removed = oplog_files_take_removed(&l->files);
    l->freeing.data = l;
    require(uv_queue_work(l->loop, &l->freeing, free_in_pool, after_freeing) == 0);
}

static void after_pool(uv_work_t *work, int status);

static void start_writing(struct oplog *l)
{
    if (l->in_pool || !(l->writing || l->carrying))
        return;
    l->in_pool = true;
    l->roll_at = l->quota / ROLL_SHARE < ROLL_AT ? l->quota / ROLL_SHARE : ROLL_AT;
    l->work.data = l;
    require(uv_queue_work(l->loop, &l->work, in_pool, after_pool) == 0);
}

static void tell_taken(struct append *group)
{
    for (struct append *a = group; a; a = a->next)
        if (a->entry.taken)
            a->entry.taken(a->context, &a->entry);
}

/* Groups of appends and parts of what is carried over take turns. */
static void take_waiting(struct oplog *l, bool carry_first)
{
    if (l->writing || l->carrying)
        return;
    if (l->carry && (carry_first || !l->waiting.first)) {
        l->carrying = true;
    } else {
        l->writing = oplog_queue_take(&l->waiting, oplog_is_hurried(l));
        tell_taken(l->writing);
    }
    start_writing(l);
}

static void on_retry(uv_timer_t *timer)
{
    start_writing(timer->data);
}

/* Bytes, at most. */
static uint64_t group_size(const struct oplog *l)
{
    uint64_t bytes = l->carrying ? OPLOG_GROUP : 0;
    for (const struct append *a = l->writing; a; a = a->next)
        bytes += a->entry.operations.len + OPLOG_RECORD_HEADER;
    return bytes;
}

static bool lacks_disk(const struct oplog *l)
{
    char path[64];
    snprintf(path, sizeof path, "log/%llu.log", (unsigned long long)l->writer.number);
    return disk_is_lacked(l->disk, DISK_LOG, l->result, group_size(l), path);
}

/* The group is tried again, whole, in a file of its own: whether the failed one kept it nobody can know, and doubled
 * records are harmless, since operations have numbers. */
static void poison(struct oplog *l)
{
    if (!lacks_disk(l) && !l->failure)
        log_error("the log could not be written, writes are refused until it can: %s", err_str(l->result));
    l->failure = l->result;
    uv_timer_start(&l->retry, on_retry, l->retry_ms, 0);
    l->retry_ms = l->retry_ms * 2 < RETRY_MOST_MS ? l->retry_ms * 2 : RETRY_MOST_MS;
}

static uint64_t open_file(const struct oplog *l)
{
    return l->in_pool || l->writing || l->carrying || l->writer.fd >= 0 ? l->files.last_number : 0;
}

static void look_for_carry(struct oplog *l, bool in_need)
{
    if (l->carry || l->files.holds)
        return;
    l->carry = carry_begin(&l->files, open_file(l), l->quota, in_need || l->files.bytes > l->quota);
    if (l->carry)
        take_waiting(l, true);
}

static void finish_carry(struct oplog *l)
{
    l->carrying = false;
    if (!carry_done(l->carry, &l->files, &l->writer))
        return;
    l->carry = NULL;
    free_removed(l);
    look_for_carry(l, false);
}

static struct append *finish_appends(struct oplog *l)
{
    struct append *all = l->writing;
    l->writing = NULL;
    for (struct append *a = all; a; a = a->next) {
        oplog_note(&l->files, l->writer.number, &a->entry, a->from, a->to);
        l->files.appended += a->to - a->from;
    }
    return all;
}

static void roll(struct oplog *l)
{
    oplog_rolled *rolled = l->rolled;
    l->rolled = NULL;
    oplog_writer_close(&l->writer);
    rolled(l->rolled_context, l->files.last_number);
}

static void finish_group(struct oplog *l)
{
    if (l->failure && !disk_is_full(l->disk))
        log_info("the log can be written again");
    disk_has_sufficed(l->disk, DISK_LOG);
    l->failure = 0;
    l->retry_ms = RETRY_MS;
    l->files.last_number = l->writer.number;
    oplog_note_size(&l->files, l->writer.number, l->writer.written);
    struct append *a = finish_appends(l);
    if (l->carrying)
        finish_carry(l);
    if (l->rolled)
        roll(l);
    take_waiting(l, a != NULL); /* the next group is on its way while this one is told */
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
    l->in_pool = false;
    if (status)
        l->result = status;
    l->files.last_number = l->writer.number;
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
    oplog_queue_put(&l->waiting, a);
    if (e->small)
        l->hurried_until = uv_now(l->loop) + HURRY_MS;
    take_waiting(l, false);
    return 0;
}

bool oplog_is_hurried(const struct oplog *l)
{
    return uv_now(l->loop) < l->hurried_until;
}

bool oplog_is_writing(const struct oplog *l)
{
    return l->writing || l->carrying;
}

bool oplog_is_idle(const struct oplog *l)
{
    return !l->in_pool && !l->readings && !l->is_freeing;
}

int oplog_usable(const struct oplog *l)
{
    if (l->failure)
        return l->failure;
    return l->files.bytes > l->quota ? ERR_FULL : 0;
}

void oplog_set_disk(struct oplog *l, struct disk *d)
{
    l->disk = d;
}

void oplog_try_again(struct oplog *l)
{
    if (l->failure)
        uv_timer_start(&l->retry, on_retry, 0, 0);
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
    *l = (struct oplog){.loop = loop, .epoch = epoch, .quota = quota, .retry_ms = RETRY_MS};
    oplog_queue_init(&l->waiting);
    l->retry.data = l;
    int err = uv_timer_init(loop, &l->retry);
    if (!err)
        err = oplog_files_open(&l->files, directory);
    if (err) {
        free(l);
        return err;
    }
    l->writer = (struct oplog_writer){.directory = l->files.directory, .fd = -1, .number = l->files.last_number};
    *out = l;
    return 0;
}

void oplog_close(struct oplog *l)
{
    if (!l)
        return;
    oplog_writer_close(&l->writer);
    carry_free(l->carry);
    oplog_files_close(&l->files);
    free(l);
}

int oplog_next(struct oplog *l, struct oplog_entry *out)
{
    return oplog_files_next(&l->files, out);
}

struct reading {
    uv_work_t work;
    struct oplog *log;
    struct oplog_reading what;
    struct read_plan *plan;
    int64_t result;
    uint64_t lost;
};

static void read_in_pool(uv_work_t *work)
{
    struct reading *r = work->data;
    r->result = read_plan_run(r->plan, r->what.to, r->what.room, &r->lost);
}

static void after_reading(uv_work_t *work, int status)
{
    struct reading *r = work->data;
    r->log->readings--;
    r->what.done(r->what.context, status ? status : r->result, r->lost);
    read_plan_free(r->plan);
    free(r);
}

int oplog_read(struct oplog *l, const struct oplog_reading *what)
{
    struct reading *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    *r = (struct reading){.log = l, .what = *what, .plan = read_plan_new(&l->files, &what->stream, what->numbers)};
    r->work.data = r;
    if (!r->plan) {
        free(r);
        return -ENOMEM;
    }
    l->readings++;
    require(uv_queue_work(l->loop, &r->work, read_in_pool, after_reading) == 0);
    return 0;
}

void oplog_end_reading(struct oplog *l)
{
    oplog_files_end_reading(&l->files);
    free_removed(l);
    look_for_carry(l, false);
}

uint64_t oplog_read_below(const struct oplog *l)
{
    return l->files.reading_number;
}

void oplog_told(struct oplog *l, uint64_t below)
{
    if (below > l->files.told)
        l->files.told = below;
}

/* One that is full goes with the others. Past the quota nothing more is written, so that any must. */
static void close_if_full(struct oplog *l)
{
    if (!oplog_is_writing(l) && (l->writer.written > l->roll_at || l->files.bytes > l->quota))
        oplog_writer_close(&l->writer);
}

void oplog_trim(struct oplog *l, const struct oplog_stream *s, uint64_t sequence)
{
    close_if_full(l);
    oplog_files_trim(&l->files, s, sequence, open_file(l));
    free_removed(l);
    look_for_carry(l, false);
}

bool oplog_make_room(struct oplog *l)
{
    look_for_carry(l, true);
    return l->carry && !l->failure;
}

void oplog_hold(struct oplog *l)
{
    oplog_files_hold(&l->files, true, open_file(l));
}

void oplog_release(struct oplog *l)
{
    oplog_files_hold(&l->files, false, open_file(l));
    free_removed(l);
    look_for_carry(l, false);
}

void oplog_roll(struct oplog *l, oplog_rolled *rolled, void *context)
{
    l->rolled = rolled;
    l->rolled_context = context;
    if (!oplog_is_writing(l))
        roll(l);
}

uint64_t oplog_next_file(const struct oplog *l, uint64_t above)
{
    for (size_t i = 0; i < l->files.count; i++)
        if (l->files.files[i].number > above)
            return l->files.files[i].number;
    return 0;
}

void oplog_drop_index(struct oplog *l, uint32_t index)
{
    close_if_full(l);
    oplog_files_drop(&l->files, index, open_file(l));
    free_removed(l);
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
