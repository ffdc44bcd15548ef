#include "index/store_file.h"

#include <fcntl.h>
#include <stdlib.h>

#include "common/fd.h"
#include "index/kernels.h"
#include "index/page_ranges.h"
#include "index/seal.h"
#include "index/store.h"
#include "index/store_lmdb.h"

enum { ENVIRONMENT = 1536 /* bytes that LMDB takes of malloc to read one file, and what malloc rounds up */ };

static const char *lmdb_error_name(int err)
{
    return mdb_strerror(err);
}

bool store_is_damage(int err)
{
    static const int codes[] = {MDB_CORRUPTED, MDB_PAGE_NOTFOUND, MDB_INVALID,    MDB_VERSION_MISMATCH,
                                MDB_PANIC,     MDB_BAD_VALSIZE,   MDB_CURSOR_FULL, MDB_BAD_TXN, MDB_INCOMPATIBLE, MDB_MAP_RESIZED};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i] == err)
            return true;
    return false;
}

void store_name_errors(void)
{
    err_name_range(MDB_KEYEXIST, MDB_LAST_ERRCODE, lmdb_error_name);
}

struct store_file {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    uint64_t bytes;
};

/* Its tree is checked before LMDB walks it, and that LMDB means the same pages: a file that was cut would end in
 * SIGBUS. */
static int check_file(struct store_file *f, const char *path, uint32_t *out_pages)
{
    scoped(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return seal_check(fd, &f->bytes, out_pages);
}

static int check_pages(const struct store_file *f, uint32_t pages)
{
    MDB_envinfo info;
    int rc = mdb_env_info(f->env, &info);
    if (rc)
        return lmdb_error(rc);
    return info.me_last_pgno + 1 == pages ? 0 : ERR_CORRUPT;
}

/* What store.c reads of each value: its head, and its checksums, which are on its last page. */
static int ask_for_ends(const struct store_file *f)
{
    struct page_ranges r;
    MDB_cursor *cursor;
    MDB_val k, v;
    int rc = mdb_cursor_open(f->txn, f->dbi, &cursor);
    if (rc)
        return rc;
    page_ranges_init(&r);
    while ((rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
        page_ranges_add(&r, v.mv_data, EXTENT_HEADER);
        page_ranges_add(&r, (const uint8_t *)v.mv_data + v.mv_size - 1, 1);
    }
    mdb_cursor_close(cursor);
    page_ranges_ask(&r);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* The whole file is mapped, its seal too, which fills at least a page. */
static_assert((int)KERNEL_OVERREAD <= (int)SEAL_PAGE_MIN, "what kernels read behind the last payload is mapped");

static int open_environment(struct store_file *f, const char *path)
{
    uint32_t pages = 0;
    int err = check_file(f, path, &pages);
    if (err)
        return err;
    int rc = mdb_env_create(&f->env);
    if (!rc)
        rc = mdb_env_set_mapsize(f->env, (size_t)f->bytes);
    if (!rc)
        rc = mdb_env_open(f->env, path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK | MDB_NORDAHEAD | MDB_NOTLS, 0);
    if (rc)
        return lmdb_error(rc);
    err = check_pages(f, pages);
    if (err)
        return err;
    rc = mdb_txn_begin(f->env, NULL, MDB_RDONLY, &f->txn);
    if (!rc)
        rc = mdb_dbi_open(f->txn, NULL, 0, &f->dbi);
    if (!rc)
        rc = ask_for_ends(f);
    return lmdb_error(rc);
}

int store_file_open(const char *path, struct store_file **out)
{
    struct store_file *f = calloc(1, sizeof *f);
    if (!f)
        return -ENOMEM;
    int err = open_environment(f, path);
    if (err) {
        store_file_close(f);
        return err;
    }
    *out = f;
    return 0;
}

void store_file_close(struct store_file *f)
{
    if (!f)
        return;
    if (f->txn)
        mdb_txn_abort(f->txn);
    if (f->env)
        mdb_env_close(f->env);
    free(f);
}

uint64_t store_file_bytes(const struct store_file *f)
{
    return f->bytes;
}

size_t store_file_heap(const struct store_file *f)
{
    return sizeof *f + ENVIRONMENT;
}

int store_file_find(const struct store_file *f, enum section section, uint32_t part, struct str *out)
{
    uint8_t key[STORE_KEY];
    make_key(key, section, part);
    MDB_val k = {STORE_KEY, key}, v;
    int err = lmdb_error(mdb_get(f->txn, f->dbi, &k, &v));
    if (!err)
        *out = (struct str){.ptr = v.mv_data, .len = v.mv_size};
    return err;
}

/* In front of a value stands the head of its first page:
 *
 *   | page's number u64 | u16 0 | flags u16 (4: of a value) | pages u32 |
 *
 * so that all of them say the same of where the map begins. */
static bool is_head_right(MDB_val v, uint32_t page, uintptr_t *base)
{
    const uint8_t *head = (const uint8_t *)v.mv_data - VALUE_OFFSET;
    uintptr_t begin = (uintptr_t)head - (uintptr_t)load_u64(head) * page;
    if (*base == 0)
        *base = begin;
    return begin == *base && load_u32(head + 8) == 4u << 16 &&
           load_u32(head + 12) == (VALUE_OFFSET + v.mv_size + page - 1) / page;
}

static int visit_value(MDB_val key, MDB_val v, store_file_visitor *visit, void *context)
{
    const uint8_t *bytes = key.mv_data;
    struct str value = {.ptr = v.mv_data, .len = v.mv_size};
    return key.mv_size == STORE_KEY ? visit(context, bytes[0], load_be32(bytes + 1), value) : ERR_CORRUPT;
}

int store_file_visit(const struct store_file *f, store_file_visitor *visit, void *context)
{
    MDB_cursor *cursor;
    MDB_val k, v;
    MDB_stat stat;
    uintptr_t base = 0;
    int err = 0, rc = mdb_stat(f->txn, f->dbi, &stat);
    if (!rc)
        rc = mdb_cursor_open(f->txn, f->dbi, &cursor);
    if (rc)
        return lmdb_error(rc);
    while (!err && (rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
        err = visit_value(k, v, visit, context);
        if (!err && !is_head_right(v, stat.ms_psize, &base))
            err = ERR_CORRUPT;
    }
    mdb_cursor_close(cursor);
    return err || rc == MDB_NOTFOUND ? err : lmdb_error(rc);
}
