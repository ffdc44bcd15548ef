/* A batch region of any bytes: as they are, and with checksums, lengths and hashes that are right. */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/check.h"
#include "common/crc.h"
#include "common/hash.h"
#include "proto/batch.h"
#include "tests/fuzz/fuzz.h"

enum { CRC_AT = 20, BYTES_AT = 32 };

static void walk(struct str rest)
{
    struct operation o;
    size_t before = rest.len;
    while (rest.len && operation_decode(&rest, &o) == 0) {
        require(rest.len < before);
        before = rest.len;
        require(o.id.len >= 1 && o.id.len <= BATCH_MAX_ID && o.hash == hash64(o.id));
        (void)id_is_valid(o.id);
        uint32_t touched = crc32c(0, o.body.ptr, o.body.len); /* all of it is there */
        (void)touched;
    }
}

/* Operations whose hashes are right, so that what is behind that check is reached. */
static void mend(char *operations, size_t size)
{
    for (size_t at = 0; at + BATCH_OPERATION <= size;) {
        size_t id = load_u16(operations + at + 6), length = load_u32(operations + at);
        if (id <= size - at - BATCH_OPERATION)
            store_u64(operations + at + 16, hash64((struct str){operations + at + BATCH_OPERATION, id}));
        if (length < BATCH_OPERATION || length > size - at)
            return;
        at += length;
    }
}

static int batch_fuzz(const uint8_t *data, size_t size)
{
    struct batch_header header;
    char *copy = malloc(size ? size : 1);
    require(copy);
    if (size)
        memcpy(copy, data, size);
    struct str region = {.ptr = copy, .len = size};
    (void)batch_header_decode(region, &header);
    if (size >= BATCH_HEADER) {
        size_t bytes = size - BATCH_HEADER;
        mend(copy + BATCH_HEADER, bytes);
        store_u64(copy + BYTES_AT, bytes);
        store_u32(copy + CRC_AT, crc32c(0, copy + BATCH_HEADER, bytes));
        if (batch_header_decode(region, &header) == 0)
            require(header.bytes == bytes);
        walk((struct str){.ptr = copy + BATCH_HEADER, .len = bytes});
    }
    free(copy);
    return 0;
}

static void seeds(fuzz_run *take)
{
    char data[1024];
    size_t used = BATCH_HEADER;
    struct batch_header h = {.count = 5, .index = 1, .edition = 1, .first = 1};
    for (size_t i = 0; i < 5; i++) {
        char id[8] = "abcdefg";
        struct operation o = {.kind = OPERATION_PUT, .stamp = i + 1, .id = {id, i + 1}};
        o.hash = hash64(o.id);
        memset(operation_encode(data + used, &o, i * 11), 'x', i * 11);
        operation_pad(data + used);
        used += operation_size(o.id.len, i * 11);
    }
    h.bytes = used - BATCH_HEADER;
    h.crc = crc32c(0, data + BATCH_HEADER, used - BATCH_HEADER);
    batch_header_encode(data, &h);
    take((const uint8_t *)data, used);
}

const struct fuzz_target fuzz_target = {
    .most = 4096, .rounds = 1500, .mutations = 200, .run = batch_fuzz, .seeds = seeds};
