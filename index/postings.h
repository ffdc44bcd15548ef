/* postings.h - a term's posting list and its positions, as bytes.
 *
 * A list has blocks of 128 documents. What the dictionary says of it: the number of documents, the two places and
 * lengths.
 *
 *   | skip entry of each block but the last ... | blocks ... |             no skip entries up to 128 documents
 *
 * skip entry: | last document u32 | end of the block among the blocks u32 | end of its positions u32 |     12 bytes
 *
 * block: for each document varints: what it is above the one before (the list's first above -1, minus 1), then for
 * stems T << 1 | (positions != T), then the number of positions where it differs
 *
 * positions: for each document, for each position: (what `at` is above the one before, the first above 0) << 1 | (the
 *        field is not the one before, or it is the document's first), then that field where it is set
 *
 * Positions of more than EXTENT_PAYLOAD bytes are a run of extents, so that a writer holds one at a time. No block's
 * positions straddle two of them: offset o in the list is offset o % EXTENT_PAYLOAD in the (o / EXTENT_PAYLOAD)th part
 * behind the first. What follows a block that ends an extent is at the next multiple. A single block above
 * EXTENT_PAYLOAD has an extent that counts as several parts, the others being empty. */
#ifndef INDEX_POSTINGS_H
#define INDEX_POSTINGS_H

#include <stdint.h>

#include "index/bytes_out.h"
#include "index/dictionary.h"
#include "index/segment_writer.h"
#include "index/stream.h"

enum { POSTING_BLOCK = 128, SKIP_ENTRY = 12 };

/* A list being written; used again for term after term. */
struct postings_out {
    struct bytes_out skips, blocks, positions;
    uint32_t documents, previous;
    bool with_positions;
    struct stream_writer *stream; /* of positions */
    size_t block;                 /* where the open block's positions begin in `positions` */
    uint64_t run;                 /* offset in the list of what is in `positions`; 0: no extent was written yet */
    uint32_t first_part;          /* of the run */
};

/* `positions` NULL: without. */
void postings_out_begin(struct postings_out *p, struct stream_writer *positions);
void postings_out_add(struct postings_out *p, uint32_t document, uint32_t t, const struct position *positions,
                      size_t count);

/* The whole list in `blocks`, its positions placed. False if memory ran out, or a list is beyond 2 GiB. */
bool postings_out_end(struct postings_out *p, struct list_place *out_positions);
void postings_out_free(struct postings_out *p);

#endif
