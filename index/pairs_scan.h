/* pairs_scan.h - finds which frequent words stand side by side: their lists are read by windows of documents, and put back
 * into the order of the text.  Used by pairs_out.c. */
#ifndef INDEX_PAIRS_SCAN_H
#define INDEX_PAIRS_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "index/pairs_found.h"
#include "index/postings.h"

struct pairs_scan;

/* The words' lists are those of `segment`. Memory by malloc: of so much what it can use, at least 48 KiB, and 200 bytes a word. */
int pairs_scan_open(const struct segment *segment, const struct pairs_out *pairs, size_t memory,
                    struct pairs_scan **out);
void pairs_scan_close(struct pairs_scan *s); /* accepts NULL */

/* All documents, or until `found` is full. ERR_INVALID: words stand in one place, and nothing that was found can be used. */
int pairs_scan_run(struct pairs_scan *s, struct pairs_found *found);

/* Of all documents, how many were looked at until it was full. */
double pairs_scan_done(const struct pairs_scan *s);

/* For pairs_found_begin. */
const uint32_t *pairs_scan_postings(const struct pairs_scan *s);

#endif
