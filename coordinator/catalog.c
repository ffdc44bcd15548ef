#include "coordinator/catalog.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "common/bytes.h"
#include "common/check.h"
#include "common/err.h"
#include "common/logger.h"
#include "coordinator/catalog_store.h"
#include "coordinator/disk.h"

enum { COMMIT_NEEDS = 256 << 10 }; /* of the disk: some pages */

static const uint64_t block_sizes[NUMBERS] = {
    [NUMBER_STAMP] = 65536, [NUMBER_SEGMENT] = 256, [NUMBER_TASK] = 256, [NUMBER_INDEX] = 256};

struct block { /* of numbers that may be given out: next <= n < end */
    uint64_t next, end;
    uint64_t durable; /* numbers below it are reserved in the file */
    uint64_t asked;   /* what `durable` will be when a write that is under way has ended; 0: none is */
};

struct catalog {
    struct catalog_store *store;
    uv_loop_t *loop;
    uv_work_t work;
    struct catalog_meta meta;
    uint64_t resharding; /* the task; 0: none */
    struct block blocks[NUMBERS];
    struct catalog_write *waiting, **waiting_end; /* for the next commit */
    struct catalog_write *committing;             /* NULL: no commit is in flight */
    int err;                                      /* of the commit in flight */
    uint64_t failures;                            /* commits that failed */
    bool is_failing;                              /* the last one did */
    struct disk *disk;                            /* NULL: nobody is told what it lacks */
};

/* --- opening */

static int read_numbers(struct catalog *c)
{
    for (unsigned kind = 0; kind < NUMBERS; kind++) {
        char key[2] = {'n', (char)kind};
        uint8_t value[8];
        int got = catalog_store_get(c->store, (struct str){.ptr = key, .len = 2}, value, sizeof value);
        if (got < 0)
            return got;
        uint64_t reserved = got ? load_u64(value) : 1;
        c->blocks[kind] = (struct block){.next = reserved, .end = reserved, .durable = reserved};
    }
    return 0;
}

static int read_resharding(struct catalog *c)
{
    uint8_t value[8];
    int got = catalog_store_get(c->store, STR("r"), value, sizeof value);
    if (got > 0 && got != sizeof value)
        got = ERR_CORRUPT;
    if (got > 0)
        c->resharding = load_u64(value);
    return got < 0 ? got : 0;
}

/* Reads what the data was made with, raises the epoch, and reserves the first blocks, all in one transaction. */
static int begin_life(struct catalog *c, uint32_t shards, char why[256])
{
    c->meta = (struct catalog_meta){.version = CATALOG_VERSION_FIXED, .shards = shards};
    int got = catalog_store_meta(c->store, &c->meta);
    if (got == ERR_VERSION)
        snprintf(why, 256, "the data is of format %u, this server reads %d to %d", c->meta.version, CATALOG_VERSION_FIXED,
                 CATALOG_VERSION);
    if (got < 0)
        return got;
    c->meta.epoch++;
    struct catalog_write *list = catalog_write_meta(&c->meta);
    for (unsigned kind = 0; kind < NUMBERS; kind++) {
        c->blocks[kind].end = c->blocks[kind].durable = c->blocks[kind].next + block_sizes[kind];
        struct catalog_write *w = catalog_write_number(kind, c->blocks[kind].end);
        w->next = list;
        list = w;
    }
    int err = catalog_store_commit(c->store, list);
    for (struct catalog_write *next; list; list = next) {
        next = list->next;
        free(list);
    }
    return err;
}

static int load_index(void *context, struct str key, struct str value)
{
    return catalog_read_index(context, key, value);
}

int catalog_open(struct uv_loop_s *loop, const char *path, uint32_t shards, struct indexes *out_indexes,
                 struct catalog **out, char why[256])
{
    struct catalog *c = calloc(1, sizeof *c);
    require(c);
    c->loop = loop;
    c->work.data = c;
    c->waiting_end = &c->waiting;
    why[0] = 0;
    int err = catalog_store_open(path, &c->store);
    if (!err)
        err = read_numbers(c);
    if (!err)
        err = read_resharding(c);
    if (!err)
        err = begin_life(c, shards, why);
    *out_indexes = (struct indexes){.shards = c->meta.shards};
    if (!err)
        err = catalog_store_visit(c->store, 'i', load_index, out_indexes);
    if (err) {
        if (!why[0])
            snprintf(why, 256, "%s", err_str(err));
        if (c->store)
            catalog_store_close(c->store);
        free(c);
        return err;
    }
    *out = c;
    return 0;
}

