#include "index/core_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/err.h"
#include "common/fd.h"
#include "index/core_keys.h"

struct core_file {
    MDB_env *env;
    MDB_txn *look;  /* reset between uses: keeps its slot, pins nothing */
    MDB_txn *write; /* NULL outside begin and commit */
    bool looking;
    int err; /* sticky, of the writing transaction */
    MDB_dbi dbi;
};

enum {
    MAP_BYTES = 1 << 30, /* address space, not disk; fixed, so that no reader ever meets a larger file than its map */
    READERS = 126,
    EMPTY_BYTES = 2 * 4096, /* both meta pages, written by one call when the file is made */
};

static int err_lmdb(int rc)
{
    switch (rc) {
    case MDB_NOTFOUND:
        return -ENOENT;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
        return ERR_CORRUPT;
    default:
        return rc > 0 ? -rc : rc;
    }
}

static MDB_val val_of(struct str s)
{
    return (MDB_val){.mv_size = s.len, .mv_data = (void *)(uintptr_t)s.ptr};
}

static struct str str_of_val(MDB_val v)
{
    return (struct str){.ptr = v.mv_data, .len = v.mv_size};
}

/* LMDB would take an empty file that a writer is about to fill for a new one and fail to write it. */
static int is_readable(const char *path)
{
    struct stat st;
    if (stat(path, &st))
        return -errno;
    return st.st_size >= EMPTY_BYTES ? 0 : -ENOENT;
}

/* One process opens at a time. LMDB lets the first one make its lock table while others wait to share it; if that one is killed
 * then, with the table begun and no transaction's number in it, those who wait take it as it is, and the next commit is put on an
 * old one: what was committed since is lost. With this nobody waits there: whoever comes next makes the table anew. The directory
 * is what is locked, as to close another descriptor of LMDB's own file would give up LMDB's lock. */
