#include "coordinator/catalog.h"

#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "common/bytes.h"
#include "common/check.h"
#include "common/err.h"
#include "common/logger.h"
#include "coordinator/catalog_record.h"

enum { MAX_KEY = 9, CHANGES_AT_ONCE = 4096 };

static const size_t MAP_SIZE = (size_t)1 << 30;

/* How many numbers are reserved at a time. */
static const uint64_t block_size[NUMBERS] = {
    [NUMBER_STAMP] = 65536, [NUMBER_SEGMENT] = 256, [NUMBER_TASK] = 256, [NUMBER_INDEX] = 16};

struct change {
    struct change *next;
    size_t key_length;
    uint8_t key[MAX_KEY];
    bool removes;
    struct buf value;
    catalog_done *done;
    void *context;
};

struct changes { /* first in, first out */
    struct change *first, **end;
    size_t count;
};

struct numbers {
    uint64_t next, reserved; /* given below next; durable below reserved */
    bool asked;              /* another block is on its way */
    uint64_t asked_to;
};

struct catalog {
    MDB_env *env;
    MDB_dbi dbi;
    uv_loop_t *loop;
    uv_work_t work;
    struct changes waiting, writing;
    bool is_writing;
    int result; /* of the commit in the pool */
    uint64_t epoch;
    uint32_t shards;
    struct numbers numbers[NUMBERS];
};

static int lmdb_error(int rc)
{
    return rc == MDB_NOTFOUND ? -ENOENT : rc > 0 ? -rc : rc;
}

/* ------------------------------------------------------------------------------------------------------------- changes
 */

static void changes_init(struct changes *c)
{
    *c = (struct changes){.end = &c->first};
}

static void changes_push(struct changes *c, struct change *one)
{
    *c->end = one;
    c->end = &one->next;
    c->count++;
}

/* One transaction, in whatever thread: an LMDB write transaction must begin and end in the same. */
static int write_changes(struct catalog *c, const struct changes *changes)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(c->env, NULL, 0, &txn);
    if (rc)
        return lmdb_error(rc);
    for (struct change *one = changes->first; one && !rc; one = one->next) {
        MDB_val key = {one->key_length, one->key}, value = {one->value.len, one->value.data};
        if (one->removes) {
            rc = mdb_del(txn, c->dbi, &key, NULL);
            rc = rc == MDB_NOTFOUND ? 0 : rc;
        } else {
            rc = one->value.err ? one->value.err : mdb_put(txn, c->dbi, &key, &value, 0);
        }
    }
    if (rc) {
        mdb_txn_abort(txn);
        return lmdb_error(rc);
    }
    return lmdb_error(mdb_txn_commit(txn));
}

static void finish_changes(struct changes *changes, int err)
{
    struct change *one = changes->first;
    changes_init(changes);
    while (one) {
        struct change *next = one->next;
        if (one->done)
            one->done(one->context, err);
        buf_finish(&one->value);
        free(one);
        one = next;
    }
}

static void in_pool(uv_work_t *work)
{
    struct catalog *c = work->data;
    c->result = write_changes(c, &c->writing);
}

static void start_writing(struct catalog *c);

static void after_pool(uv_work_t *work, int status)
{
    struct catalog *c = work->data;
    struct changes written = c->writing;
    if (written.first == NULL)
        written.end = &written.first;
    changes_init(&c->writing);
    c->is_writing = false;
    if (status || c->result)
        log_error("the catalog could not be written: %s", err_str(status ? status : c->result));
    finish_changes(&written, status ? status : c->result);
    start_writing(c);
}

static void start_writing(struct catalog *c)
{
    if (c->is_writing || !c->waiting.first)
        return;
    c->writing = c->waiting;
    changes_init(&c->waiting);
    c->is_writing = true;
    c->work.data = c;
    require(uv_queue_work(c->loop, &c->work, in_pool, after_pool) == 0);
}

static struct change *new_change(uint8_t kind, uint64_t number, size_t number_size, catalog_done *done, void *context)
{
    struct change *one = calloc(1, sizeof *one);
    require(one != NULL);
    one->key[0] = kind;
    if (number_size == 8)
        store_be64(one->key + 1, number);
    else if (number_size == 4)
        store_be32(one->key + 1, (uint32_t)number);
    else if (number_size == 1)
        one->key[1] = (uint8_t)number;
    one->key_length = 1 + number_size;
    one->done = done;
    one->context = context;
    return one;
}

static void submit(struct catalog *c, struct change *one)
{
    changes_push(&c->waiting, one);
    start_writing(c);
}

/* ------------------------------------------------------------------------------------------------------------- numbers
 */

static struct change *reserve_change(enum catalog_number kind, uint64_t to, catalog_done *done, void *context)
{
    struct change *one = new_change('n', kind, 1, done, context);
    record_begin(&one->value);
    buf_append(&one->value, &to, sizeof to);
    record_seal(&one->value);
    return one;
}

