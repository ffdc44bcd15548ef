#include "index/store.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/crc.h"
#include "common/fd.h"
#include "index/kernels.h"
#include "index/seal.h"
#include "index/store_lmdb.h"

enum {
    ENVIRONMENT = 1536, /* bytes that LMDB takes of malloc to read one file, and what malloc rounds up */
    OS_PAGE = 4096,
};

static const char *lmdb_error_name(int err)
{
    return mdb_strerror(err);
}

void store_name_errors(void)
{
    err_name_range(MDB_KEYEXIST, MDB_LAST_ERRCODE, lmdb_error_name);
}

struct store {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    uint64_t bytes;
    uint32_t pieces; /* of extents that were resolved */
    uint32_t room;   /* bits in `checked` */
    uint64_t *checked;
    uintptr_t lowest, highest; /* of the extents that were resolved: LMDB does not say where its map is */
    enum section damaged;
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

/* What store_extent reads of each value: its head, and its checksums, which are on its last page. */
static int ask_for_ends(const struct store *s)
{
    struct page_ranges r;
    MDB_cursor *cursor;
    MDB_val k, v;
    int rc = mdb_cursor_open(s->txn, s->dbi, &cursor);
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
    if (!rc)
        rc = ask_for_ends(s);
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

size_t store_heap(const struct store *s)
{
    return sizeof *s + s->room / 8 + ENVIRONMENT;
}

void store_trim(const struct store *s)
{
    uintptr_t begin = s->lowest & ~(uintptr_t)(OS_PAGE - 1);
    if (s->lowest)
        (void)madvise((void *)begin, s->highest - begin, MADV_DONTNEED);
}

enum section store_damaged(const struct store *s)
{
    return s->damaged;
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

static void widen(struct store *s, uintptr_t begin, size_t size)
{
    if (!s->lowest || begin < s->lowest)
        s->lowest = begin;
    if (begin + size > s->highest)
        s->highest = begin + size;
}

static int resolve(struct store *s, enum section section, uint32_t part, struct extent *out)
{
    uint8_t key[STORE_KEY];
    make_key(key, section, part);
    MDB_val k = {STORE_KEY, key}, v;
    int err = lmdb_error(mdb_get(s->txn, s->dbi, &k, &v));
    if (err)
        return err;
    const uint8_t *value = v.mv_data;
    if (v.mv_size < EXTENT_HEADER || load_u32(value) != EXTENT_MAGIC)
        return ERR_CORRUPT;
    uint32_t size = load_u32(value + 4);
    size_t pieces = pieces_of(size);
    uint32_t word = load_u32(value + 8);
    if ((word & 0xff) != section || v.mv_size < EXTENT_HEADER + (size_t)size + 4 * pieces)
        return ERR_CORRUPT;
    if (crc32c(crc32c(0, value, 12), value + EXTENT_HEADER + size, 4 * pieces) != load_u32(value + 12))
        return ERR_CORRUPT;
    if (word != section_word(section)) /* behind its checksum: it is what was written */
        return ERR_VERSION;
    err = make_room(s, s->pieces + (uint32_t)pieces);
    if (err)
        return err;
    *out =
        (struct extent){.payload = value + EXTENT_HEADER, .size = size, .first_piece = s->pieces, .section = section};
    s->pieces += (uint32_t)pieces;
    widen(s, (uintptr_t)value, v.mv_size);
    return 0;
}

int store_extent(struct store *s, enum section section, uint32_t part, struct extent *out)
{
    int err = resolve(s, section, part, out);
    if (err)
        s->damaged = section;
    return err;
}

static bool is_whole(const struct extent *e, uint32_t piece)
{
    uint32_t at = piece * PIECE, length = e->size - at < PIECE ? e->size - at : (uint32_t)PIECE;
    return crc32c(0, e->payload + at, length) == load_u32(e->payload + e->size + 4 * (size_t)piece);
}

static bool is_checked(const struct store *s, const struct extent *e, uint32_t piece)
{
    uint32_t bit = e->first_piece + piece;
    return s->checked[bit / 64] >> bit % 64 & 1;
}

/* So many bytes are asked for ahead of the check: without it the mapping brings a page at a time. */
enum { AHEAD = 16 /* pieces */ };

static void ask_for_pieces(const struct extent *e, uint32_t from, uint32_t end)
{
    struct page_ranges r;
    uint64_t stop = (uint64_t)end * PIECE < e->size ? (uint64_t)end * PIECE : e->size;
    page_ranges_init(&r);
    page_ranges_add(&r, e->payload + (size_t)from * PIECE, stop - (uint64_t)from * PIECE);
    page_ranges_ask(&r);
}

int store_check(struct store *s, const struct extent *e, uint32_t offset, uint32_t size)
{
    if (offset > e->size || size > e->size - offset)
        return ERR_CORRUPT;
    if (size == 0)
        return 0;
    uint32_t last = (offset + size - 1) / PIECE, asked = 0;
    for (uint32_t piece = offset / PIECE; piece <= last; piece++) {
        if (is_checked(s, e, piece))
            continue;
        if (piece >= asked) {
            asked = last - piece < AHEAD ? last + 1 : piece + AHEAD;
            ask_for_pieces(e, piece, asked);
        }
        if (!is_whole(e, piece)) {
            s->damaged = e->section;
            return ERR_CORRUPT;
        }
        uint32_t bit = e->first_piece + piece;
        s->checked[bit / 64] |= (uint64_t)1 << bit % 64;
    }
    return 0;
}

void store_need(const struct store *s, const struct extent *e, uint64_t offset, uint64_t size, struct page_ranges *out)
{
    if (offset >= e->size || size == 0)
        return;
    uint64_t end = size < e->size - offset ? offset + size : e->size;
    uint32_t first = (uint32_t)(offset / PIECE), last = (uint32_t)((end - 1) / PIECE);
    bool is_first_new = !is_checked(s, e, first), is_last_new = !is_checked(s, e, last);
    if (is_first_new)
        offset = (uint64_t)first * PIECE;
    if (is_last_new)
        end = e->size - (uint64_t)last * PIECE < PIECE ? e->size : (uint64_t)(last + 1) * PIECE;
    page_ranges_add(out, e->payload + offset, end - offset);
    if (is_first_new || is_last_new) /* its checksums */
        page_ranges_add(out, e->payload + e->size, 4 * pieces_of(e->size));
}
