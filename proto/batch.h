/* batch.h - operations on their way in: the bytes of a batch region, and of a log record's payload.
 *
 * A region is a sealed memfd:
 *
 *   0                                       64
 *   | header                                | operation | operation | ...
 *
 * header:    u32 magic "MFB1" | u32 count | u32 index | u32 numbering (of its index's streams; `edition`) | u32 shard
 *            | u32 crc of the operations | u64 first sequence | u64 bytes of operations | u64 task
 *            | 16 reserved zero bytes
 *
 * operation, aligned to 8, sequence number = first + its place:
 *            u32 size (all of it, padding included) | u8 kind | u8 0 | u16 id length | u64 stamp | u64 hash of the id
 *            | u64 position in its task | u32 body length | u32 0 | id | body | zero padding
 *
 * A log record's payload is the same operations without the header, or a fragment of one. */
#ifndef PROTO_BATCH_H
#define PROTO_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/str.h"

enum {
    BATCH_HEADER = 64,
    BATCH_OPERATION = 40, /* bytes before the id */
    BATCH_MAX_ID = 256,
};

/* LOST stands in a region for an operation that was accepted, but whose record in the log is damaged.
 * A FILTER's body is the text by which documents are deleted; it stands in every stream of its index, under an id that
 * is nobody's. */
enum operation_kind { OPERATION_PUT, OPERATION_DELETE, OPERATION_PATCH, OPERATION_LOST, OPERATION_FILTER };
#define BATCH_FILTER_ID "filter"

struct operation {
    enum operation_kind kind;
    uint64_t sequence; /* given by place, not stored */
    uint64_t stamp;
    uint64_t hash;
    uint64_t position;
    struct str id;
    struct str body;
};

struct batch_header {
    uint32_t count, index, edition, shard, crc;
    uint64_t first, bytes, task;
};

/* Bytes an operation takes. */
size_t operation_size(size_t id_length, size_t body_length);

/* Writes the fixed part and the id; the body (body_length bytes) is the caller's to copy to what is returned, and
 * operation_pad zeroes what is after it. `to` is aligned to 8 and has operation_size bytes. */
char *operation_encode(char *to, const struct operation *o, size_t body_length);
void operation_pad(char *to);
void operation_restamp(char *to, uint64_t stamp);

#define POSITION_UNKNOWN UINT64_MAX

/* A LOST one: of operation_size(BATCH_LOST_ID, 0) bytes, which no other is smaller than. */
enum { BATCH_LOST_ID = 4 };
void operation_encode_lost(char *to);

void batch_header_encode(char to[BATCH_HEADER], const struct batch_header *h);

/* ERR_CORRUPT unless magic, sizes and checksum hold for the whole region. */
int batch_header_decode(struct str region, struct batch_header *out);

/* The operation at the front of *rest, which is advanced; views into it. 0, or ERR_CORRUPT. Sequence is not set. */
int operation_decode(struct str *rest, struct operation *out);

/* An id is 1 to BATCH_MAX_ID bytes of valid UTF-8 without control characters. */
bool id_is_valid(struct str id);

#endif
