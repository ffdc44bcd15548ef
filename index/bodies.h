/* bodies.h - the stored bodies of a segment one after the other, each block unpacked once.  Runs in: worker (merges).
 */
#ifndef INDEX_BODIES_H
#define INDEX_BODIES_H

#include <stddef.h>
#include <stdint.h>

#include "common/str.h"
#include "index/segment.h"
#include "index/segment_parts.h"

struct bodies {
    const struct segment *segment;
    char *plain; /* the block that was unpacked last */
    struct body_block block;
    uint64_t until;  /* among all bodies: bytes from there on are not unpacked */
    char *joined;    /* a body that spans blocks, as large as the largest one */
    size_t joined_room;
};

int bodies_open(struct bodies *b, const struct segment *s); /* -ENOMEM */
void bodies_close(struct bodies *b);                        /* accepts a zeroed one */

int segment_body_size(const struct segment *s, uint32_t document, uint64_t *out);

/* The bytes [from, to) among all bodies, and the blocks [first, end) that lie whole within them: [whole_from, whole_end). */
struct body_blocks {
    uint64_t from, whole_from, whole_end, to;
    uint32_t first, end;
};

/* Of documents [first, end). */
int bodies_blocks(const struct bodies *b, uint32_t first, uint32_t end, struct body_blocks *out);

/* A block as it is stored: found whole, and `length` bytes when it is unpacked, which is not tried. */
int bodies_packed(const struct bodies *b, uint32_t block, struct str *out, uint32_t *out_length);

/* Bytes of one block, [from, end) among all bodies. Valid until the next call. */
int bodies_bytes(struct bodies *b, uint64_t from, uint64_t end, struct str *out);

/* Valid until the next call. */
int bodies_get(struct bodies *b, uint32_t document, struct str *out);

#endif
