/* store_lmdb.h - how segment files use LMDB.  Used by store_file.c and store_writer.c, which alone know it. */
#ifndef INDEX_STORE_LMDB_H
#define INDEX_STORE_LMDB_H

#include <errno.h>
#include <lmdb.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bytes.h"
#include "common/err.h"
#include "index/format.h"

enum { STORE_KEY = 5, VALUE_OFFSET = 16 /* of a value in its first page */ };

static inline int lmdb_error(int rc)
{
    if (rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH)
        return ERR_CORRUPT;
    if (rc == MDB_NOTFOUND)
        return -ENOENT;
    return rc > 0 ? -rc : rc;
}

static inline void make_key(uint8_t key[STORE_KEY], enum section section, uint32_t part)
{
    key[0] = (uint8_t)section;
    store_be32(key + 1, part);
}

#endif
