/* pairs.h - in which ranges of documents two frequent words stand side by side (format.h): a phrase is looked for in those
 * alone.  Runs in: shard, bench; worker, which writes them. */
#ifndef INDEX_PAIRS_H
#define INDEX_PAIRS_H

#include <stdbool.h>
#include <stdint.h>

#include "index/format.h"
#include "index/segment.h"

enum { PAIR_WORDS = PAIR_RANGES / 64 };

/* A bit per range. */
struct pair_ranges {
    uint64_t bits[PAIR_WORDS];
};

/* Of the hashes of two keys, in order. */
static inline uint64_t pair_hash(uint64_t first, uint64_t second)
{
    uint64_t x = (first ^ (second << 29 | second >> 35)) * 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 32) * 0xff51afd7ed558ccdu;
    return x ^ x >> 29;
}

/* `buckets` is a power of two. */
static inline uint32_t pair_bucket(uint64_t hash, uint32_t buckets)
{
    return buckets > 1 ? (uint32_t)(hash >> (64 - (unsigned)__builtin_ctz(buckets))) : 0;
}

static inline uint8_t pair_tag(uint64_t hash, uint32_t buckets)
{
    return (uint8_t)(hash << (unsigned)__builtin_ctz(buckets) >> 56);
}

static inline uint32_t pair_range_count(uint32_t documents, unsigned shift)
{
    return documents ? ((documents - 1) >> shift) + 1 : 0;
}

/* Words that so many documents have are frequent; 0: of no two words it is known where they stand. */
uint32_t segment_pairs_least(const struct segment *s);
unsigned segment_pairs_shift(const struct segment *s);

/* Leaves of `ranges` those in which the second of two frequent words may stand behind the first. 0 or ERR_CORRUPT. */
int segment_pair_ranges(const struct segment *s, struct str first, struct str second, struct pair_ranges *ranges);

/* Where what is known of the two is looked up: an element of the pair places, and the bucket, which lies in one extent. 0 or
 * ERR_CORRUPT. Not where pairs_least is 0. */
uint32_t segment_pair_bucket(const struct segment *s, struct str first, struct str second);
int segment_pair_place(const struct segment *s, uint32_t bucket, uint64_t *out_place, uint32_t *out_size);

/* Whether any range of documents in [from, end) is among them. */
bool pair_ranges_have(const struct pair_ranges *r, unsigned shift, uint32_t from, uint32_t end);

static inline bool pair_ranges_have_one(const struct pair_ranges *r, unsigned shift, uint32_t document)
{
    return r->bits[document >> shift >> 6] >> ((document >> shift) & 63) & 1;
}

#endif
