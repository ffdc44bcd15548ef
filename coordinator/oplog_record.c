#include "coordinator/oplog_record.h"

#include <string.h>

#include "common/bytes.h"
#include "common/crc.h"
#include "common/err.h"

enum { FILE_MAGIC = 0x474c464d /* "MFLG" */, RECORD_MAGIC = 0x3252464d /* "MFR2" */ };
enum { F_MAGIC = 0, F_VERSION = 4, F_NUMBER = 8, F_CRC = 16 };
enum {
    R_MAGIC = 0,
    R_HEAD_CRC = 4,
    R_BODY_CRC = 8,
    R_PAYLOAD = 12,
    R_FLAGS = 16,
    R_INDEX = 20,
    R_EDITION = 24,
    R_SHARD = 28,
    R_COUNT = 32,
    R_EPOCH = 40,
    R_TASK = 48,
    R_FIRST = 56,
    R_SYNCED = 64,
};
static_assert(F_CRC + 8 == OPLOG_FILE_HEADER, "the file's header is as drawn");
static_assert(R_SYNCED + 8 == OPLOG_RECORD_HEADER, "the record's header is as drawn");
static_assert(OPLOG_MAX_PAYLOAD % OPLOG_ALIGN == 0, "fragments keep records aligned");

void oplog_file_header(uint8_t to[OPLOG_FILE_HEADER], uint64_t number)
{
    memset(to, 0, OPLOG_FILE_HEADER);
    store_u32(to + F_MAGIC, FILE_MAGIC);
    store_u32(to + F_VERSION, OPLOG_VERSION);
    store_u64(to + F_NUMBER, number);
    store_u32(to + F_CRC, crc32c(0, to, F_CRC));
}

int oplog_check_file_header(const uint8_t *bytes, size_t size, uint64_t number)
{
    if (size < OPLOG_FILE_HEADER || load_u32(bytes + F_MAGIC) != FILE_MAGIC)
        return ERR_CORRUPT;
    uint32_t version = load_u32(bytes + F_VERSION);
    if (version == 1) /* it had no checksum */
        return ERR_VERSION;
    if (load_u32(bytes + F_CRC) != crc32c(0, bytes, F_CRC) || load_u64(bytes + F_NUMBER) != number)
        return ERR_CORRUPT;
    return version == OPLOG_VERSION ? 0 : ERR_VERSION;
}

static uint32_t head_crc(const void *header)
{
    return crc32c(0, (const char *)header + R_BODY_CRC, OPLOG_RECORD_HEADER - R_BODY_CRC);
}

void oplog_encode_header(uint8_t to[OPLOG_RECORD_HEADER], const struct oplog_record *r)
{
    const struct oplog_entry *e = &r->entry;
    memset(to, 0, OPLOG_RECORD_HEADER);
    store_u32(to + R_MAGIC, RECORD_MAGIC);
    store_u32(to + R_BODY_CRC, e->has_crc ? e->crc : crc32c(0, e->operations.ptr, e->operations.len));
    store_u32(to + R_PAYLOAD, (uint32_t)e->operations.len);
    to[R_FLAGS] = (uint8_t)r->flags;
    store_u32(to + R_INDEX, e->stream.index);
    store_u32(to + R_EDITION, e->stream.edition);
    store_u32(to + R_SHARD, e->stream.shard);
    store_u32(to + R_COUNT, e->count);
    store_u64(to + R_EPOCH, r->epoch);
    store_u64(to + R_TASK, e->task);
    store_u64(to + R_FIRST, e->first);
    store_u64(to + R_SYNCED, r->synced);
    store_u32(to + R_HEAD_CRC, head_crc(to));
}

int64_t oplog_decode_header(struct str bytes, struct oplog_record *out)
{
    const char *at = bytes.ptr;
    if (bytes.len < OPLOG_RECORD_HEADER || load_u32(at + R_MAGIC) != RECORD_MAGIC ||
        load_u32(at + R_HEAD_CRC) != head_crc(at))
        return ERR_CORRUPT;
    size_t payload = load_u32(at + R_PAYLOAD);
    if (payload > OPLOG_MAX_PAYLOAD || payload % OPLOG_ALIGN)
        return ERR_CORRUPT;
    *out = (struct oplog_record){
        .entry = {.stream = {load_u32(at + R_INDEX), load_u32(at + R_EDITION), load_u32(at + R_SHARD)},
                  .task = load_u64(at + R_TASK),
                  .first = load_u64(at + R_FIRST),
                  .count = load_u32(at + R_COUNT),
                  .operations = {NULL, payload}},
        .epoch = load_u64(at + R_EPOCH),
        .synced = load_u64(at + R_SYNCED),
        .body_crc = load_u32(at + R_BODY_CRC),
        .flags = (unsigned char)at[R_FLAGS],
    };
    return (int64_t)(OPLOG_RECORD_HEADER + payload);
}

bool oplog_is_payload(const struct oplog_record *r, struct str payload)
{
    return payload.len == r->entry.operations.len && crc32c(0, payload.ptr, payload.len) == r->body_crc;
}

int64_t oplog_decode(struct str bytes, struct oplog_record *out)
{
    struct oplog_record r;
    int64_t size = oplog_decode_header(bytes, &r);
    if (size < 0 || (size_t)size > bytes.len)
        return ERR_CORRUPT;
    r.entry.operations.ptr = bytes.ptr + OPLOG_RECORD_HEADER;
    if (!oplog_is_payload(&r, r.entry.operations))
        return ERR_CORRUPT;
    *out = r;
    return size;
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
    out->entry.has_crc = e->has_crc && take == e->operations.len;
    *at += take;
    return take > 0;
}
