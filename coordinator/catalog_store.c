#include "coordinator/catalog_store.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/check.h"
#include "common/crc.h"
#include "common/err.h"
#include "common/fd.h"
#include "coordinator/slots.h"

enum {
    MAP_SIZE = 1 << 30,
    CRC_SIZE = 4,
    INDEX_FIXED = 16,
    SHARDS_FIXED = 8,
    COMING_FIXED = 12,
    META_SIZE = 24,
    META_MAGIC = 0x5443464d, /* "MFCT" */
};

struct catalog_store {
    MDB_env *env;
    MDB_dbi dbi;
};

/* LMDB gives errno values as they are. */
static int err_lmdb(int rc)
{
    return rc > 0 ? -rc : rc;
}

static const char *lmdb_name(int err)
{
    return mdb_strerror(err);
}

void catalog_store_name_errors(void)
{
    err_name_range(MDB_KEYEXIST, MDB_LAST_ERRCODE, lmdb_name);
}

static int open_dbi(struct catalog_store *s, unsigned flags)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(s->env, NULL, flags, &txn);
    if (rc)
        return err_lmdb(rc);
    rc = mdb_dbi_open(txn, NULL, 0, &s->dbi);
    if (rc) {
        mdb_txn_abort(txn);
        return err_lmdb(rc);
    }
    return err_lmdb(mdb_txn_commit(txn));
}

static int open_store(const char *path, unsigned flags, struct catalog_store **out)
{
    struct catalog_store *s = calloc(1, sizeof *s);
    require(s);
    int rc = mdb_env_create(&s->env);
    if (!rc)
        rc = mdb_env_set_mapsize(s->env, MAP_SIZE);
    /* NOTLS: a transaction belongs to its object, not to the thread of the pool that happens to run it. */
    if (!rc)
        rc = mdb_env_open(s->env, path, MDB_NOSUBDIR | MDB_NOTLS | flags, 0640);
    int err = rc ? err_lmdb(rc) : open_dbi(s, flags & MDB_RDONLY);
    if (err) {
        catalog_store_close(s);
        return err;
    }
    *out = s;
    return 0;
}

int catalog_store_open(const char *path, struct catalog_store **out)
{
    return open_store(path, 0, out);
}

int catalog_store_open_beside(const char *path, struct catalog_store **out)
{
    return open_store(path, MDB_RDONLY, out);
}

int catalog_store_open_alone(const char *path, struct catalog_store **out)
{
    return open_store(path, MDB_RDONLY | MDB_NOLOCK, out);
}

void catalog_store_close(struct catalog_store *s)
{
    if (s->env)
        mdb_env_close(s->env);
    free(s);
}

static uint32_t checksum(const void *key, size_t key_length, const void *value, size_t length)
{
    return crc32c(crc32c(0, key, key_length), value, length);
}

/* A reservation that waited while a higher one was made at once must not lower it. */
static bool is_reserved(MDB_txn *txn, MDB_dbi dbi, MDB_val key, uint64_t reserved)
{
    MDB_val value;
    return mdb_get(txn, dbi, &key, &value) == 0 && value.mv_size == 8 + CRC_SIZE && load_u64(value.mv_data) >= reserved;
}

static int apply(MDB_txn *txn, MDB_dbi dbi, const struct catalog_write *w)
{
    union { /* LMDB does not write through it */
        const uint8_t *from;
        void *data;
    } key_bytes = {.from = w->key};
    if (w->key_length == 0)
        return 0;
    MDB_val key = {.mv_size = w->key_length, .mv_data = key_bytes.data};
    if (w->remove) {
        int rc = mdb_del(txn, dbi, &key, NULL);
        return rc == MDB_NOTFOUND ? 0 : rc;
    }
    MDB_val value = {.mv_size = w->length + CRC_SIZE};
    if (w->key[0] == 'n' && is_reserved(txn, dbi, key, load_u64(w->value)))
        return 0;
    int rc = mdb_put(txn, dbi, &key, &value, MDB_RESERVE);
    if (rc)
        return rc;
    memcpy(value.mv_data, w->value, w->length);
    store_u32((char *)value.mv_data + w->length, checksum(w->key, w->key_length, w->value, w->length));
    return 0;
}

int catalog_store_commit(struct catalog_store *s, const struct catalog_write *list)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(s->env, NULL, 0, &txn);
    if (rc)
        return err_lmdb(rc);
    for (const struct catalog_write *w = list; w && !rc; w = w->next)
        rc = apply(txn, s->dbi, w);
    if (rc) {
        mdb_txn_abort(txn);
        return err_lmdb(rc);
    }
    return err_lmdb(mdb_txn_commit(txn));
}

int catalog_store_copy(struct catalog_store *s, const char *path)
{
    scoped(fd) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0)
        return -errno;
    int err = err_lmdb(mdb_env_copyfd(s->env, fd));
    return err ? err : fsync(fd) < 0 ? -errno : 0;
}

