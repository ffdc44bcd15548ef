/* catalog_record.h - the keys and values of catalog.mdb, byte by byte.
 *
 * key                       value: | magic u32 "MFC1" | crc-32c of the rest u32 | rest |
 *   'm'                     | version u32 | shards u32 | epoch u64 |
 *   'n' kind u8             | u64: every number below it may have been given |
 *   'i' number u32 be       | edition u32 | name u16+bytes | primary key u16+bytes | created at u64 | settings u32+bytes |
 *   't' task u64 be         | a packed mayfly.Task |
 */
#ifndef COORDINATOR_CATALOG_RECORD_H
#define COORDINATOR_CATALOG_RECORD_H

#include <stdint.h>

#include "common/buf.h"
#include "common/str.h"
#include "coordinator/index.h"

enum { CATALOG_VERSION = 1, RECORD_HEADER = 8 };

/* Starts a record in an empty buffer; what is appended after it is the rest; then seals it. */
void record_begin(struct buf *record);
void record_seal(struct buf *record);

/* The rest, or ERR_CORRUPT. */
int record_open(struct str record, struct str *out_rest);

struct index_record {
    uint32_t number, edition;
    uint64_t created_at;
    struct str name, primary_key, settings;
};

void index_record_encode(struct buf *record, const struct index *i);
int index_record_decode(struct str rest, struct index_record *out); /* `number` is in the key */

#endif
