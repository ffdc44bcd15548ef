#include "index/image.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/crc.h"
#include "common/err.h"
#include "index/kernels.h"

enum {
    MAGIC = 'M' | 'F' << 8 | 'I' << 16 | 'M' << 24,
    HEAD = 16,
    ENTRY = 12,
    CRC = 4,
    ALIGNMENT = 32,
    EXTENTS_MOST = (IMAGE_MOST - HEAD - CRC) / ENTRY,
};

static struct image *image_new(size_t room)
{
    struct image *i = calloc(1, sizeof *i);
    size_t padded = (room + KERNEL_OVERREAD + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    uint8_t *bytes = i ? aligned_alloc(ALIGNMENT, padded) : NULL;
    if (!bytes) {
        free(i);
        return NULL;
    }
    *i = (struct image){.references = 1, .bytes = bytes};
    return i;
}

/* What stands behind is read by kernels, and by nobody else. */
static void set_size(struct image *i, size_t size)
{
    i->size = (uint32_t)size;
    memset(i->bytes + size, 0, KERNEL_OVERREAD);
}

int image_copy(struct str bytes, struct image **out)
{
    if (bytes.len > IMAGE_MOST)
        return ERR_CORRUPT;
    struct image *i = image_new(bytes.len);
    if (!i)
        return -ENOMEM;
    if (bytes.len)
        memcpy(i->bytes, bytes.ptr, bytes.len);
    set_size(i, bytes.len);
    *out = i;
    return 0;
}

struct image *image_hold(struct image *i)
{
    i->references++;
    return i;
}

void image_release(struct image *i)
{
    if (!i || --i->references > 0)
        return;
    free(i->bytes);
    free(i);
}

size_t image_heap(const struct image *i)
{
    return sizeof *i + malloc_usable_size(i->bytes);
}

/* ------------------------------------------------------------------------------------------------------------- reading
 */

static size_t next_place(size_t end)
{
    return (end + ALIGNMENT - HEAD - 1) / ALIGNMENT * ALIGNMENT + HEAD;
}

uint32_t image_extents(const struct image *i)
{
    return load_u32(i->bytes + 12);
}

static const uint8_t *table_of(const struct image *i)
{
    return i->bytes + i->size - CRC - (size_t)image_extents(i) * ENTRY;
}

static int check_places(const struct image *i)
{
    const uint8_t *table = table_of(i);
    size_t at = HEAD, end = HEAD, last = (size_t)(table - i->bytes);
    for (uint32_t n = image_extents(i); n > 0; n--, table += ENTRY) {
        size_t size = load_u32(table + 8);
        if (size < EXTENT_HEADER || at > last || size > last - at)
            return ERR_CORRUPT;
        end = at + size;
        at = next_place(end);
    }
    return end == last ? 0 : ERR_CORRUPT;
}

int image_check(const struct image *i)
{
    if (i->size < HEAD + CRC || load_u32(i->bytes) != (uint32_t)MAGIC)
        return ERR_CORRUPT;
    if (load_u32(i->bytes + 4) != FORMAT_VERSION)
        return ERR_VERSION;
    if (load_u32(i->bytes + 8) != i->size || image_extents(i) > (i->size - HEAD - CRC) / ENTRY)
        return ERR_CORRUPT;
    const uint8_t *table = table_of(i), *sum = i->bytes + i->size - CRC;
    if (crc32c(crc32c(0, i->bytes, HEAD), table, (size_t)(sum - table)) != load_u32(sum))
        return ERR_CORRUPT;
    return check_places(i);
}

/* The table has no places: they follow from the sizes. */
struct walk {
    const uint8_t *bytes, *entry;
    size_t at;
};

static struct image_extent step(struct walk *w)
{
    struct image_extent e = {
        .section = (enum section)w->entry[0],
        .part = load_u32(w->entry + 4),
        .value = {(const char *)w->bytes + w->at, load_u32(w->entry + 8)},
    };
    w->at = next_place(w->at + e.value.len);
    w->entry += ENTRY;
    return e;
}

static struct image_extent extent_at(const uint8_t *bytes, const uint8_t *table, uint32_t number)
{
    struct walk w = {.bytes = bytes, .entry = table, .at = HEAD};
    struct image_extent e = step(&w);
    while (number-- > 0)
        e = step(&w);
    return e;
}

void image_extent(const struct image *i, uint32_t number, struct image_extent *out)
{
    *out = extent_at(i->bytes, table_of(i), number);
}

int image_find(const struct image *i, enum section section, uint32_t part, struct str *out)
{
    struct walk w = {.bytes = i->bytes, .entry = table_of(i), .at = HEAD};
    for (uint32_t n = image_extents(i); n > 0; n--) {
        struct image_extent e = step(&w);
        if (e.section == section && e.part == part) {
            *out = e.value;
            return 0;
        }
    }
    return -ENOENT;
}

/* ------------------------------------------------------------------------------------------------------------- writing
 */

struct image_writer {
    struct image *image; /* its bytes are what was added so far, with room for `most` */
    size_t most, next;   /* where the next extent begins */
    size_t end;          /* of the last one */
    uint32_t extents;
    uint8_t table[EXTENTS_MOST * ENTRY];
};

int image_writer_open(size_t most, struct image_writer **out)
{
    struct image_writer *w = malloc(sizeof *w);
    if (!w)
        return -ENOMEM;
    w->image = image_new(most);
    w->most = most;
    w->next = w->end = HEAD;
    w->extents = 0;
    if (!w->image || most > IMAGE_MOST) {
        int err = w->image ? ERR_TOO_LARGE : -ENOMEM;
        image_writer_close(w);
        return err;
    }
    *out = w;
    return 0;
}

void image_writer_close(struct image_writer *w)
{
    if (!w)
        return;
    image_release(w->image);
    free(w);
}

static size_t size_of_all(size_t end, uint32_t extents)
{
    return end + (size_t)extents * ENTRY + CRC;
}

uint8_t *image_writer_add(struct image_writer *w, enum section section, uint32_t part, size_t size)
{
    if (size > w->most || size_of_all(w->next + size, w->extents + 1) > w->most)
        return NULL;
    uint8_t *entry = w->table + (size_t)w->extents++ * ENTRY, *to = w->image->bytes + w->next;
    memset(entry, 0, ENTRY);
    entry[0] = (uint8_t)section;
    store_u32(entry + 4, part);
    store_u32(entry + 8, (uint32_t)size);
    memset(w->image->bytes + w->end, 0, w->next - w->end);
    w->end = w->next + size;
    w->next = next_place(w->end);
    return to;
}

bool image_writer_has(const struct image_writer *w, enum section section, uint32_t part)
{
    for (uint32_t i = 0; i < w->extents; i++) {
        const uint8_t *entry = w->table + (size_t)i * ENTRY;
        if (entry[0] == (uint8_t)section && load_u32(entry + 4) == part)
            return true;
    }
    return false;
}

uint32_t image_writer_extents(const struct image_writer *w)
{
    return w->extents;
}

void image_writer_extent(const struct image_writer *w, uint32_t number, struct image_extent *out)
{
    *out = extent_at(w->image->bytes, w->table, number);
}

struct image *image_writer_finish(struct image_writer *w)
{
    struct image *i = w->image;
    size_t table = (size_t)w->extents * ENTRY;
    store_u32(i->bytes, (uint32_t)MAGIC);
    store_u32(i->bytes + 4, FORMAT_VERSION);
    set_size(i, size_of_all(w->end, w->extents));
    store_u32(i->bytes + 8, i->size);
    store_u32(i->bytes + 12, w->extents);
    memcpy(i->bytes + w->end, w->table, table);
    store_u32(i->bytes + w->end + table, crc32c(crc32c(0, i->bytes, HEAD), w->table, table));
    w->image = NULL;
    return i;
}
