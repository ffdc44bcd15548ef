/* postings.h - a term's posting list and its positions, as bytes, and how they are read by blocks.
 *
 * A list has blocks of 256 documents, the last one shorter. What the dictionary says of it: the number of documents, and
 * the two places and lengths, or the list itself. (v = varint.)
 *
 * Inlined: at most 8 documents and 48 bytes in all. For each document
 *
 *   | v: gap | stems: v: T << 1 | (n is not T) | v: n, where it is not T | n positions, v each |
 *
 * gap = document - the one before - 1, the first as it is. n = number of positions. Positions: the first as it is, then
 * what each is above the one before, less 1.
 *
 * One block, where there are up to 256 documents: just the block. Several: a structure of arrays in front of them,
 *
 *   | last u32[blocks] | ends u32[blocks] | stems: ends of positions u32[blocks] |
 *   | maxima u8[blocks][8] | maxima u8[groups][8] | blocks ... |
 *
 * last = the last document; ends = where the block ends behind the arrays, where its positions end in the list's. A group
 * is 32 blocks. Maxima are four pairs (T, length code): of every posting T and code are such that T is not above, and code
 * not below, those of one of the pairs; T 255 stands for all from there on. They are the Pareto front of what is there, the
 * last pair repeated if it has fewer, neighbours joined if it has more. So they hold for any weights and average length.
 *
 * block:
 *
 *   | kind u8 | T bits u8 | T exceptions u8 | n bits u8 | n exceptions u8 |
 *   | documents | T, packed | n, packed | exceptions of T, then of n: each u8 index, v value |
 *
 *   kind 0..32  gaps (the first above the last document of the block before), packed in so many bits
 *   kind 64     a bitset: u64 words from (last of the block before + 1) / 64 * 64 up to the block's last document; not in
 *               a list of one block
 *   T - 1 in `T bits`, n - 1 in `n bits`; n bits 255: n = T everywhere. Where a field has exceptions the code of all ones
 *   says that the value (again less 1) is among them. Words, unlike stems, have T = 1 and no n: all four are 0.
 *
 * Packed: value i of b bits begins at bit i * b (index/kernels.h).
 *
 * positions of a block, all documents one after the other, so that those of document i begin at index n[0] + .. n[i-1]:
 *
 *   | bits u8 | v: exceptions | packed | exceptions: each v index above the one before, v value |
 *
 * No bits only where no document has several positions: so a damaged n is at most 8 times the bytes that there are.
 *
 * Positions of more than EXTENT_PAYLOAD bytes are a run of extents, so that a writer holds one at a time. No block's
 * positions straddle two of them: offset o in the list is offset o % EXTENT_PAYLOAD in the (o / EXTENT_PAYLOAD)th part
 * behind the first. What follows a block that ends an extent is at the next multiple. A single block above
 * EXTENT_PAYLOAD has an extent that counts as several parts, the others being empty. */
#ifndef INDEX_POSTINGS_H
#define INDEX_POSTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/bytes.h"
#include "index/kernels.h"
#include "index/segment.h"

enum {
    POSTING_BLOCK = 256,
    GROUP_BLOCKS = 32,
    MAXIMA = 8,
    BLOCK_HEADER = 5,
    KIND_BITSET = 64,
    N_IS_T = 255,
    INLINED_DOCUMENTS = 8,
    INLINED_BYTES = 48,
    NO_BLOCK = UINT32_MAX >> 1,
};

/* An open list. Nothing is allocated; it is good as long as the segment is open. */
struct posting_list {
    const struct segment *segment;
    const struct kernels *kernels;
    uint32_t documents, blocks;
    uint32_t limit; /* documents of the segment */
    bool with_positions;
    const uint8_t *last, *ends, *position_ends, *maxima, *group_maxima; /* several blocks: the arrays */
    uint64_t place; /* of what is behind the arrays */
    uint32_t size;
    struct list_view positions;
    struct str inlined;
};

