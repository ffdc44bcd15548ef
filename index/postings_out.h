/* postings_out.h - a posting list and its positions being written (postings.h).  Runs in: worker. */
#ifndef INDEX_POSTINGS_OUT_H
#define INDEX_POSTINGS_OUT_H

#include <stdbool.h>
#include <stdint.h>

#include "index/bytes_out.h"
#include "index/column_out.h"
#include "index/dictionary.h"
#include "index/maxima_out.h"
#include "index/postings.h"
#include "index/segment_writer.h"
#include "index/stream.h"

/* Used again for term after term. */
struct postings_out {
    uint32_t documents; /* in the list so far */
    uint32_t previous;  /* the last one; UINT32_MAX: none */
    bool with_positions;
    float average_length; /* of the segment's documents */
    const struct column_out *lengths; /* their codes */

    /* the open block */
    uint32_t count;
    uint32_t before; /* the last document of the block before */
    uint32_t numbers[POSTING_BLOCK], t[POSTING_BLOCK], n[POSTING_BLOCK];
    struct bytes_out gaps; /* u32: of its positions */
    struct maxima_out block_maxima, group_maxima;

    /* what is done */
    uint32_t blocks;
    struct bytes_out last, ends, position_ends, maxima, groups; /* the arrays */
    struct bytes_out body;                                      /* the blocks; at the end the whole list */
    struct bytes_out positions;
    struct stream_writer *stream; /* of positions */
    size_t position_block;        /* where the newest block's positions begin in `positions` */
    uint64_t run;                 /* offset in the list of what is in `positions`; 0: no extent was written yet */
    uint32_t first_part;          /* of the run */
};

/* `positions` NULL: without. */
void postings_out_begin(struct postings_out *p, struct stream_writer *positions);

/* Positions, of which a list with positions has at least one, rise: false if not, the list is of no use then. */
bool postings_out_add(struct postings_out *p, uint32_t document, uint32_t t, const uint32_t *positions, size_t count);
void postings_out_add_run(struct postings_out *p, const struct posting_run *run);

/* The list is in out->inlined (good until the next begin), or in `body` with its positions placed: false if memory ran
 * out, or a list is beyond 2 GiB. */
bool postings_out_end(struct postings_out *p, struct dictionary_entry *out);

void postings_out_free(struct postings_out *p);

#endif
