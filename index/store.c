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
#include "index/seal.h"

static const char *lmdb_error_name(int err)
{
    return mdb_strerror(err);
}

void store_name_errors(void)
{
    err_name_range(MDB_KEYEXIST, MDB_LAST_ERRCODE, lmdb_error_name);
}

enum { KEY = 5, VALUE_OFFSET = 16 /* of a value in its first page */, MAX_PATH = 4096 };

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

struct open_value {
    uint8_t *bytes;
    size_t room, size;
    enum section section;
};

struct store_writer {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    size_t page; /* bytes of LMDB's */
    size_t transaction, dirty;
    struct open_value open; /* between begin and end */
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

static int learn_page(struct store_writer *w)
{
    MDB_stat status;
    int rc = mdb_env_stat(w->env, &status);
    if (!rc)
        w->page = status.ms_psize;
    return lmdb_error(rc);
}

/* Without a lock: this process is the only one that knows the file. MDB_NOMEMINIT would put what the heap held before
 * into it. */
static int create_environment(struct store_writer *w)
{
    scoped(fd) int fd = open(w->path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0640);
    if (fd < 0)
        return -errno;
    int rc = mdb_env_create(&w->env);
    if (!rc)
        rc = mdb_env_set_mapsize(w->env, MAP_ROOM);
    if (!rc)
        rc = mdb_env_open(w->env, w->path, MDB_NOSUBDIR | MDB_NOSYNC | MDB_NOLOCK | MDB_NORDAHEAD, 0640);
    if (rc)
        return lmdb_error(rc);
    int err = learn_page(w);
    return err ? err : begin(w);
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

/* Header, checksums, and zero bytes to the value's end; the payload is there. */
static void fill(uint8_t *value, size_t room, enum section section, size_t size)
{
    size_t pieces = pieces_of(size), used = EXTENT_HEADER + size + 4 * pieces;
    uint8_t *sums = value + EXTENT_HEADER + size;
    store_u32(value, EXTENT_MAGIC);
    store_u32(value + 4, (uint32_t)size);
    store_u32(value + 8, section);
    for (size_t i = 0; i < pieces; i++) {
        size_t length = i + 1 < pieces ? (size_t)PIECE : size - i * PIECE;
        store_u32(sums + 4 * i, crc32c(0, value + EXTENT_HEADER + i * PIECE, length));
    }
    store_u32(value + 12, crc32c(crc32c(0, value, 12), sums, 4 * pieces));
    memset(value + used, 0, room - used);
}

/* LMDB gives a value of more than half a page pages of its own; this one ends with its last page. */
static size_t whole_pages(const struct store_writer *w, size_t size)
{
    size_t used = VALUE_OFFSET + EXTENT_HEADER + size + 4 * pieces_of(size);
    return (used + w->page - 1) / w->page * w->page;
}

static int next_transaction(struct store_writer *w)
{
    int rc = mdb_txn_commit(w->txn);
    w->txn = NULL;
    return rc ? lmdb_error(rc) : begin(w);
}

/* Room for a value in the open transaction, or in a new one. */
static int reserve(struct store_writer *w, enum section section, uint32_t part, size_t size)
{
    uint8_t key[KEY];
    make_key(key, section, part);
    if (size > UINT32_MAX - (PIECE + EXTENT_HEADER))
        return ERR_TOO_LARGE;
    size_t cost = whole_pages(w, size);
    MDB_val k = {KEY, key}, v = {cost - VALUE_OFFSET, NULL};
    int err = w->dirty && w->dirty + cost > w->transaction ? next_transaction(w) : 0;
    if (err)
        return err;
    err = lmdb_error(mdb_put(w->txn, w->dbi, &k, &v, MDB_RESERVE | MDB_NOOVERWRITE));
    if (err)
        return err;
    w->open = (struct open_value){.bytes = v.mv_data, .room = v.mv_size, .section = section, .size = size};
    w->dirty += cost;
    return 0;
}

void *store_begin(struct store_writer *w, enum section section, uint32_t part, size_t size)
{
    if (!w->err)
        w->err = reserve(w, section, part, size);
    return w->err ? NULL : w->open.bytes + EXTENT_HEADER;
}

void store_end(struct store_writer *w)
{
    if (!w->err)
        fill(w->open.bytes, w->open.room, w->open.section, w->open.size);
}

void store_put(struct store_writer *w, enum section section, uint32_t part, const void *payload, size_t size)
{
    void *to = store_begin(w, section, part, size);
    if (to && size)
        memcpy(to, payload, size);
    store_end(w);
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

/* One bit for each page that holds a value. LMDB's page header, in front of a value's first page, begins with its
 * number. */
static int mark_values(const struct store_writer *w, MDB_cursor *cursor, uint8_t *pages, uint32_t count)
{
    MDB_val k, v;
    int rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
    for (; !rc; rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
        uint64_t first = load_u64((const uint8_t *)v.mv_data - VALUE_OFFSET);
        uint64_t end = first + (VALUE_OFFSET + v.mv_size + w->page - 1) / w->page;
        if (first >= count || end > count)
            return ERR_CORRUPT;
        for (uint64_t page = first; page < end; page++)
            pages[page / 8] |= (uint8_t)(1u << page % 8);
    }
    return rc == MDB_NOTFOUND ? 0 : lmdb_error(rc);
}

static int map_pages(const struct store_writer *w, MDB_txn *txn, struct seal *seal, uint8_t *pages)
{
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn, w->dbi, &cursor);
    if (rc)
        return lmdb_error(rc);
    int err = mark_values(w, cursor, pages, seal->pages);
    mdb_cursor_close(cursor);
    return err;
}

static int write_seal(struct store_writer *w, struct seal *seal, uint8_t *pages)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(w->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return lmdb_error(rc);
    int err = map_pages(w, txn, seal, pages);
    mdb_txn_abort(txn);
    if (err)
        return err;
    scoped(fd) int fd = open(w->path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    err = seal_write(fd, seal);
    if (!err && fsync(fd) < 0)
        err = -errno;
    return err;
}

/* After the last commit. The one sync of the whole file is here. */
static int seal_file(struct store_writer *w)
{
    MDB_envinfo info;
    int rc = mdb_env_info(w->env, &info);
    if (rc)
        return lmdb_error(rc);
    if (info.me_last_pgno >= UINT32_MAX)
        return ERR_TOO_LARGE;
    struct seal seal = {.page = (uint32_t)w->page, .pages = (uint32_t)info.me_last_pgno + 1};
    uint8_t *pages = calloc(1, seal.pages / 8 + 1);
    if (!pages)
        return -ENOMEM;
    seal.values = pages;
    int err = write_seal(w, &seal, pages);
    free(pages);
    return err;
}

static int finish(struct store_writer *w, uint64_t *out_bytes)
{
    struct stat status;
    if (w->err)
        return w->err;
    int err = lmdb_error(mdb_txn_commit(w->txn));
    w->txn = NULL;
    if (!err)
        err = seal_file(w);
    if (!err)
        err = sync_directory_of(w->path);
    if (!err && stat(w->path, &status) < 0)
        err = -errno;
    if (!err)
        *out_bytes = (uint64_t)status.st_size;
    return err;
}

int store_finish(struct store_writer *w, uint64_t *out_bytes)
{
    int err = finish(w, out_bytes);
    if (!err)
        w->path[0] = 0; /* it stays */
    store_abandon(w);
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

/* Its tree is checked before LMDB walks it, and that LMDB means the same pages: a file that was cut would end in
 * SIGBUS. */
static int check_file(struct store *s, const char *path, uint32_t *out_pages)
{
    scoped(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return seal_check(fd, &s->bytes, out_pages);
}

static int check_pages(const struct store *s, uint32_t pages)
{
    MDB_envinfo info;
    int rc = mdb_env_info(s->env, &info);
    if (rc)
        return lmdb_error(rc);
    return info.me_last_pgno + 1 == pages ? 0 : ERR_CORRUPT;
}

static int open_environment(struct store *s, const char *path)
{
    uint32_t pages = 0;
    int err = check_file(s, path, &pages);
    if (err)
        return err;
    int rc = mdb_env_create(&s->env);
    if (!rc)
        rc = mdb_env_set_mapsize(s->env, (size_t)s->bytes);
    if (!rc)
        rc = mdb_env_open(s->env, path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK | MDB_NORDAHEAD | MDB_NOTLS, 0);
    if (rc)
        return lmdb_error(rc);
    err = check_pages(s, pages);
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
    if (load_u32(value + 8) != section || v.mv_size < EXTENT_HEADER + (size_t)size + 4 * pieces)
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
