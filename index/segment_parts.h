/* segment_parts.h - an open segment from the inside: its extents, resolved.  Used by segment.c, segment_documents.c, bodies.c,
 * terms.c, postings.c, pairs.c, pairs_scan.c, will_need.c, prefix.c, typo.c, typo_walk.c; segment_writer.c. */
#ifndef INDEX_SEGMENT_PARTS_H
#define INDEX_SEGMENT_PARTS_H

#include "common/bytes.h"
#include "index/kernels.h"
#include "index/segment.h"
#include "index/store.h"

struct parts { /* the extents of a stream */
    struct extent *extents;
    uint32_t count;
};

struct table { /* of equal elements */
    struct parts parts;
    uint32_t width;
    uint32_t count;
};

struct segment {
    struct store *store;
    const struct kernels *kernels;
    struct toc toc;
    struct str analyzer;
    struct str *fields;
    struct extent lengths, stamps;
    struct table id_places, hashes, hash_documents, body_ends, body_blocks, blocks, pair_words;
    uint64_t *sampled; /* prefixes of every SAMPLED_BLOCKS-th block: near each other, where the index is spread out */
    struct parts dictionary, postings, positions, ids, bodies, pairs;
};

/* The lists of a segment that is being written, so far, by terms that the caller has. The writer must live longer. */
struct written_lists {
    uint32_t documents, parts_postings, parts_positions;
};
int segment_open_written(struct store_writer *w, const struct written_lists *lists, struct segment **out);

/* `size` bytes at a place, checked. */
int segment_view(const struct segment *s, const struct parts *p, uint64_t place, uint32_t size, const uint8_t **out);

/* An element of a table, checked. */
int segment_element(const struct segment *s, const struct table *t, uint32_t at, const uint8_t **out);
int segment_element_u64(const struct segment *s, const struct table *t, uint32_t at, uint64_t *out);

/* A block of stored bodies: where it is, and which bytes of all bodies it has. */
struct body_block {
    uint64_t place, begin, end;
    uint32_t size; /* compressed */
};

/* The block with the byte `at` of all bodies: about, without a look at any, and which it is. */
int segment_body_block_guess(const struct segment *s, uint64_t at, uint32_t *out_block);
int segment_body_block_of(const struct segment *s, uint64_t at, uint32_t *out_block);
int segment_body_block(const struct segment *s, uint32_t block, struct body_block *out);

/* Blocks of the dictionary, by numbers below toc.blocks. The block index was checked at opening. */
enum { BLOCKS_PER_PART = TABLE_PAYLOAD / DICTIONARY_INDEX, SAMPLED_BLOCKS = 16 };

static inline uint32_t segment_sampled(const struct segment *s)
{
    return s->toc.blocks / SAMPLED_BLOCKS + (s->toc.blocks % SAMPLED_BLOCKS != 0);
}

static inline const uint8_t *segment_block_index(const struct segment *s, uint32_t block)
{
    if (block < BLOCKS_PER_PART) /* as nearly all are: half a million terms */
        return s->blocks.parts.extents[0].payload + (size_t)block * DICTIONARY_INDEX;
    return s->blocks.parts.extents[block / BLOCKS_PER_PART].payload + block % BLOCKS_PER_PART * DICTIONARY_INDEX;
}

static inline uint64_t segment_block_prefix(const struct segment *s, uint32_t block)
{
    return load_u64(segment_block_index(s, block) + 8);
}

int segment_block(const struct segment *s, uint32_t block, struct dictionary_block *out);
int segment_block_glance(const struct segment *s, uint32_t block, struct dictionary_block *out); /* most of it is not read */
uint32_t segment_blocks_below(const struct segment *s, uint64_t prefix); /* how many begin with a lower one */
struct term term_of(struct str key, const struct dictionary_entry *e);

#endif
