/* hashes_out.h - the hash of each document's id, sorted when the segment is finished.  Runs in: worker. */
#ifndef INDEX_HASHES_OUT_H
#define INDEX_HASHES_OUT_H

#include <stdint.h>

#include "index/column_out.h"

struct hashes_out {
    struct column_out entries; /* hash u64, document u32 */
};

void hashes_out_open(struct hashes_out *h);
void hashes_out_close(struct hashes_out *h); /* accepts a zeroed one */

int hashes_out_add(struct hashes_out *h, uint64_t hash, uint32_t document);

/* Writes the hashes rising, equal ones by document, and their documents. */
int hashes_out_put(struct hashes_out *h, struct store_writer *store);

#endif
