/* bodies.h - the stored bodies of a segment one after the other, each block unpacked once.  Runs in: worker (merges).
 */
#ifndef INDEX_BODIES_H
#define INDEX_BODIES_H

#include <stddef.h>
#include <stdint.h>

#include "common/str.h"
#include "index/segment.h"

struct bodies {
    const struct segment *segment;
    char *plain; /* the block that was unpacked last */
    uint64_t block;
    uint32_t length; /* of it; 0: none yet */
    char *joined;    /* a body that spans blocks, as large as the largest one */
    size_t joined_room;
};

int bodies_open(struct bodies *b, const struct segment *s); /* -ENOMEM */
void bodies_close(struct bodies *b);                        /* accepts a zeroed one */

int segment_body_size(const struct segment *s, uint32_t document, uint64_t *out);

/* Valid until the next call. */
int bodies_get(struct bodies *b, uint32_t document, struct str *out);

#endif
