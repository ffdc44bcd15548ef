/* An image of any bytes: as they are, and with a header and a table that are right, so that what lies in its extents is
 * met by who opens a segment. */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/check.h"
#include "common/crc.h"
#include "common/hash.h"
#include "index/image.h"
#include "index/segment.h"
#include "tests/fuzz/fuzz.h"

enum { MOST = 4096, HEAD = 16, ENTRY = 12, CRC = 4 };

static void touch(struct str s)
{
    volatile uint32_t sum = crc32c(0, s.ptr, s.len);
    (void)sum;
}

static void read_extents(const struct image *i)
{
    for (uint32_t n = 0; n < image_extents(i); n++) {
        struct image_extent e;
        struct str found;
        image_extent(i, n, &e);
        touch(e.value);
        require((const uint8_t *)e.value.ptr >= i->bytes && e.value.len <= i->size);
        require(image_find(i, e.section, e.part, &found) == 0 && found.ptr <= e.value.ptr);
    }
}

static void read_segment(struct image *i)
{
    struct segment *s;
    const char *section;
    struct str id;
    int err = segment_open_image(i, &s, &section);
    if (err)
        return;
    for (uint32_t n = 0; n < segment_documents(s); n++)
        (void)segment_document_id(s, n, &id, NULL);
    segment_close(s);
}

static int check(const uint8_t *data, size_t size)
{
    struct image *i;
    int err = image_copy((struct str){(const char *)data, size}, &i);
    require(err == 0);
    err = image_check(i);
    if (!err)
        read_extents(i);
    read_segment(i);
    image_release(i);
    return err;
}

/* | head | extents | table | crc | */
static void mend(uint8_t *bytes, size_t size)
{
    uint32_t extents = load_u32(bytes + 12) % (uint32_t)((size - HEAD - CRC) / ENTRY + 1);
    memcpy(bytes, "MFIM", 4);
    store_u32(bytes + 4, FORMAT_VERSION);
    store_u32(bytes + 8, (uint32_t)size);
    store_u32(bytes + 12, extents);
    size_t table = (size_t)extents * ENTRY;
    uint32_t crc = crc32c(crc32c(0, bytes, HEAD), bytes + size - CRC - table, table);
    store_u32(bytes + size - CRC, crc);
}

static int image_fuzz(const uint8_t *data, size_t size)
{
    uint8_t *copy = calloc(1, size + 1);
    require(copy);
    if (size)
        memcpy(copy, data, size);
    check(copy, size);
    if (size >= HEAD + CRC) {
        mend(copy, size);
        check(copy, size);
    }
    free(copy);
    return 0;
}

static void seeds(fuzz_run *take)
{
    struct segment_options options = {.id = 1, .transaction = 1 << 20, .analyzer = STR("fuzz"), .image = MOST};
    struct segment_writer *w;
    struct segment_result result;
    require(segment_writer_open("/nowhere/at/all", &options, &w) == 0);
    const struct field_range range = {.field = (uint32_t)segment_writer_field(w, STR("f"))};
    struct segment_document d = {
        .stamp = 7, .id = STR("one"), .body = STR("{\"f\":\"a b\"}"), .length_code = 2, .ranges = &range, .range_count = 1};
    d.hash = hash64(d.id);
    segment_writer_document(w, &d);
    const uint32_t position = 0;
    segment_writer_term(w, STR("sa"));
    segment_writer_posting(w, 0, 1, &position, 1);
    require(segment_writer_finish(w, &result) == 0 && result.image);
    require(check(result.image->bytes, result.image->size) == 0);
    take(result.image->bytes, result.image->size);
    image_release(result.image);
}

const struct fuzz_target fuzz_target = {
    .most = MOST, .rounds = 2000, .mutations = 20000, .run = image_fuzz, .seeds = seeds};
