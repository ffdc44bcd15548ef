/* postings.h - a term's posting list and its positions, read by blocks; format.h draws their bytes.
 *
 * Everything is checked when it is entered, so that what is given out can be used: documents rise and are in the segment,
 * positions rise. Damage is ERR_CORRUPT, whatever the bytes. */
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
    MAXIMA = 2 * KERNEL_PAIRS, /* bytes */
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

/* Bytes in front of the blocks; 0 where there is only one. */
uint64_t list_front(const struct term *t);

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

/* Pairs of bytes; only where there are several blocks. */
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
    bool has_values;                       /* of the two packed ones it is known where they are */
    bool n_is_t;
    struct packed_values t_values, n_values;
    const uint8_t *values, *end; /* what is behind the documents */
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
    uint32_t starts[POSTING_BLOCK + 1 + KERNEL_OVERWRITE]; /* n[0] + .. n[i - 1] */
};

/* All of these: 0 or ERR_CORRUPT, and after an error the block is none. Packed documents are there at once, those of a
 * bitset after block_documents. */
int block_enter(const struct posting_list *l, uint32_t number, struct posting_block *b);

/* The same for who may need no more than documents: T and n are checked when they are first asked for, which only block_t
 * relies on its caller for (block_values). */
int block_enter_documents(const struct posting_list *l, uint32_t number, struct posting_block *b);
int block_values(struct posting_block *b);

void block_documents(const struct posting_list *l, struct posting_block *b);
int block_frequencies(const struct posting_list *l, struct posting_block *b); /* fills t */
int block_starts(const struct posting_list *l, struct posting_block *b);

/* T of the i-th document alone. */
uint32_t block_t(const struct posting_block *b, uint32_t i);

/* starts[i + 1] - starts[i] positions of the i-th document, rising, each plus `base`; cheapest if documents are asked for
 * in order. */
int block_positions(const struct posting_list *l, struct posting_block *b, uint32_t i, uint32_t base, uint32_t *out);

/* The same of several, by rising number: one behind the other, which `out` has room for. Their starts are known
 * (block_starts). */
int block_positions_of(const struct posting_list *l, struct posting_block *b, const uint32_t *which, size_t count,
                       uint32_t base, uint32_t *out);

/* The gaps of the postings from..end - 1 (format.h), for whoever writes them again: in `out`, which has room for GAPS_SLACK
 * more than they are, or NULL on damage. */
enum { GAPS_SLACK = 8 + KERNEL_OVERWRITE };
const uint32_t *block_gaps(const struct posting_list *l, struct posting_block *b, uint32_t from, uint32_t end,
                           uint32_t *out);

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
void postings_pass(struct postings *p, uint32_t count); /* so many of the block in hand, at least one */
void postings_seek(struct postings *p, uint32_t document); /* to the first at or after it; never back */

/* The positions of the current posting: `count` of them; false on damage. */
bool postings_positions(struct postings *p, uint32_t *out);

#endif
