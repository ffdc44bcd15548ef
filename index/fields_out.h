/* fields_out.h - a new segment's field names and their numbers.  Runs in: worker. */
#ifndef INDEX_FIELDS_OUT_H
#define INDEX_FIELDS_OUT_H

#include <stdint.h>

#include "common/str.h"
#include "index/bytes_out.h"

enum { FIELDS_MAX = 65535 };

struct fields_out {
    struct bytes_out names; /* as in the TOC: u16 length and bytes */
    uint32_t *slots;        /* offset in names + 1, and the number beside it; 0: free. At most half full */
    uint32_t slot_count;
    uint32_t count;
};

/* The same name gives the same number; ERR_FULL past FIELDS_MAX, ERR_TOO_LARGE for a name above 65,535 bytes. */
int fields_out_number(struct fields_out *f, struct str name);
void fields_out_free(struct fields_out *f); /* accepts a zeroed one */

#endif