struct reservation {
    struct catalog *catalog;
    enum catalog_number kind;
};

static void on_reserved(void *context, int err)
{
    struct reservation *r = context;
    struct numbers *n = &r->catalog->numbers[r->kind];
    n->asked = false;
    if (!err && n->asked_to > n->reserved)
        n->reserved = n->asked_to;
    free(r);
}

/* When half of a block is used the next one is asked for, so that nobody waits for the disk. */
static void reserve_ahead(struct catalog *c, enum catalog_number kind)
{
    struct numbers *n = &c->numbers[kind];
    if (n->asked || n->reserved - n->next > block_size[kind] / 2)
        return;
    struct reservation *r = malloc(sizeof *r);
    if (!r)
        return;
    *r = (struct reservation){c, kind};
    n->asked = true;
    n->asked_to = n->reserved + block_size[kind];
    submit(c, reserve_change(kind, n->asked_to, on_reserved, r));
}

/* Faster than the disk: this once, the loop waits. */
static void reserve_now(struct catalog *c, enum catalog_number kind)
{
    struct numbers *n = &c->numbers[kind];
    uint64_t to = (n->asked && n->asked_to > n->reserved ? n->asked_to : n->reserved) + block_size[kind];
    struct changes one;
    changes_init(&one);
    changes_push(&one, reserve_change(kind, to, NULL, NULL));
    int err = write_changes(c, &one);
    if (err)
        log_error("no more numbers can be reserved in the catalog: %s", err_str(err));
    require(err == 0); /* giving one twice would lose data */
    finish_changes(&one, 0);
    n->next = n->next > n->reserved ? n->next : n->reserved;
    n->reserved = to;
    /* The asked one lands below what is reserved now, and must not lower it: in order, the pool writes it later. */
    if (n->asked)
        submit(c, reserve_change(kind, to, NULL, NULL));
}

uint64_t catalog_next(struct catalog *c, enum catalog_number kind)
{
    struct numbers *n = &c->numbers[kind];
    if (n->next >= n->reserved)
        reserve_now(c, kind);
    uint64_t number = n->next++;
    reserve_ahead(c, kind);
    return number;
}

/* ------------------------------------------------------------------------------------------------------------- records
 */

static void put_index(struct catalog *c, const struct index *i, catalog_done *done, void *context, bool more)
{
    struct change *one = new_change('i', i->number, 4, done, context);
    index_record_encode(&one->value, i);
    if (more)
        changes_push(&c->waiting, one);
    else
        submit(c, one);
}

void catalog_put_index(struct catalog *c, const struct index *i, catalog_done *done, void *context)
{
    put_index(c, i, done, context, false);
}

void catalog_put_swap(struct catalog *c, const struct index *a, const struct index *b, catalog_done *done,
                      void *context)
{
    put_index(c, a, NULL, NULL, true); /* what waits together is committed together */
    put_index(c, b, done, context, false);
}

void catalog_remove_index(struct catalog *c, const struct index *i, catalog_done *done, void *context)
{
    struct change *one = new_change('i', i->number, 4, done, context);
    one->removes = true;
    submit(c, one);
}

void catalog_put_task(struct catalog *c, uint64_t uid, struct str packed, catalog_done *done, void *context)
{
    struct change *one = new_change('t', uid, 8, done, context);
    record_begin(&one->value);
    buf_append_str(&one->value, packed);
    record_seal(&one->value);
    submit(c, one);
}

void catalog_remove_task(struct catalog *c, uint64_t uid)
{
    struct change *one = new_change('t', uid, 8, NULL, NULL);
    one->removes = true;
    submit(c, one);
}

/* ------------------------------------------------------------------------------------------------------------- opening
 */

typedef int record_visitor(void *context, struct str key, struct str rest);

/* Every record whose key begins with that byte. */
static int visit(MDB_txn *txn, MDB_dbi dbi, uint8_t kind, record_visitor *visitor, void *context)
{
    MDB_cursor *cursor;
    MDB_val key = {1, &kind}, value;
    int rc = mdb_cursor_open(txn, dbi, &cursor);
    if (rc)
        return lmdb_error(rc);
    int err = 0;
    for (rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE); rc == 0 && !err;
         rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        struct str rest;
        if (*(const uint8_t *)key.mv_data != kind)
            break;
        err = record_open((struct str){value.mv_data, value.mv_size}, &rest);
        if (!err)
            err = visitor(context, (struct str){key.mv_data, key.mv_size}, rest);
    }
    mdb_cursor_close(cursor);
    return err ? err : rc && rc != MDB_NOTFOUND ? lmdb_error(rc) : 0;
}

static int take_meta(void *context, struct str key, struct str rest)
{
    struct catalog *c = context;
    (void)key;
    if (rest.len < 4)
        return ERR_CORRUPT;
    if (load_u32(rest.ptr) != CATALOG_VERSION)
        return ERR_VERSION;
    if (rest.len != 16)
        return ERR_CORRUPT;
    c->shards = load_u32(rest.ptr + 4);
    c->epoch = load_u64(rest.ptr + 8);
    return 0;
}

