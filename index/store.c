#include "index/store.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/crc.h"
#include "common/err.h"
#include "common/fd.h"

static const char *lmdb_error_name(int err)
{
    return mdb_strerror(err);
}

void store_name_errors(void)
{
    err_name_range(MDB_KEYEXIST, MDB_LAST_ERRCODE, lmdb_error_name);
}

enum { PAGE = 4096, KEY = 5, OVERFLOW_ABOVE = 2000, MAX_PATH = 4096 };

static const size_t MAP_ROOM = (size_t)1 << 40; /* address space of a writer; the file is only as large as used */

static int lmdb_error(int rc)
{
    if (rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH)
        return ERR_CORRUPT;
    if (rc == MDB_NOTFOUND)
        return -ENOENT;
    return rc > 0 ? -rc : rc;
}

static void make_key(uint8_t key[KEY], enum section section, uint32_t part)
{
    key[0] = (uint8_t)section;
    store_be32(key + 1, part);
}

static size_t pieces_of(size_t size)
{
    return (size + PIECE - 1) / PIECE;
}

/* ------------------------------------------------------------------------------------------------------------- writing
 */

struct store_writer {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    size_t transaction, dirty;
    int err;
    char path[MAX_PATH];
};

static int begin(struct store_writer *w)
{
    int rc = mdb_txn_begin(w->env, NULL, 0, &w->txn);
    if (!rc)
        rc = mdb_dbi_open(w->txn, NULL, 0, &w->dbi);
    w->dirty = 0;
    return lmdb_error(rc);
}

static int create_environment(struct store_writer *w)
{
    scoped(fd) int fd = open(w->path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0640);
    if (fd < 0)
        return -errno;
    int rc = mdb_env_create(&w->env);
    if (rc)
        return lmdb_error(rc);
    /* No lock: this process is the only one that knows the file. */
    rc = mdb_env_set_mapsize(w->env, MAP_ROOM);
    if (!rc)
        rc =
            mdb_env_open(w->env, w->path, MDB_NOSUBDIR | MDB_NOSYNC | MDB_NOLOCK | MDB_NORDAHEAD | MDB_NOMEMINIT, 0640);
    return rc ? lmdb_error(rc) : begin(w);
}

int store_create(const char *path, size_t transaction, struct store_writer **out)
{
    if (strlen(path) >= MAX_PATH)
        return -ENAMETOOLONG;
    struct store_writer *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    snprintf(w->path, sizeof w->path, "%s", path);
    w->transaction = transaction;
    int err = create_environment(w);
    if (err) {
        if (err == -EEXIST)
            w->path[0] = 0; /* not ours to remove */
        store_abandon(w);
        return err;
    }
    *out = w;
    return 0;
}

static void seal(uint8_t *value, enum section section, const void *payload, size_t size)
{
    size_t pieces = pieces_of(size);
    uint8_t *sums = value + EXTENT_HEADER + size;
    store_u32(value, EXTENT_MAGIC);
    store_u32(value + 4, (uint32_t)size);
    store_u32(value + 8, section);
    if (size)
        memcpy(value + EXTENT_HEADER, payload, size);
    for (size_t i = 0; i < pieces; i++) {
        size_t length = i + 1 < pieces ? (size_t)PIECE : size - i * PIECE;
        store_u32(sums + 4 * i, crc32c(0, value + EXTENT_HEADER + i * PIECE, length));
    }
    store_u32(value + 12, crc32c(crc32c(0, value, 12), sums, 4 * pieces));
}

static int next_transaction(struct store_writer *w)
{
    int rc = mdb_txn_commit(w->txn);
    w->txn = NULL;
    return rc ? lmdb_error(rc) : begin(w);
}

void store_put(struct store_writer *w, enum section section, uint32_t part, const void *payload, size_t size)
{
    if (w->err)
        return;
    if (size > UINT32_MAX - (PIECE + EXTENT_HEADER)) {
        w->err = ERR_TOO_LARGE;
        return;
    }
    uint8_t key[KEY];
    make_key(key, section, part);
    MDB_val k = {KEY, key}, v = {EXTENT_HEADER + size + 4 * pieces_of(size), NULL};
    /* A value of more than half a page takes whole pages. */
    size_t cost = v.mv_size > OVERFLOW_ABOVE ? (v.mv_size + 2 * PAGE - 1) & ~(size_t)(PAGE - 1) : v.mv_size + 32;
    if (w->dirty && w->dirty + cost > w->transaction && (w->err = next_transaction(w)))
        return;
    w->err = lmdb_error(mdb_put(w->txn, w->dbi, &k, &v, MDB_RESERVE | MDB_NOOVERWRITE));
    if (!w->err)
        seal(v.mv_data, section, payload, size);
    w->dirty += cost;
}

int store_error(const struct store_writer *w)
{
    return w->err;
}