static int check_value(MDB_val key, MDB_val value, struct str *out)
{
    if (value.mv_size < CRC_SIZE)
        return ERR_CORRUPT;
    size_t length = value.mv_size - CRC_SIZE;
    if (load_u32((const char *)value.mv_data + length) != checksum(key.mv_data, key.mv_size, value.mv_data, length))
        return ERR_CORRUPT;
    *out = (struct str){.ptr = value.mv_data, .len = length};
    return 0;
}

int catalog_store_get(struct catalog_store *s, struct str name, void *to, size_t room)
{
    char bytes[CATALOG_MAX_KEY];
    require(name.len <= sizeof bytes);
    memcpy(bytes, name.ptr, name.len);
    MDB_txn *txn;
    int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return err_lmdb(rc);
    MDB_val key = {.mv_size = name.len, .mv_data = bytes}, value;
    rc = mdb_get(txn, s->dbi, &key, &value);
    int result = rc == MDB_NOTFOUND ? 0 : err_lmdb(rc);
    if (!rc) {
        struct str found;
        result = check_value(key, value, &found);
        if (!result && found.len > room)
            result = ERR_CORRUPT;
        if (!result) {
            memcpy(to, found.ptr, found.len);
            result = (int)found.len;
        }
    }
    mdb_txn_abort(txn);
    return result;
}

static int visit_all(MDB_cursor *cursor, char kind, catalog_store_visitor *visit, void *context)
{
    MDB_val key = {.mv_size = 1, .mv_data = &kind}, value;
    int rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (!rc && key.mv_size > 0 && *(const char *)key.mv_data == kind) {
        struct str checked;
        int err = check_value(key, value, &checked);
        if (!err)
            err = visit(context, (struct str){.ptr = key.mv_data, .len = key.mv_size}, checked);
        if (err < 0)
            return err;
        rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    return rc == MDB_NOTFOUND ? 0 : err_lmdb(rc);
}

int catalog_store_visit(struct catalog_store *s, char kind, catalog_store_visitor *visit, void *context)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return err_lmdb(rc);
    rc = mdb_cursor_open(txn, s->dbi, &cursor);
    int err = err_lmdb(rc);
    if (!rc) {
        err = visit_all(cursor, kind, visit, context);
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return err;
}

static int verify_all(MDB_cursor *cursor, size_t expected)
{
    MDB_val key, value;
    struct str checked;
    size_t found = 0;
    int rc;
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        if (check_value(key, value, &checked))
            return ERR_CORRUPT;
        found++;
    }
    return rc != MDB_NOTFOUND ? err_lmdb(rc) : found == expected ? 0 : ERR_CORRUPT;
}

int catalog_store_verify(struct catalog_store *s)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_stat stat;
    int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return err_lmdb(rc);
    rc = mdb_stat(txn, s->dbi, &stat);
    if (!rc)
        rc = mdb_cursor_open(txn, s->dbi, &cursor);
    int err = err_lmdb(rc);
    if (!rc) {
        err = verify_all(cursor, stat.ms_entries);
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return err;
}

int catalog_store_meta(struct catalog_store *s, struct catalog_meta *out)
{
    uint8_t bytes[META_SIZE];
    int got = catalog_store_get(s, STR("m"), bytes, sizeof bytes);
    if (got <= 0)
        return got;
    if (got != META_SIZE || load_u32(bytes) != META_MAGIC)
        return ERR_CORRUPT;
    *out = (struct catalog_meta){
        .version = load_u32(bytes + 4), .shards = load_u32(bytes + 8), .epoch = load_u64(bytes + 16)};
    if (out->version < CATALOG_VERSION_FIXED || out->version > CATALOG_VERSION)
        return ERR_VERSION;
    return out->shards >= 1 && out->shards <= SHARDS_MOST ? 1 : ERR_CORRUPT;
}

struct catalog_write *catalog_write_new(char kind, const void *key, size_t key_length, size_t length)
{
    require(key_length < CATALOG_MAX_KEY);
    struct catalog_write *w = calloc(1, sizeof *w + length);
    require(w);
    w->key[0] = (uint8_t)kind;
    if (key_length)
        memcpy(w->key + 1, key, key_length);
    w->key_length = key_length + 1;
    w->length = length;
    return w;
}

struct catalog_write *catalog_write_meta(const struct catalog_meta *m)
{
    struct catalog_write *w = catalog_write_new('m', NULL, 0, META_SIZE);
    store_u32(w->value, META_MAGIC);
    store_u32(w->value + 4, m->version);
    store_u32(w->value + 8, m->shards);
    store_u64(w->value + 16, m->epoch);
    return w;
}