static int peek(struct catalog_store *store, struct indexes *all)
{
    struct catalog_meta meta;
    int got = catalog_store_meta(store, &meta);
    if (got != 1)
        return got ? got : ERR_CORRUPT;
    all->shards = meta.shards;
    return catalog_store_visit(store, 'i', load_index, all);
}

bool catalog_peek(const char *path, bool beside, uint32_t *out_shards, uint32_t *out_most)
{
    struct catalog_store *store;
    struct indexes all = {.first = NULL};
    if (access(path, R_OK) != 0 || (beside ? catalog_store_open_beside : catalog_store_open_alone)(path, &store))
        return false;
    int err = peek(store, &all);
    catalog_store_close(store);
    *out_shards = all.shards;
    *out_most = indexes_most_shards(&all);
    while (all.first)
        indexes_remove(&all, all.first);
    return !err;
}

void catalog_set_disk(struct catalog *c, struct disk *d)
{
    c->disk = d;
}

uint64_t catalog_epoch(const struct catalog *c)
{
    return c->meta.epoch;
}

uint64_t catalog_resharding(const struct catalog *c)
{
    return c->resharding;
}

/* --- committing */

/* Said once of those that fail one after the other: who asked for one asks again, some each second. */
static void note_outcome(struct catalog *c, int err)
{
    bool is_full = disk_is_lacked(c->disk, DISK_CATALOG, err, COMMIT_NEEDS, "catalog.mdb");
    if (err && !is_full && !c->is_failing)
        log_error("cannot write the catalog, it is tried again until it can: %s", err_str(err));
    else if (!err && c->is_failing)
        log_info("the catalog can be written again");
    if (!err)
        disk_has_sufficed(c->disk, DISK_CATALOG);
    c->is_failing = err != 0 && !is_full;
    c->failures += err != 0;
}

static void commit_in_pool(uv_work_t *work)
{
    struct catalog *c = work->data;
    c->err = catalog_store_commit(c->store, c->committing);
}

static void start_commit(struct catalog *c);

static void finish_writes(struct catalog_write *list, int err)
{
    for (struct catalog_write *next; list; list = next) {
        next = list->next;
        if (list->done)
            list->done(list->context, err);
        free(list);
    }
}

static void committed(uv_work_t *work, int status)
{
    struct catalog *c = work->data;
    struct catalog_write *list = c->committing;
    int err = status ? status : c->err;
    c->committing = NULL;
    note_outcome(c, err);
    start_commit(c);
    finish_writes(list, err);
}

static void start_commit(struct catalog *c)
{
    if (c->committing || !c->waiting)
        return;
    c->committing = c->waiting;
    c->waiting = NULL;
    c->waiting_end = &c->waiting;
    require(uv_queue_work(c->loop, &c->work, commit_in_pool, committed) == 0);
}

static void put(struct catalog *c, struct catalog_write *w, catalog_done *done, void *context)
{
    w->done = done;
    w->context = context;
    *c->waiting_end = w;
    c->waiting_end = &w->next;
}

/* The loop has ended; what is in the pool all the same is waited for: tasks that could not be written before. */
void catalog_close(struct catalog *c)
{
    while (c->committing)
        uv_run(c->loop, UV_RUN_ONCE);
    struct catalog_write *list = c->waiting;
    c->waiting = NULL;
    int err = list ? catalog_store_commit(c->store, list) : 0;
    if (err)
        log_error("cannot write the catalog: %s", err_str(err));
    finish_writes(list, err);
    catalog_store_close(c->store);
    free(c);
}

bool catalog_is_idle(const struct catalog *c)
{
    return !c->committing && !c->waiting;
}

/* --- numbers */

static void reserved_ahead(void *context, int err)
{
    struct block *b = context;
    if (!err && b->asked > b->durable)
        b->durable = b->asked;
    b->asked = 0; /* after a failure it is asked for again by the next call */
}

static void reserve_ahead(struct catalog *c, enum catalog_number kind)
{
    struct block *b = &c->blocks[kind];
    b->asked = b->end + block_sizes[kind];
    put(c, catalog_write_number(kind, b->asked), reserved_ahead, b);
    start_commit(c);
}

/* The block is used up and the next one is not there yet: waits for the disk. */
static int reserve_now(struct catalog *c, enum catalog_number kind)
{
    struct block *b = &c->blocks[kind];
    struct catalog_write *w = catalog_write_number(kind, b->end + block_sizes[kind]);
    int err = catalog_store_commit(c->store, w);
    free(w);
    note_outcome(c, err);
    if (!err)
        b->durable = b->end + block_sizes[kind];
    return err;
}