static int take_number(void *context, struct str key, struct str rest)
{
    struct catalog *c = context;
    if (key.len != 2 || rest.len != 8 || (uint8_t)key.ptr[1] >= NUMBERS)
        return ERR_CORRUPT;
    struct numbers *n = &c->numbers[(uint8_t)key.ptr[1]];
    n->next = n->reserved = load_u64(rest.ptr);
    return 0;
}

static int take_index(void *context, struct str key, struct str rest)
{
    struct index_record r;
    if (key.len != 5)
        return ERR_CORRUPT;
    int err = index_record_decode(rest, &r);
    if (err)
        return err;
    return indexes_add(context, r.name, r.primary_key, load_be32(key.ptr + 1), r.edition, r.created_at, r.settings)
               ? 0
               : -ENOMEM;
}

static void put_meta(struct changes *changes, uint32_t shards, uint64_t epoch)
{
    struct change *one = new_change('m', 0, 0, NULL, NULL);
    uint32_t version = CATALOG_VERSION;
    record_begin(&one->value);
    buf_append(&one->value, &version, sizeof version);
    buf_append(&one->value, &shards, sizeof shards);
    buf_append(&one->value, &epoch, sizeof epoch);
    record_seal(&one->value);
    changes_push(changes, one);
}

static int load(struct catalog *c, uint32_t shards, struct indexes *indexes, char why[256])
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(c->env, NULL, MDB_RDONLY, &txn);
    if (!rc)
        rc = mdb_dbi_open(txn, NULL, 0, &c->dbi);
    if (rc)
        return lmdb_error(rc);
    int err = visit(txn, c->dbi, 'm', take_meta, c);
    if (!err && c->shards && c->shards != shards) {
        snprintf(why, 256, "the data was made with --shards %u, not %u", c->shards, shards);
        err = ERR_INVALID;
    }
    indexes->shards = shards;
    if (!err)
        err = visit(txn, c->dbi, 'n', take_number, c);
    if (!err)
        err = visit(txn, c->dbi, 'i', take_index, indexes);
    mdb_txn_abort(txn);
    return err;
}

static int open_environment(struct catalog *c, const char *path)
{
    int rc = mdb_env_create(&c->env);
    if (!rc)
        rc = mdb_env_set_mapsize(c->env, MAP_SIZE);
    if (!rc)
        rc = mdb_env_open(c->env, path, MDB_NOSUBDIR | MDB_NOTLS, 0640);
    return lmdb_error(rc);
}

static int begin_epoch(struct catalog *c, uint32_t shards)
{
    struct changes changes;
    changes_init(&changes);
    c->epoch++;
    put_meta(&changes, shards, c->epoch);
    int err = write_changes(c, &changes);
    finish_changes(&changes, err);
    return err;
}

int catalog_open(uv_loop_t *loop, const char *path, uint32_t shards, struct indexes *out_indexes, struct catalog **out,
                 char why[256])
{
    struct catalog *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    c->loop = loop;
    changes_init(&c->waiting);
    changes_init(&c->writing);
    for (int kind = 0; kind < NUMBERS; kind++)
        c->numbers[kind].next = c->numbers[kind].reserved = 1; /* 0 means none, everywhere */
    why[0] = 0;
    int err = open_environment(c, path);
    if (!err)
        err = load(c, shards, out_indexes, why);
    if (!err)
        err = begin_epoch(c, shards);
    if (err) {
        if (c->env)
            mdb_env_close(c->env);
        free(c);
        return err;
    }
    *out = c;
    return 0;
}

void catalog_close(struct catalog *c)
{
    if (!c)
        return;
    struct changes last = c->waiting;
    if (!last.first)
        last.end = &last.first;
    changes_init(&c->waiting);
    if (last.first) {
        int err = write_changes(c, &last);
        if (err)
            log_error("the catalog's last changes could not be written: %s", err_str(err));
        for (struct change *one = last.first; one; one = one->next)
            one->done = NULL; /* nobody is there any more */
        finish_changes(&last, err);
    }
    mdb_env_close(c->env);
    free(c);
}

uint64_t catalog_epoch(const struct catalog *c)
{
    return c->epoch;
}

struct task_visit {
    catalog_task_visitor *visit;
    void *context;
};

static int take_task(void *context, struct str key, struct str rest)
{
    struct task_visit *v = context;
    if (key.len != 9)
        return ERR_CORRUPT;
    v->visit(v->context, load_be64(key.ptr + 1), rest);
    return 0;
}

int catalog_tasks(struct catalog *c, catalog_task_visitor *visitor, void *context)
{
    MDB_txn *txn;
    struct task_visit v = {visitor, context};
    int rc = mdb_txn_begin(c->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return lmdb_error(rc);
    int err = visit(txn, c->dbi, 't', take_task, &v);
    mdb_txn_abort(txn);
    return err;
}
