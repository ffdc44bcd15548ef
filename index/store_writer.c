#include "index/store_writer.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/crc.h"
#include "common/fd.h"
#include "index/image.h"
#include "index/seal.h"
#include "index/store_lmdb.h"

enum { MAX_PATH = 4096 };

static const size_t MAP_ROOM = (size_t)1 << 40; /* address space; the file is only as large as used */

struct open_value {
    uint8_t *bytes;
    size_t room, size;
    enum section section;
};

struct store_writer {
    struct image_writer *image; /* NULL: there is a file */
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    size_t page; /* bytes of LMDB's */
    size_t transaction, dirty;
    struct open_value open; /* between begin and end */
    int err;
    bool has_file; /* of ours: to be removed unless it is finished */
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
static int create_file(struct store_writer *w)
{
    scoped(fd) int fd = open(w->path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0640);
    if (fd < 0)
        return -errno;
    w->has_file = true;
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

int store_create(const struct store_options *options, struct store_writer **out)
{
    if (strlen(options->path) >= MAX_PATH)
        return -ENAMETOOLONG;
    struct store_writer *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    snprintf(w->path, sizeof w->path, "%s", options->path);
    w->transaction = options->transaction;
    int err = options->image ? image_writer_open(options->image, &w->image) : create_file(w);
    if (err)
        store_abandon(w);
    else
        *out = w;
    return err;
}

/* Header, checksums, and zero bytes to the value's end; the payload is there. */
static void fill(uint8_t *value, size_t room, enum section section, size_t size)
{
    size_t pieces = pieces_of(size), used = EXTENT_HEADER + size + 4 * pieces;
    uint8_t *sums = value + EXTENT_HEADER + size;
    store_u32(value, EXTENT_MAGIC);
    store_u32(value + 4, (uint32_t)size);
    store_u32(value + 8, section_word(section));
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
static int reserve_in_file(struct store_writer *w, enum section section, uint32_t part, size_t size)
{
    uint8_t key[STORE_KEY];
    make_key(key, section, part);
    if (size > UINT32_MAX - (PIECE + EXTENT_HEADER))
        return ERR_TOO_LARGE;
    size_t cost = whole_pages(w, size);
    MDB_val k = {STORE_KEY, key}, v = {cost - VALUE_OFFSET, NULL};
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

/* What was gathered stands there ready made, but for the room to the end of its pages. */
static int put_again(struct store_writer *w, const struct image_extent *e)
{
    size_t size = load_u32(e->value.ptr + 4);
    int err = reserve_in_file(w, e->section, e->part, size);
    if (err)
        return err;
    memcpy(w->open.bytes, e->value.ptr, e->value.len);
    memset(w->open.bytes + e->value.len, 0, w->open.room - e->value.len);
    return 0;
}

/* The image would be too large: what it has goes to a file, and all that comes. */
static int turn_to_file(struct store_writer *w)
{
    struct image_writer *gathered = w->image;
    w->image = NULL;
    int err = create_file(w);
    for (uint32_t i = 0; !err && i < image_writer_extents(gathered); i++) {
        struct image_extent e;
        image_writer_extent(gathered, i, &e);
        err = put_again(w, &e);
    }
    image_writer_close(gathered);
    return err;
}

static bool reserve_in_image(struct store_writer *w, enum section section, uint32_t part, size_t size)
{
    size_t room = EXTENT_HEADER + size + 4 * pieces_of(size);
    uint8_t *bytes = size <= IMAGE_MOST ? image_writer_add(w->image, section, part, room) : NULL;
    if (bytes)
        w->open = (struct open_value){.bytes = bytes, .room = room, .section = section, .size = size};
    return bytes;
}

static int reserve(struct store_writer *w, enum section section, uint32_t part, size_t size)
{
    if (w->image && image_writer_has(w->image, section, part))
        return -EEXIST;
    if (w->image && reserve_in_image(w, section, part, size))
        return 0;
    int err = w->image ? turn_to_file(w) : 0;
    return err ? err : reserve_in_file(w, section, part, size);
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

/* A page behind the last one, as the seal will be, for whoever reads a little too far. */
static int lengthen(const struct store_writer *w)
{
    MDB_envinfo info;
    int rc = mdb_env_info(w->env, &info);
    if (rc)
        return lmdb_error(rc);
    return truncate(w->path, (off_t)((info.me_last_pgno + 2) * w->page)) < 0 ? -errno : 0;
}

int store_write_out(struct store_writer *w)
{
    if (!w->err && !w->image)
        w->err = next_transaction(w);
    if (!w->err && !w->image)
        w->err = lengthen(w);
    return w->err;
}

/* Values are never written again, and the map never moves. */
int store_find_written(const struct store_writer *w, enum section section, uint32_t part, struct str *out)
{
    uint8_t key[STORE_KEY];
    MDB_val k = {STORE_KEY, key}, v;
    make_key(key, section, part);
    int rc = w->image ? MDB_NOTFOUND : mdb_get(w->txn, w->dbi, &k, &v);
    if (rc)
        return rc == MDB_NOTFOUND ? -ENOENT : lmdb_error(rc);
    *out = (struct str){.ptr = v.mv_data, .len = v.mv_size};
    return 0;
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

static int finish_file(struct store_writer *w, uint64_t *out_bytes)
{
    struct stat status;
    int err = lmdb_error(mdb_txn_commit(w->txn));
    w->txn = NULL;
    if (!err)
        err = seal_file(w);
    if (!err)
        err = sync_directory_of(w->path);
    if (!err && stat(w->path, &status) < 0)
        err = -errno;
    if (!err) {
        *out_bytes = (uint64_t)status.st_size;
        w->has_file = false; /* it stays */
    }
    return err;
}

static void finish_image(struct store_writer *w, uint64_t *out_bytes, struct image **out_image)
{
    *out_image = image_writer_finish(w->image);
    *out_bytes = (*out_image)->size;
}

int store_finish(struct store_writer *w, uint64_t *out_bytes, struct image **out_image)
{
    int err = w->err;
    if (!err && !w->image) {
        err = finish_file(w, out_bytes);
        if (!err)
            *out_image = NULL;
    } else if (!err) {
        finish_image(w, out_bytes, out_image);
    }
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
    if (w->has_file)
        (void)unlink(w->path);
    image_writer_close(w->image);
    free(w);
}

int store_write_file(const struct store_options *options, const struct image *image, uint64_t *out_bytes)
{
    struct store_options to_file = {.path = options->path, .transaction = options->transaction};
    struct store_writer *w;
    struct image *none;
    int err = store_create(&to_file, &w);
    if (err)
        return err;
    for (uint32_t i = 0; !w->err && i < image_extents(image); i++) {
        struct image_extent e;
        image_extent(image, i, &e);
        w->err = put_again(w, &e);
    }
    return store_finish(w, out_bytes, &none);
}
