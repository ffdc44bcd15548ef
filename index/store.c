#include "index/store.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/bytes.h"
#include "common/crc.h"
#include "common/err.h"
#include "index/image.h"
#include "index/store_file.h"
#include "index/store_writer.h"

enum { OS_PAGE = 4096 };

struct store {
    struct store_file *file; /* one of the three */
    struct image *image;
    struct store_writer *writer;
    uint32_t pieces; /* of extents that were resolved */
    uint32_t room;   /* bits in `checked` */
    uint64_t *checked;
    uintptr_t lowest, highest; /* of the extents that were resolved: LMDB does not say where its map is */
    enum section damaged;
};

static int find(const struct store *s, enum section section, uint32_t part, struct str *out)
{
    if (s->writer)
        return store_find_written(s->writer, section, part, out);
    return s->file ? store_file_find(s->file, section, part, out) : image_find(s->image, section, part, out);
}

int store_open(const char *path, struct store **out)
{
    struct store *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    int err = store_file_open(path, &s->file);
    if (err) {
        store_close(s);
        return err;
    }
    *out = s;
    return 0;
}

int store_open_image(struct image *image, struct store **out)
{
    int err = image_check(image);
    if (err)
        return err;
    struct store *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    s->image = image_hold(image);
    *out = s;
    return 0;
}

int store_open_written(struct store_writer *w, struct store **out)
{
    int err = store_write_out(w);
    struct store *s = err ? NULL : calloc(1, sizeof *s);
    if (!s)
        return err ? err : -ENOMEM;
    s->writer = w;
    *out = s;
    return 0;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    store_file_close(s->file);
    image_release(s->image);
    free(s->checked);
    free(s);
}

uint64_t store_bytes(const struct store *s)
{
    if (s->writer)
        return UINT64_MAX; /* nobody has counted them yet */
    return s->file ? store_file_bytes(s->file) : s->image->size;
}

struct image *store_image(const struct store *s)
{
    return s->image;
}

size_t store_heap(const struct store *s)
{
    return sizeof *s + s->room / 8 + (s->file ? store_file_heap(s->file) : 0);
}

/* What is mapped can be had again; an image is in the heap. */
void store_trim(const struct store *s)
{
    uintptr_t begin = s->lowest & ~(uintptr_t)(OS_PAGE - 1);
    if (s->file && s->lowest)
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
    struct str v;
    int err = find(s, section, part, &v);
    if (err)
        return err;
    const uint8_t *value = (const uint8_t *)v.ptr;
    if (v.len < EXTENT_HEADER || load_u32(value) != EXTENT_MAGIC)
        return ERR_CORRUPT;
    uint32_t size = load_u32(value + 4);
    size_t pieces = pieces_of(size);
    uint32_t word = load_u32(value + 8);
    if ((word & 0xff) != section || v.len < EXTENT_HEADER + (size_t)size + 4 * pieces)
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
    widen(s, (uintptr_t)value, v.len);
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

static int check_pieces(struct store *s, const struct extent *e, uint32_t first, uint32_t last)
{
    uint32_t asked = 0;
    for (uint32_t piece = first; piece <= last; piece++) {
        if (is_checked(s, e, piece))
            continue;
        if (s->file && piece >= asked) {
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

int store_check(struct store *s, const struct extent *e, uint32_t offset, uint32_t size)
{
    if (offset > e->size || size > e->size - offset)
        return ERR_CORRUPT;
    if (size == 0)
        return 0;
    uint32_t first = offset / PIECE, last = (offset + size - 1) / PIECE;
    return first == last && is_checked(s, e, first) ? 0 : check_pieces(s, e, first, last);
}

void store_need(const struct store *s, const struct extent *e, uint64_t offset, uint64_t size, struct page_ranges *out)
{
    if (s->image || offset >= e->size || size == 0)
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

/* What fills a value's last page is covered by no checksum, and nobody reads it. */
static bool is_rest_zero(struct str value, const struct extent *e)
{
    const uint8_t *at = e->payload + e->size + 4 * pieces_of(e->size);
    const uint8_t *end = (const uint8_t *)value.ptr + value.len;
    while (at < end && *at == 0)
        at++;
    return at == end;
}

static int verify_value(void *context, enum section section, uint32_t part, struct str value)
{
    struct store *s = context;
    struct extent e;
    int err = store_extent(s, section, part, &e);
    if (!err)
        err = store_check(s, &e, 0, e.size);
    if (!err && !is_rest_zero(value, &e)) {
        s->damaged = section;
        err = ERR_CORRUPT;
    }
    return err;
}

int store_verify(struct store *s)
{
    if (s->file)
        return store_file_visit(s->file, verify_value, s);
    int err = 0;
    for (uint32_t i = 0; i < image_extents(s->image) && !err; i++) {
        struct image_extent e;
        image_extent(s->image, i, &e);
        err = verify_value(s, e.section, e.part, e.value);
    }
    return err;
}
