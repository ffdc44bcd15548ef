/* maxima_out.h - of a run of postings the pairs (T, length code) that no other one beats, eight of them at most: the
 * maxima of a block or a group (postings.h).  Runs in: worker. */
#ifndef INDEX_MAXIMA_OUT_H
#define INDEX_MAXIMA_OUT_H

#include <stdbool.h>
#include <stdint.h>

#include "index/kernels.h"

/* Of each T the lowest length code. Zeroed: none. */
struct maxima_out {
    uint32_t most; /* the largest T; 255: that or more */
    uint8_t lowest[256]; /* 255 - the code, so that 0 is none and the longest alike */
};

void maxima_out_add(struct maxima_out *m, uint32_t t, uint8_t length_code);

/* All that `other` has. */
void maxima_out_join(struct maxima_out *m, const struct maxima_out *other);

/* Into pairs of bytes; `average` is a length that documents have, by which pairs are joined. Zeroes it. */
void maxima_out_end(struct maxima_out *m, float average, uint8_t out[2 * KERNEL_PAIRS]);

#endif