static int begin_opening(const char *path, int *out)
{
    char directory[PATH_MAX];
    const char *end = strrchr(path, '/');
    size_t length = end ? (size_t)(end - path) : 0;
    if (length >= sizeof directory)
        return -ENAMETOOLONG;
    memcpy(directory, path, length);
    directory[length] = 0;
    scoped(fd) int fd = open(length ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    while (flock(fd, LOCK_EX) < 0)
        if (errno != EINTR)
            return -errno;
    *out = fd_take(&fd);
    return 0;
}

static int open_env(struct core_file *f, const char *path, enum core_access access)
{
    static const unsigned flags[] = {
        [CORE_READS] = MDB_RDONLY, [CORE_WRITES] = 0, [CORE_ALONE] = MDB_RDONLY | MDB_NOLOCK};
    scoped(fd) int opening = -1;
    int err = access == CORE_ALONE ? 0 : begin_opening(path, &opening);
    if (err)
        return err;
    int rc = mdb_env_create(&f->env);
    if (!rc)
        rc = mdb_env_set_mapsize(f->env, MAP_BYTES);
    if (!rc)
        rc = mdb_env_set_maxreaders(f->env, READERS);
    if (!rc)
        rc = mdb_env_open(f->env, path, MDB_NOSUBDIR | MDB_NOTLS | flags[access], 0640);
    return err_lmdb(rc);
}

static int open_dbi(struct core_file *f)
{
    int err = core_file_look(f);
    if (err)
        return err;
    err = err_lmdb(mdb_dbi_open(f->look, NULL, 0, &f->dbi));
    core_file_done(f);
    return err;
}

int core_file_open(const char *path, enum core_access access, struct core_file **out)
{
    int err = access == CORE_WRITES ? 0 : is_readable(path);
    if (err)
        return err;
    struct core_file *f = calloc(1, sizeof *f);
    if (!f)
        return -ENOMEM;
    err = open_env(f, path, access);
    if (!err)
        err = open_dbi(f);
    if (err) {
        core_file_close(f);
        return err;
    }
    *out = f;
    return 0;
}

void core_file_close(struct core_file *f)
{
    if (!f)
        return;
    core_file_abort(f);
    if (f->look)
        mdb_txn_abort(f->look);
    if (f->env)
        mdb_env_close(f->env);
    free(f);
}

int core_file_sweep(struct core_file *f)
{
    int dead;
    return err_lmdb(mdb_reader_check(f->env, &dead));
}

static int look(struct core_file *f)
{
    return f->look ? mdb_txn_renew(f->look) : mdb_txn_begin(f->env, NULL, MDB_RDONLY, &f->look);
}

int core_file_look(struct core_file *f)
{
    int rc = look(f);
    if (rc == MDB_READERS_FULL && core_file_sweep(f) == 0)
        rc = look(f);
    f->looking = rc == 0;
    return err_lmdb(rc);
}

void core_file_done(struct core_file *f)
{
    if (f->looking)
        mdb_txn_reset(f->look);
    f->looking = false;
}

/* Whether what is written follows the newest transaction that the file has: else the lock table speaks of an older one, as
 * begin_opening tells, and that one would be overwritten. Whoever has the file for itself makes a new table. */
static bool is_next(const struct core_file *f)
{
    MDB_envinfo info;
    return mdb_env_info(f->env, &info) == 0 && mdb_txn_id(f->write) == info.me_last_txnid + 1;
}

int core_file_begin(struct core_file *f)
{
    int err = core_file_sweep(f);
    if (err)
        return err;
    f->err = 0;
    err = err_lmdb(mdb_txn_begin(f->env, NULL, 0, &f->write));
    if (!err && !is_next(f)) {
        core_file_abort(f);
        err = ERR_BUSY;
    }
    return err;
}

int core_file_commit(struct core_file *f)
{
    if (f->err) {
        core_file_abort(f);
        return f->err;
    }
    MDB_txn *txn = f->write;
    f->write = NULL;
    return err_lmdb(mdb_txn_commit(txn));
}

void core_file_abort(struct core_file *f)
{
    if (f->write)
        mdb_txn_abort(f->write);
    f->write = NULL;
}

bool core_file_is_writing(const struct core_file *f)
{
    return f->write;
}

static MDB_txn *current(struct core_file *f)
{
    return f->write ? f->write : f->look;
}

int core_file_get(struct core_file *f, struct str key, struct str *out)
{
    MDB_val k = val_of(key), v;
    int err = err_lmdb(mdb_get(current(f), f->dbi, &k, &v));
    if (!err)
        *out = str_of_val(v);
    return err;
}

void core_file_put(struct core_file *f, struct str key, struct str value)
{
    if (f->err)
        return;
    MDB_val k = val_of(key), v = val_of(value);
    f->err = err_lmdb(mdb_put(f->write, f->dbi, &k, &v, 0));
}

static int put_parts(struct core_file *f, struct str key, struct str head, struct str rest, size_t size)
{
    char *value = calloc(1, size);
    if (!value)
        return -ENOMEM;
    memcpy(value, head.ptr, head.len);
    memcpy(value + head.len, rest.ptr, rest.len);
    MDB_val k = val_of(key), v = {.mv_size = size, .mv_data = value};
    int err = err_lmdb(mdb_put(f->write, f->dbi, &k, &v, 0));
    free(value);
    return err;
}

void core_file_put_parts(struct core_file *f, struct str key, struct str head, struct str rest, size_t size)
{
    if (!f->err)
        f->err = put_parts(f, key, head, rest, size);
}

void core_file_delete(struct core_file *f, struct str key)
{
    if (f->err)
        return;
    MDB_val k = val_of(key);
    int err = err_lmdb(mdb_del(f->write, f->dbi, &k, NULL));
    f->err = err == -ENOENT ? ERR_CORRUPT : err;
}

int core_cursor_open(struct core_file *f, struct core_cursor *out)
{
    MDB_cursor *cursor;
    int err = err_lmdb(mdb_cursor_open(current(f), f->dbi, &cursor));
    if (!err)
        out->cursor = cursor;
    return err;
}

void core_cursor_close(struct core_cursor *c)
{
    if (c->cursor)
        mdb_cursor_close(c->cursor);
    c->cursor = NULL;
}

static int cursor_get(struct core_cursor *c, MDB_cursor_op op, MDB_val k, struct str *out_key, struct str *out_value)
{
    MDB_val v = {0};
    int err = err_lmdb(mdb_cursor_get(c->cursor, &k, &v, op));
    if (err)
        return err;
    *out_key = str_of_val(k);
    *out_value = str_of_val(v);
    return 0;
}

int core_cursor_seek(struct core_cursor *c, struct str from, struct str *out_key, struct str *out_value)
{
    return cursor_get(c, MDB_SET_RANGE, val_of(from), out_key, out_value);
}

int core_cursor_next(struct core_cursor *c, struct str *out_key, struct str *out_value)
{
    return cursor_get(c, MDB_NEXT, (MDB_val){0}, out_key, out_value);
}

int core_cursor_previous(struct core_cursor *c, struct str *out_key, struct str *out_value)
{
    return cursor_get(c, MDB_PREV, (MDB_val){0}, out_key, out_value);
}

int core_cursor_last(struct core_cursor *c, struct str *out_key, struct str *out_value)
{
    return cursor_get(c, MDB_LAST, (MDB_val){0}, out_key, out_value);
}

int core_file_copy(struct core_file *f, int fd)
{
    return err_lmdb(mdb_env_copyfd(f->env, fd));
}

static int verify_all(struct core_cursor *c, size_t expected)
{
    struct str key, value;
    size_t found = 0;
    int err = core_cursor_seek(c, STR("\0"), &key, &value);
    for (; !err; err = core_cursor_next(c, &key, &value), found++) {
        err = core_check_value(key, value);
        if (err)
            return err;
    }
    return err != -ENOENT ? err : found == expected ? 0 : ERR_CORRUPT;
}

int core_file_verify(struct core_file *f)
{
    MDB_stat stat;
    struct core_cursor cursor = {0};
    int err = err_lmdb(mdb_stat(current(f), f->dbi, &stat));
    if (!err)
        err = core_cursor_open(f, &cursor);
    if (!err)
        err = verify_all(&cursor, stat.ms_entries);
    core_cursor_close(&cursor);
    return err;
}
