/* oplog_record.h - a log file's bytes.
 *
 * file:    | "MFLG" | version u32 | number u64 | crc u32 of the 16 bytes before | 4 zeros |             24 bytes
 *          then records, one after the other, the last of which may be torn, then perhaps zero bytes, in which
 *          nothing was written yet:
 *
 * record:  0            4              8               12            16      17        20          24            28
 *          | "MFR2" u32 | head crc u32 | body crc u32 | payload u32 | flags | 3 zeros | index u32 | numbering u32 (as in proto/batch.h) | shard u32
 *          32          36        40          48         56          64           72
 *          | count u32 | 4 zeros | epoch u64 | task u64 | first u64 | synced u64 | payload: operations (proto/batch.h)
 *
 * head crc = CRC-32C of bytes 8 to 72, body crc = that of the payload: where only a payload is damaged, its header still
 * says whose operations are lost. Everything is a multiple of 8, where one looks for the next record behind damage.
 * synced = bytes of this file that were durable before this record's group was written: damage below it hit what was
 * acknowledged. An operation that does not fit a record stands in several, of which the first has FIRST and the last
 * LAST; whole ones have both. Fragments follow each other in one file. */
#ifndef COORDINATOR_OPLOG_RECORD_H
#define COORDINATOR_OPLOG_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "common/str.h"
#include "coordinator/oplog.h"

enum { OPLOG_VERSION = 2, OPLOG_FILE_HEADER = 24, OPLOG_RECORD_HEADER = 72, OPLOG_ALIGN = 8 };
enum { OPLOG_FIRST = 1, OPLOG_LAST = 2 };
enum { OPLOG_MAX_PAYLOAD = OPLOG_MAX_RECORD - OPLOG_RECORD_HEADER };

struct oplog_record {
    struct oplog_entry entry; /* `operations` is the payload */
    uint64_t epoch, synced;
    uint32_t body_crc;
    unsigned flags;
};

void oplog_file_header(uint8_t to[OPLOG_FILE_HEADER], uint64_t number);
int oplog_check_file_header(const uint8_t *bytes, size_t size, uint64_t number); /* ERR_CORRUPT, ERR_VERSION */

void oplog_encode_header(uint8_t to[OPLOG_RECORD_HEADER], const struct oplog_record *r);

/* The header at the front of `bytes`: the whole record's length, or ERR_CORRUPT. Of `operations` only the length is set. */
int64_t oplog_decode_header(struct str bytes, struct oplog_record *out);
bool oplog_is_payload(const struct oplog_record *r, struct str payload); /* of that header */

/* The record at the front of `bytes`: its whole length, or ERR_CORRUPT if it is not whole. */
int64_t oplog_decode(struct str bytes, struct oplog_record *out);

/* The next record of an entry from offset *at of its operations, which is advanced. False when there is none left. */
bool oplog_split(const struct oplog_entry *e, size_t *at, struct oplog_record *out);

#endif
