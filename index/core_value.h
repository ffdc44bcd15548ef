/* core_value.h - the header of every value of core.mdb.  Used by core*.c only.
 *
 * 16 bytes, little-endian, then the payload:
 *
 *    0  u32 magic "MFCV"     4  u16 version     6  u16 kind     8  u32 payload bytes     12  u32 CRC-32C of key and payload
 *
 * Where the payload has parts with checksums of their own behind, the header's is of what is in front of them. */
#ifndef INDEX_CORE_VALUE_H
#define INDEX_CORE_VALUE_H

#include <stddef.h>
#include <stdint.h>

#include "common/str.h"

enum {
    CORE_HEADER = 16,
    CORE_VALUE_VERSION = 1, /* of most */
    CORE_OWN_PAGES = 2040   /* a value that is as long gets pages of its own, and what else a commit changes stays in one leaf */
};

/* Of a payload of so many bytes, of which the first `checked`, behind the header at `to`, go into the checksum. */
void core_value_head(char *to, struct str key, uint16_t version, size_t payload, size_t checked);

/* ERR_CORRUPT, ERR_VERSION. The first looks at the header alone; the second, behind it, at kind, least length, checksum. */
int core_value_check_version(struct str value, uint16_t version);
int core_value_check(struct str key, struct str value, size_t at_least, size_t checked);

#endif