uint64_t catalog_next(struct catalog *c, enum catalog_number kind)
{
    struct block *b = &c->blocks[kind];
    if (b->next == b->end) {
        if (b->durable < b->end + block_sizes[kind] && reserve_now(c, kind) < 0)
            return 0;
        b->end += block_sizes[kind];
    }
    uint64_t number = b->next++;
    if (!b->asked && b->durable == b->end && b->end - b->next < block_sizes[kind] / 2)
        reserve_ahead(c, kind);
    return number;
}

/* --- records */

static struct catalog_write *write_index(const struct catalog *c, const struct index *i)
{
    return catalog_write_index(i, c->meta.version > CATALOG_VERSION_FIXED);
}

void catalog_put_index(struct catalog *c, const struct index *i, catalog_done *done, void *context)
{
    put(c, write_index(c, i), done, context);
    start_commit(c);
}

void catalog_remove_index(struct catalog *c, const struct index *i, catalog_done *done, void *context)
{
    struct catalog_write *w = write_index(c, i);
    w->remove = true;
    put(c, w, done, context);
    start_commit(c);
}

void catalog_put_swap(struct catalog *c, const struct index *a, const struct index *b, catalog_done *done,
                      void *context)
{
    put(c, write_index(c, a), NULL, NULL);
    put(c, write_index(c, b), done, context);
    start_commit(c); /* after both, so that they share a transaction */
}

static struct catalog_write *write_task(uint64_t uid, struct str packed)
{
    uint8_t key[8];
    store_be64(key, uid);
    struct catalog_write *w = catalog_write_new('t', key, sizeof key, packed.len);
    if (packed.len)
        memcpy(w->value, packed.ptr, packed.len);
    return w;
}

void catalog_put_switch(struct catalog *c, const struct index *i, uint64_t task, struct str packed, catalog_done *done,
                        void *context)
{
    if (packed.len)
        put(c, write_task(task, packed), NULL, NULL);
    put(c, write_index(c, i), done, context);
    start_commit(c);
}

/* From here on every index says how many it has: those that are on their way to it have another number than new ones. */
void catalog_put_shards(struct catalog *c, const struct indexes *all, uint64_t task, catalog_done *done, void *context)
{
    c->meta.version = CATALOG_VERSION;
    c->meta.shards = all->shards;
    c->resharding = task;
    for (const struct index *i = all->first; i; i = i->next)
        put(c, write_index(c, i), NULL, NULL);
    put(c, catalog_write_resharding(task), NULL, NULL);
    put(c, catalog_write_meta(&c->meta), done, context);
    start_commit(c);
}

void catalog_end_resharding(struct catalog *c, uint64_t task, struct str packed, catalog_done *done, void *context)
{
    struct catalog_write *w = catalog_write_resharding(task);
    w->remove = true;
    c->resharding = 0;
    if (packed.len)
        put(c, write_task(task, packed), NULL, NULL);
    put(c, w, done, context);
    start_commit(c);
}

void catalog_put_task(struct catalog *c, uint64_t uid, struct str packed, catalog_done *done, void *context)
{
    put(c, write_task(uid, packed), done, context);
    start_commit(c);
}

void catalog_remove_task(struct catalog *c, uint64_t uid)
{
    struct catalog_write *w = write_task(uid, (struct str){.ptr = NULL});
    w->remove = true;
    put(c, w, NULL, NULL);
    start_commit(c);
}

struct after {
    struct catalog *catalog;
    uint64_t failures; /* before it */
    catalog_done *done;
    void *context;
};

static void after_all(void *context, int err)
{
    struct after *a = context;
    a->done(a->context, err || a->catalog->failures == a->failures ? err : -EIO);
    free(a);
}

void catalog_after(struct catalog *c, catalog_done *done, void *context)
{
    if (catalog_is_idle(c)) {
        done(context, 0);
        return;
    }
    struct catalog_write *nothing = calloc(1, sizeof *nothing);
    struct after *a = malloc(sizeof *a);
    require(nothing && a);
    *a = (struct after){c, c->failures, done, context};
    put(c, nothing, after_all, a);
    start_commit(c);
}

struct task_visit {
    catalog_task_visitor *visit;
    void *context;
};

static int visit_task(void *context, struct str key, struct str value)
{
    const struct task_visit *v = context;
    if (key.len != 9)
        return ERR_CORRUPT;
    v->visit(v->context, load_be64(key.ptr + 1), value);
    return 0;
}

int catalog_tasks(struct catalog *c, catalog_task_visitor *visit, void *context)
{
    struct task_visit v = {.visit = visit, .context = context};
    return catalog_store_visit(c->store, 't', visit_task, &v);
}

int catalog_copy(struct catalog *c, const char *path)
{
    return catalog_store_copy(c->store, path);
}