static int sync_directory_of(const char *path)
{
    char directory[MAX_PATH];
    const char *slash = strrchr(path, '/');
    snprintf(directory, sizeof directory, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    return fd_sync_directory(directory);
}

int store_finish(struct store_writer *w, uint64_t *out_bytes)
{
    struct stat status = {0};
    int err = w->err;
    if (!err) {
        err = lmdb_error(mdb_txn_commit(w->txn));
        w->txn = NULL;
    }
    if (!err)
        err = lmdb_error(mdb_env_sync(w->env, 1));
    if (!err)
        err = sync_directory_of(w->path);
    if (!err && stat(w->path, &status) < 0)
        err = -errno;
    if (!err)
        w->path[0] = 0; /* it stays */
    store_abandon(w);
    if (!err)
        *out_bytes = (uint64_t)status.st_size;
    return err;
}

void store_abandon(struct store_writer *w)
{
    if (!w)
        return;
    if (w->txn)
        mdb_txn_abort(w->txn);
    if (w->env)
        mdb_env_close(w->env);
    if (w->path[0])
        (void)unlink(w->path);
    free(w);
}

size_t store_memory(const struct store_writer *w)
{
    return w->transaction + EXTENT_PAYLOAD;
}

/* ------------------------------------------------------------------------------------------------------------- reading
 */

struct store {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    uint64_t bytes;
    uint32_t pieces; /* of extents that were resolved */
    uint32_t room;   /* bits in `checked` */
    uint64_t *checked;
};

/* LMDB maps what its header says; a file that was cut would end in SIGBUS. */
static int check_length(struct store *s)
{
    MDB_envinfo info;
    int rc = mdb_env_info(s->env, &info);
    if (rc)
        return lmdb_error(rc);
    return info.me_last_pgno >= s->bytes / PAGE ? ERR_CORRUPT : 0;
}

static int open_environment(struct store *s, const char *path)
{
    struct stat status;
    if (stat(path, &status) < 0)
        return -errno;
    if (status.st_size < 2 * PAGE)
        return ERR_CORRUPT;
    s->bytes = (uint64_t)status.st_size;
    int rc = mdb_env_create(&s->env);
    if (!rc)
        rc = mdb_env_set_mapsize(s->env, (size_t)s->bytes);
    if (!rc)
        rc = mdb_env_open(s->env, path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK | MDB_NORDAHEAD | MDB_NOTLS, 0);
    if (rc)
        return lmdb_error(rc);
    int err = check_length(s);
    if (err)
        return err;
    rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->txn);
    if (!rc)
        rc = mdb_dbi_open(s->txn, NULL, 0, &s->dbi);
    return lmdb_error(rc);
}

int store_open(const char *path, struct store **out)
{
    struct store *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    int err = open_environment(s, path);
    if (err) {
        store_close(s);
        return err;
    }
    *out = s;
    return 0;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    if (s->txn)
        mdb_txn_abort(s->txn);
    if (s->env)
        mdb_env_close(s->env);
    free(s->checked);
    free(s);
}

uint64_t store_bytes(const struct store *s)
{
    return s->bytes;
}

static int make_room(struct store *s, uint32_t pieces)
{
    if (pieces <= s->room)
        return 0;
    uint32_t room = (pieces + 1023) & ~1023u;
    uint64_t *checked = realloc(s->checked, room / 8);
    if (!checked)
        return -ENOMEM;
    memset((char *)checked + s->room / 8, 0, (room - s->room) / 8);
    s->checked = checked;
    s->room = room;
    return 0;
}

int store_extent(struct store *s, enum section section, uint32_t part, struct extent *out)
{
    uint8_t key[KEY];
    make_key(key, section, part);
    MDB_val k = {KEY, key}, v;
    int err = lmdb_error(mdb_get(s->txn, s->dbi, &k, &v));
    if (err)
        return err;
    const uint8_t *value = v.mv_data;
    if (v.mv_size < EXTENT_HEADER || load_u32(value) != EXTENT_MAGIC)
        return ERR_CORRUPT;
    uint32_t size = load_u32(value + 4);
    size_t pieces = pieces_of(size);
    if (load_u32(value + 8) != section || v.mv_size != EXTENT_HEADER + (size_t)size + 4 * pieces)
        return ERR_CORRUPT;
    if (crc32c(crc32c(0, value, 12), value + EXTENT_HEADER + size, 4 * pieces) != load_u32(value + 12))
        return ERR_CORRUPT;
    err = make_room(s, s->pieces + (uint32_t)pieces);
    if (err)
        return err;
    *out = (struct extent){.payload = value + EXTENT_HEADER, .size = size, .first_piece = s->pieces};
    s->pieces += (uint32_t)pieces;
    return 0;
}

static bool is_whole(const struct extent *e, uint32_t piece)
{
    uint32_t at = piece * PIECE, length = e->size - at < PIECE ? e->size - at : (uint32_t)PIECE;
    return crc32c(0, e->payload + at, length) == load_u32(e->payload + e->size + 4 * (size_t)piece);
}

int store_check(struct store *s, const struct extent *e, uint32_t offset, uint32_t size)
{
    if (offset > e->size || size > e->size - offset)
        return ERR_CORRUPT;
    if (size == 0)
        return 0;
    for (uint32_t piece = offset / PIECE; piece <= (offset + size - 1) / PIECE; piece++) {
        uint32_t bit = e->first_piece + piece;
        uint64_t mask = (uint64_t)1 << bit % 64;
        if (s->checked[bit / 64] & mask)
            continue;
        if (!is_whole(e, piece))
            return ERR_CORRUPT;
        s->checked[bit / 64] |= mask;
    }
    return 0;
}
