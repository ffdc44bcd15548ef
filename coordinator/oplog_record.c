#include "coordinator/oplog_record.h"

#include <string.h>

#include "common/bytes.h"
#include "common/crc.h"
#include "common/err.h"

enum { FILE_MAGIC = 0x474c464d /* "MFLG" */, RECORD_MAGIC = 0x3152464d /* "MFR1" */ };
enum {
    R_MAGIC = 0,
    R_CRC = 4,
    R_PAYLOAD = 8,
    R_FLAGS = 12,
    R_INDEX = 16,
    R_EDITION = 20,
    R_SHARD = 24,
    R_COUNT = 28,
    R_EPOCH = 32,
    R_TASK = 40,
    R_FIRST = 48,
};
static_assert(R_FIRST + 8 == OPLOG_RECORD_HEADER, "the record's header is as drawn");

void oplog_file_header(uint8_t to[OPLOG_FILE_HEADER], uint64_t number)
{
    store_u32(to, FILE_MAGIC);
    store_u32(to + 4, OPLOG_VERSION);
    store_u64(to + 8, number);
}

int oplog_check_file_header(const uint8_t *bytes, size_t size, uint64_t number)
{
    if (size < OPLOG_FILE_HEADER || load_u32(bytes) != FILE_MAGIC || load_u64(bytes + 8) != number)
        return ERR_CORRUPT;
    return load_u32(bytes + 4) == OPLOG_VERSION ? 0 : ERR_VERSION;
}

void oplog_encode_header(uint8_t to[OPLOG_RECORD_HEADER], const struct oplog_record *r)
{
    const struct oplog_entry *e = &r->entry;
    memset(to, 0, OPLOG_RECORD_HEADER);
    store_u32(to + R_MAGIC, RECORD_MAGIC);
    store_u32(to + R_PAYLOAD, (uint32_t)e->operations.len);
    to[R_FLAGS] = (uint8_t)r->flags;
    store_u32(to + R_INDEX, e->stream.index);
    store_u32(to + R_EDITION, e->stream.edition);
    store_u32(to + R_SHARD, e->stream.shard);
    store_u32(to + R_COUNT, e->count);
    store_u64(to + R_EPOCH, r->epoch);
    store_u64(to + R_TASK, e->task);
    store_u64(to + R_FIRST, e->first);
    uint32_t crc = crc32c(0, to + R_PAYLOAD, OPLOG_RECORD_HEADER - R_PAYLOAD);
    store_u32(to + R_CRC, crc32c(crc, e->operations.ptr, e->operations.len));
}

int64_t oplog_decode(struct str bytes, struct oplog_record *out)
{
    const char *at = bytes.ptr;
    if (bytes.len < OPLOG_RECORD_HEADER || load_u32(at + R_MAGIC) != RECORD_MAGIC)
        return ERR_CORRUPT;
    size_t payload = load_u32(at + R_PAYLOAD);
    if (payload > OPLOG_MAX_PAYLOAD || payload > bytes.len - OPLOG_RECORD_HEADER ||
        crc32c(0, at + R_PAYLOAD, OPLOG_RECORD_HEADER - R_PAYLOAD + payload) != load_u32(at + R_CRC))
        return ERR_CORRUPT;
    *out = (struct oplog_record){
        .entry = {.stream = {load_u32(at + R_INDEX), load_u32(at + R_EDITION), load_u32(at + R_SHARD)},
                  .task = load_u64(at + R_TASK),
                  .first = load_u64(at + R_FIRST),
                  .count = load_u32(at + R_COUNT),
                  .operations = {at + OPLOG_RECORD_HEADER, payload}},
        .epoch = load_u64(at + R_EPOCH),
        .flags = (unsigned char)at[R_FLAGS],
    };
    return (int64_t)(OPLOG_RECORD_HEADER + payload);
}

bool oplog_split(const struct oplog_entry *e, size_t *at, struct oplog_record *out)
{
    size_t left = e->operations.len - *at, take = 0;
    uint32_t count = 0;
    if (left == 0)
        return false;
    /* As many whole operations as fit; each begins with its size. */
    while (take < left) {
        size_t size = load_u32(e->operations.ptr + *at + take);
        if (take + size > OPLOG_MAX_PAYLOAD)
            break;
        take += size;
        count++;
    }
    out->entry = *e;
    out->flags = OPLOG_FIRST | OPLOG_LAST;
    out->entry.count = count;
    out->entry.operations = (struct str){e->operations.ptr + *at, take};
    *at += take;
    return take > 0;
}
