/* pieces.h - memory for many small blocks that come and go in about the same order, out of the heap, where they would leave
 * holes: side by side in pieces from mmap, in the order of their coming. A piece goes back when the last of its blocks is
 * gone, so what is counted is what the kernel counts. */
#ifndef COORDINATOR_PIECES_H
#define COORDINATOR_PIECES_H

#include <stddef.h>

struct piece;

struct pieces {
    struct piece *oldest, *newest;
    size_t piece_size;
    size_t bytes; /* of pages that were touched */
};

void pieces_init(struct pieces *p, size_t piece_size);

/* Aligned to 16, not zeroed; a large one has a piece of its own. NULL: there is no memory. */
void *pieces_take(struct pieces *p, size_t size);
void pieces_leave(struct pieces *p, void *block);

/* The oldest piece, out of the others: nothing is taken from it any more, and it is there until it is let go of, even if
 * its last block is gone. NULL: there is none. */
struct piece *pieces_oldest(struct pieces *p);
void *piece_next(struct piece *piece, const void *block); /* of its blocks, those that are gone too; NULL: the first, the end */
void pieces_let_go(struct pieces *p, struct piece *piece);

#endif
