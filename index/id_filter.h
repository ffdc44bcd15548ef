/* id_filter.h - which ids a segment file may have, by their hashes, so that who looks for a few ids opens no file that has
 * none of them.  Runs in: worker.
 *
 * A Bloom filter of blocks. The hashes of a segment's ids, which are spread evenly between the lowest and the highest, are
 * dealt out to the blocks in order, about 32 to each; so blocks are made, and looked at, from the first to the last. A block
 * is a cache line with a checksum of its own, since who looks for an id looks at one block and at nothing else:
 *
 *   | 480 bits, 60 bytes | CRC-32C, over segment u64, block's number u32, the 60 bytes |
 *
 * A hash sets 6 bits. With x = (hash ^ hash >> 32) * 0x9e3779b97f4a7c15, a = its upper, b = its lower 32 bits | 1, and n = a,
 * a + b, ... a + 5 b (modulo 2^32), these are bits n * 480 / 2^32, from the lowest of the first byte on. One in about a
 * thousand of ids that are not there is taken for one that may be.
 *
 * With d = hash - first, span = last - first, and both shifted right until span is below 2^32, the block's number is
 * d * blocks / (span + 1). */
#ifndef INDEX_ID_FILTER_H
#define INDEX_ID_FILTER_H

#include <stdbool.h>
#include <stdint.h>

enum { ID_BLOCK = 64, ID_BLOCK_IDS = 32 };

struct id_span { /* how a segment's hashes are dealt out */
    uint64_t segment, first, last;
    uint32_t blocks;
};

bool id_span_has(const struct id_span *s, uint64_t hash);
uint32_t id_span_block(const struct id_span *s, uint64_t hash); /* of a hash that it has */

int id_block_check(const struct id_span *s, uint32_t number, const uint8_t *block); /* ERR_CORRUPT */

/* Whether an id with that hash may be in block `number`, which is checked: false, and the code in *err, if it is damaged. */
bool id_block_may_have(const struct id_span *s, uint32_t number, const uint8_t *block, uint64_t hash, int *err);

/* Blocks of malloc, s.blocks of them. */
struct id_filter {
    struct id_span span;
    uint8_t *blocks;
};

/* The `at`-th of all hashes, rising. */
typedef int id_hash_source(const void *context, uint32_t at, uint64_t *out);

/* Of `count` hashes, at least one. ERR_CORRUPT if they do not rise. */
int id_filter_make(uint64_t segment, uint32_t count, id_hash_source *source, const void *context, struct id_filter *out);
void id_filter_free(struct id_filter *f); /* accepts a zeroed one */

#endif