/* 0 or ERR_CORRUPT. Of the arrays only their size is checked: what they say of a block is when it is entered. */
int list_open(struct posting_list *l, const struct segment *s, const struct term *t, const struct kernels *kernels);

/* The last document of a block; what no document is above, where there is only one block. */
static inline uint32_t list_last(const struct posting_list *l, uint32_t block)
{
    return l->blocks > 1 ? load_u32(l->last + 4 * (size_t)block) : l->limit - 1;
}

/* Where the positions of a block end in the list's. */
static inline uint32_t list_positions_end(const struct posting_list *l, uint32_t block)
{
    return l->blocks > 1 ? load_u32(l->position_ends + 4 * (size_t)block) : l->positions.length;
}

/* The first block at or after `from` that `document` may be in: that ends at or after it. l->blocks: none. */
uint32_t list_find(const struct posting_list *l, uint32_t from, uint32_t document);

/* Four pairs of bytes; only where there are several blocks. */
static inline const uint8_t *list_maxima(const struct posting_list *l, uint32_t block)
{
    return l->maxima + MAXIMA * (size_t)block;
}

static inline const uint8_t *list_group_maxima(const struct posting_list *l, uint32_t group)
{
    return l->group_maxima + MAXIMA * (size_t)group;
}

/* T - 1 or n - 1 of a block. */
struct packed_values {
    const uint8_t *packed;
    uint8_t bits, exception_count;
    const uint8_t *exceptions;
};

struct posting_block {
    uint32_t number; /* NO_BLOCK: none was entered */
    uint32_t count;
    uint32_t base, words; /* bitset: the document of its first bit, and how many words; else 0 */
    const uint8_t *bits;
    bool has_documents, has_t, has_starts; /* which of the arrays are filled */
    bool n_is_t;
    struct packed_values t_values, n_values;
    const uint8_t *end;
    const uint8_t *inlined[INLINED_DOCUMENTS]; /* positions of each document of an inlined list */

    /* its positions, once they were asked for */
    const uint8_t *positions, *positions_end;
    const uint8_t *position_exceptions;
    unsigned position_bits;
    bool has_position_exceptions;
    uint32_t exceptions_left, exception_index; /* of the exception whose value is at `position_exceptions` */
    uint32_t positions_read;                   /* index behind those that were asked for last */

    uint32_t documents[POSTING_BLOCK + KERNEL_OVERWRITE];
    uint32_t t[POSTING_BLOCK + KERNEL_OVERWRITE];
    uint32_t starts[POSTING_BLOCK + 1]; /* n[0] + .. n[i - 1] */
};

/* All of these: 0 or ERR_CORRUPT, and after an error the block is none. Packed documents are there at once, those of a
 * bitset after block_documents. */
int block_enter(const struct posting_list *l, uint32_t number, struct posting_block *b);
void block_documents(const struct posting_list *l, struct posting_block *b);
int block_frequencies(const struct posting_list *l, struct posting_block *b); /* fills t */
int block_starts(const struct posting_list *l, struct posting_block *b);

/* T of the i-th document alone. */
uint32_t block_t(const struct posting_block *b, uint32_t i);

/* starts[i + 1] - starts[i] positions of the i-th document, rising, each plus `base`; cheapest if documents are asked for
 * in order. */
int block_positions(const struct posting_list *l, struct posting_block *b, uint32_t i, uint32_t base, uint32_t *out);

/* One posting after the other, for whoever needs no more: merges, counts, documents of rare expressions. */
struct postings {
    uint32_t document; /* POSTINGS_END at the end */
    uint32_t t;
    uint32_t count; /* of positions */
    int err;
    uint32_t next; /* place in the block behind the current one */
    struct posting_list list;
    struct posting_block block;
};
#define POSTINGS_END UINT32_MAX

void postings_open(struct postings *p, const struct segment *s, const struct term *t); /* stands on the first */
void postings_next(struct postings *p);
void postings_seek(struct postings *p, uint32_t document); /* to the first at or after it; never back */

/* The positions of the current posting: `count` of them; false on damage. */
bool postings_positions(struct postings *p, uint32_t *out);

#endif