struct catalog_write *catalog_write_number(unsigned kind, uint64_t reserved)
{
    uint8_t key = (uint8_t)kind;
    struct catalog_write *w = catalog_write_new('n', &key, 1, 8);
    store_u64(w->value, reserved);
    return w;
}

struct catalog_write *catalog_write_resharding(uint64_t task)
{
    struct catalog_write *w = catalog_write_new('r', NULL, 0, 8);
    store_u64(w->value, task);
    return w;
}

/* While the switch to another edition is on its way, the index is that one already: an earlier write must not come
 * after it. */
struct catalog_write *catalog_write_index(const struct index *i, bool says_shards)
{
    uint8_t key[4];
    store_be32(key, i->number);
    const struct index *as = i->becoming ? i->becoming : i;
    const struct coming none = {.task = 0}, *coming = i->becoming ? &none : &i->coming;
    size_t name = strlen(i->name), primary = strlen(i->primary_key);
    size_t later = coming->settings.len ? COMING_FIXED + coming->settings.len : 0;
    size_t shards = says_shards ? SHARDS_FIXED : 0;
    struct catalog_write *w =
        catalog_write_new('i', key, sizeof key, INDEX_FIXED + shards + name + primary + later + as->settings.len);
    store_u32(w->value, as->edition);
    w->value[4] = (uint8_t)name;
    w->value[5] = (uint8_t)primary;
    w->value[6] = later != 0;
    w->value[7] = says_shards;
    store_u64(w->value + 8, i->created_at);
    uint8_t *at = w->value + INDEX_FIXED;
    if (says_shards) {
        store_u32(at, as->shards);
        store_u32(at + 4, as->numbering);
        at += SHARDS_FIXED;
    }
    memcpy(at, i->name, name);
    memcpy(at + name, i->primary_key, primary);
    at += name + primary;
    if (later) {
        store_u64(at, coming->task);
        store_u32(at + 8, (uint32_t)coming->settings.len);
        memcpy(at + COMING_FIXED, coming->settings.data, coming->settings.len);
    }
    if (as->settings.len)
        memcpy(at + later, as->settings.data, as->settings.len);
    return w;
}

/* From the front of `rest`, which then is what follows. */
static int read_coming(struct str *rest, struct buf *out, uint64_t *out_task)
{
    if (rest->len < COMING_FIXED)
        return ERR_CORRUPT;
    size_t length = load_u32(rest->ptr + 8);
    if (length == 0 || length > rest->len - COMING_FIXED)
        return ERR_CORRUPT;
    *out_task = load_u64(rest->ptr);
    buf_append(out, rest->ptr + COMING_FIXED, length);
    *rest = (struct str){.ptr = rest->ptr + COMING_FIXED + length, .len = rest->len - COMING_FIXED - length};
    return out->err;
}

/* 0: the record does not say. */
static int read_shards(struct str value, uint32_t *out_shards, uint32_t *out_numbering)
{
    *out_shards = *out_numbering = 0;
    if (!value.ptr[7])
        return 0;
    if (value.len < INDEX_FIXED + SHARDS_FIXED)
        return ERR_CORRUPT;
    *out_shards = load_u32(value.ptr + INDEX_FIXED);
    *out_numbering = load_u32(value.ptr + INDEX_FIXED + 4);
    return *out_shards >= 1 && *out_shards <= SHARDS_MOST && *out_numbering >= 1 ? 0 : ERR_CORRUPT;
}

int catalog_read_index(struct indexes *all, struct str key, struct str value)
{
    uint32_t shards, numbering;
    if (key.len != 5 || value.len < INDEX_FIXED || read_shards(value, &shards, &numbering))
        return ERR_CORRUPT;
    size_t name = (uint8_t)value.ptr[4], primary = (uint8_t)value.ptr[5];
    size_t fixed = INDEX_FIXED + (shards ? SHARDS_FIXED : 0);
    if (value.len < fixed + name + primary)
        return ERR_CORRUPT;
    const char *at = value.ptr + fixed;
    struct str name_bytes = {.ptr = at, .len = name}, primary_bytes = {.ptr = at + name, .len = primary};
    struct str settings = {.ptr = at + name + primary, .len = value.len - fixed - name - primary};
    struct buf coming = {0};
    uint64_t task = 0;
    int err = value.ptr[6] ? read_coming(&settings, &coming, &task) : 0;
    struct index *added = err || !index_name_is_valid(name_bytes)
                              ? NULL
                              : indexes_add(all, name_bytes, primary_bytes, load_be32(key.ptr + 1),
                                            load_u32(value.ptr), load_u64(value.ptr + 8), settings);
    if (added && shards)
        index_set_shards(added, shards, numbering);
    if (added && coming.len)
        index_set_coming(added, &coming, task);
    buf_finish(&coming);
    return added ? 0 : ERR_CORRUPT;
}
