/* A value of core.mdb of any bytes, behind a header and a checksum that are right, so that what checks them is passed.
 */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/crc.h"
#include "index/core_ids.h"
#include "index/core_keys.h"
#include "tests/fuzz/fuzz.h"

static void must(bool claim)
{
    if (!claim)
        abort();
}

static void mend(struct str key, char *value, size_t size)
{
    if (size < CORE_HEADER)
        return;
    memcpy(value, "MFCV", 4);
    store_u16(value + 4, 1);
    store_u16(value + 6, (uint16_t)(unsigned char)key.ptr[0]);
    store_u32(value + 8, (uint32_t)(size - CORE_HEADER));
    store_u32(value + 12, crc32c(crc32c(0, key.ptr, key.len), value + CORE_HEADER, size - CORE_HEADER));
}

static void read_chunk(struct str key, struct str value)
{
    struct deletion_chunk *chunk = core_chunk_new(), *again = core_chunk_new();
    char *room = malloc(CORE_VALUE_MAX);
    must(chunk && again && room);
    if (core_get_chunk(key, value, chunk) == 0) {
        must(chunk->count <= CHUNK_DOCUMENTS);
        must(core_get_chunk(key, core_put_chunk(room, key, chunk), again) == 0);
        must(again->count == chunk->count && memcmp(again->bits, chunk->bits, sizeof chunk->bits) == 0);
    }
    free(room);
    core_chunk_release(chunk);
    core_chunk_release(again);
}

static void touch(struct str s)
{
    volatile uint32_t sum = crc32c(0, s.ptr, s.len);
    (void)sum;
}

static void read_rest(struct str key, struct str value)
{
    struct core_meta meta;
    char again[CORE_VALUE_MAX];
    struct core_segment segment;
    struct core_refusal refusal;
    struct str id;
    uint64_t a, b;
    if (core_get_meta(key, value, &meta) == 0) {
        must(meta.recent.count <= CORE_RECENT_MOST);
        struct str put = core_put_meta(again, key, &meta);
        must(put.len == value.len && memcmp(put.ptr + CORE_HEADER, value.ptr + CORE_HEADER, put.len - CORE_HEADER) == 0);
    }
    struct str image;
    if (core_get_segment(key, value, &segment, &image) == 0) {
        must(segment.deleted <= segment.documents);
        touch(image);
    }
    (void)core_get_u64(key, value, &a);
    (void)core_get_tombstone(key, value, &a, &b);
    (void)core_get_chunk_generation(value, &a);
    if (core_get_passing(key, value, &a, &id) == 0) {
        must(id.len <= CORE_ID_MAX);
        touch(id);
    }
    if (core_get_refusal(key, value, &refusal) == 0) {
        touch(refusal.id);
        touch(refusal.code);
        touch(refusal.message);
    }
}

/* A part of a filter whose head has any bytes, then one that says of how many blocks it is. */
static void read_ids(const uint8_t *data, char *value, size_t size)
{
    struct core_key key = core_key_part(CORE_IDS, data[0], 0);
    struct str k = core_key_str(&key), v = {value, size};
    (void)core_ids_check(k, v);
    for (int sized = 0; size >= CORE_HEADER + 32 && sized < 2; sized++) {
        mend(k, value, size);
        store_u32(value + 12, crc32c(crc32c(0, k.ptr, k.len), value + CORE_HEADER, 32));
        (void)core_ids_check(k, v);
        store_u64(value + CORE_HEADER + 8, UINT64_MAX);
        store_u32(value + CORE_HEADER + 16, (uint32_t)((size - CORE_HEADER - 32) / ID_BLOCK + data[1] % 2));
        store_u32(value + CORE_HEADER + 20, 0);
    }
}

static int core_fuzz(const uint8_t *data, size_t size)
{
    static const char kinds[] = "MSDRTUF";
    if (size < 2)
        return 0;
    struct core_key key = core_key_refusal(data[0], data[1]); /* the longest of fixed size: 17 bytes */
    key.bytes[0] = kinds[data[0] % (sizeof kinds - 1)];
    if (data[1] & 1)
        key.len = data[1] % 17 + 1;
    char *value = malloc(size); /* of that size, so that a sanitizer sees a read behind its end */
    must(value != NULL);
    memcpy(value, data, size);
    struct str k = core_key_str(&key), v = {value, size};
    uint64_t a, b;
    uint32_t c;
    (void)core_key_read_u64((enum core_kind)key.bytes[0], k, &a);
    (void)core_key_read_pair((enum core_kind)key.bytes[0], k, &a, &b);
    (void)core_key_read_part((enum core_kind)key.bytes[0], k, &a, &c);
    (void)core_key_read_tombstone(k, &a);
    for (int mended = 0; mended < 2; mended++) {
        read_chunk(k, v);
        read_rest(k, v);
        mend(k, value, size);
    }
    /* A segment with its image, whose checksum is of what is in front of it. */
    if (size >= CORE_IMAGE_AT && key.bytes[0] == CORE_SEGMENT) {
        store_u16(value + 4, 2);
        store_u32(value + 12, crc32c(crc32c(0, k.ptr, k.len), value + CORE_HEADER, CORE_IMAGE_AT - CORE_HEADER));
        read_rest(k, v);
    }
    /* A meta value with as many marks as it has room for. */
    if (size >= CORE_HEADER + 32 && key.bytes[0] == CORE_META) {
        store_u64(value + CORE_HEADER + 24, (size - CORE_HEADER - 32) / 24);
        mend(k, value, size);
        store_u16(value + 4, 2);
        read_rest(k, v);
    }
    /* A list of the count that it says, which random bytes hardly ever are. */
    if (size >= CORE_HEADER + 16) {
        store_u32(value + CORE_HEADER + 8, (uint32_t)((size - CORE_HEADER - 16) / 2));
        store_u32(value + CORE_HEADER + 12, data[1] & 2 ? 1 : 0);
        mend(k, value, size);
        read_chunk(k, v);
    }
    read_ids(data, value, size);
    free(value);
    return 0;
}

const struct fuzz_target fuzz_target = {.most = CORE_VALUE_MAX, .rounds = 20000, .mutations = 50, .run = core_fuzz};
