#include "proto/batch.h"

#include <string.h>

#include "common/bytes.h"
#include "common/crc.h"
#include "common/err.h"
#include "common/hash.h"

enum { MAGIC = 0x3142464d /* "MFB1" */ };

/* Offsets in the header and in an operation, as batch.h draws them. */
enum {
    H_MAGIC = 0,
    H_COUNT = 4,
    H_INDEX = 8,
    H_EDITION = 12,
    H_SHARD = 16,
    H_CRC = 20,
    H_FIRST = 24,
    H_BYTES = 32,
    H_TASK = 40,
    H_RESERVED = 48,
};
enum {
    O_SIZE = 0,
    O_KIND = 4,
    O_ZERO = 5,
    O_ID_LENGTH = 6,
    O_STAMP = 8,
    O_HASH = 16,
    O_POSITION = 24,
    O_BODY = 32,
    O_PAD = 36
};

static_assert(H_RESERVED + 16 == BATCH_HEADER, "the header is as drawn");
static_assert(O_PAD + 4 == BATCH_OPERATION, "an operation's fixed part is as drawn");

static size_t padded(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

size_t operation_size(size_t id_length, size_t body_length)
{
    return padded(BATCH_OPERATION + id_length + body_length);
}

char *operation_encode(char *to, const struct operation *o, size_t body_length)
{
    store_u32(to + O_SIZE, (uint32_t)operation_size(o->id.len, body_length));
    to[O_KIND] = (char)o->kind;
    to[O_ZERO] = 0;
    store_u16(to + O_ID_LENGTH, (uint16_t)o->id.len);
    store_u64(to + O_STAMP, o->stamp);
    store_u64(to + O_HASH, o->hash);
    store_u64(to + O_POSITION, o->position);
    store_u32(to + O_BODY, (uint32_t)body_length);
    store_u32(to + O_PAD, 0);
    memcpy(to + BATCH_OPERATION, o->id.ptr, o->id.len);
    return to + BATCH_OPERATION + o->id.len;
}

void operation_pad(char *to)
{
    size_t used = (size_t)BATCH_OPERATION + load_u16(to + O_ID_LENGTH) + load_u32(to + O_BODY);
    memset(to + used, 0, load_u32(to + O_SIZE) - used);
}

void operation_restamp(char *to, uint64_t stamp)
{
    store_u64(to + O_STAMP, stamp);
}

void operation_encode_lost(char *to)
{
    const struct str id = STR("lost");
    operation_encode(to,
                     &(struct operation){
                         .kind = OPERATION_LOST, .hash = hash64(id), .position = POSITION_UNKNOWN, .id = id},
                     0);
    operation_pad(to);
}

void batch_header_encode(char to[BATCH_HEADER], const struct batch_header *h)
{
    memset(to, 0, BATCH_HEADER);
    store_u32(to + H_MAGIC, MAGIC);
    store_u32(to + H_COUNT, h->count);
    store_u32(to + H_INDEX, h->index);
    store_u32(to + H_EDITION, h->edition);
    store_u32(to + H_SHARD, h->shard);
    store_u32(to + H_CRC, h->crc);
    store_u64(to + H_FIRST, h->first);
    store_u64(to + H_BYTES, h->bytes);
    store_u64(to + H_TASK, h->task);
}

int batch_header_decode(struct str region, struct batch_header *out)
{
    const char *at = region.ptr;
    if (region.len < BATCH_HEADER || load_u32(at + H_MAGIC) != MAGIC)
        return ERR_CORRUPT;
    struct batch_header h = {
        .count = load_u32(at + H_COUNT),
        .index = load_u32(at + H_INDEX),
        .edition = load_u32(at + H_EDITION),
        .shard = load_u32(at + H_SHARD),
        .crc = load_u32(at + H_CRC),
        .first = load_u64(at + H_FIRST),
        .bytes = load_u64(at + H_BYTES),
        .task = load_u64(at + H_TASK),
    };
    if (h.bytes > region.len - BATCH_HEADER || crc32c(0, at + BATCH_HEADER, (size_t)h.bytes) != h.crc ||
        h.count > h.bytes / BATCH_OPERATION)
        return ERR_CORRUPT;
    *out = h;
    return 0;
}

int operation_decode(struct str *rest, struct operation *out)
{
    const char *at = rest->ptr;
    if (rest->len < BATCH_OPERATION)
        return ERR_CORRUPT;
    size_t size = load_u32(at + O_SIZE), id = load_u16(at + O_ID_LENGTH), body = load_u32(at + O_BODY);
    unsigned kind = (unsigned char)at[O_KIND];
    if (size > rest->len || id == 0 || id > BATCH_MAX_ID || body > size || size != operation_size(id, body) ||
        kind > OPERATION_FILTER)
        return ERR_CORRUPT;
    struct operation o = {
        .kind = (enum operation_kind)kind,
        .stamp = load_u64(at + O_STAMP),
        .hash = load_u64(at + O_HASH),
        .position = load_u64(at + O_POSITION),
        .id = {.ptr = at + BATCH_OPERATION, .len = id},
        .body = {.ptr = at + BATCH_OPERATION + id, .len = body},
    };
    if (o.hash != hash64(o.id))
        return ERR_CORRUPT;
    *out = o;
    rest->ptr += size;
    rest->len -= size;
    return 0;
}

/* One code point at `at`: its length if it is well-formed UTF-8 (Unicode 15, table 3-7) and no control, else 0. */
static size_t printable_length(const unsigned char *at, size_t left)
{
    unsigned char c = at[0];
    if (c < 0x80)
        return c >= 0x20 && c != 0x7f ? 1 : 0;
    size_t length = c >= 0xc2 && c <= 0xdf ? 2 : (c & 0xf0) == 0xe0 ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
    if (length == 0 || length > left)
        return 0;
    uint32_t point = c & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (at[i] & 0x3f);
    }
    static const uint32_t least[5] = {0, 0, 0xa0 /* below are the C1 controls */, 0x800, 0x10000};
    if (point < least[length] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        return 0;
    return length;
}

bool id_is_valid(struct str id)
{
    if (id.len == 0 || id.len > BATCH_MAX_ID)
        return false;
    for (size_t at = 0; at < id.len;) {
        size_t length = printable_length((const unsigned char *)id.ptr + at, id.len - at);
        if (length == 0)
            return false;
        at += length;
    }
    return true;
}
