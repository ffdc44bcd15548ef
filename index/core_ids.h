/* core_ids.h - which ids segment files may have (id_filter.h), as values of core.mdb.  Used by core*.c only.
 *
 * A segment with a file has a filter in parts, of which the first to the last but one have CORE_IDS_PART blocks: with
 * LMDB's 16 bytes in front such a value fills 16 pages, and its blocks are cache lines.
 *
 *   header | u64 first hash  u64 last hash  u32 blocks in all  u32 number of the first block here  u64 0 | blocks | zero bytes
 *
 * The zero bytes fill a short one up to CORE_OWN_PAGES. The header's checksum is of the 32 bytes behind it, each block has
 * its own. Whatever is missing or damaged is known of no id: then the file is looked at. `mayfly check` tells damage. */
#ifndef INDEX_CORE_IDS_H
#define INDEX_CORE_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/str.h"
#include "index/core_file.h"
#include "index/id_filter.h"

enum { CORE_IDS_PART = 1023 };

/* In the transaction that is open; failures are the transaction's, as core_file_put's. */
void core_ids_put(struct core_file *f, const struct id_filter *filter);

/* A part, with all of its blocks. */
int core_ids_check(struct str key, struct str value);

/* Which of the hashes, which rise, may be of ids in that segment: `*out_count` places, rising. False: nothing is known. */
bool core_ids_find(struct core_file *f, uint64_t segment, const uint64_t *hashes, size_t count, uint32_t *out_places,
                   size_t *out_count);

#endif
