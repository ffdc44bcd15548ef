/* will_need.h - asks the kernel for the parts of segments that a query will read, all of them before the first is read.
 * Runs in: shard, bench.
 *
 * Segments are mapped without read-ahead: of an index that is larger than memory a query reads a page here and a page
 * there. A page that is not there is a wait for the disk each, one after the other; asked for together they come together.
 * On an index that is in memory asking is a waste, so that it is done only where waits were seen lately. */
#ifndef INDEX_WILL_NEED_H
#define INDEX_WILL_NEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index/segment.h"

/* Waits of this thread for pages (major faults). Zeroed: the first queries ask. */
struct page_waits {
    uint64_t seen;   /* until now */
    unsigned quiet;  /* queries since the last */
    unsigned skipped; /* queries since they were counted last */
};

/* Once a query: whether it is to ask. */
bool page_waits_ask(struct page_waits *w);

/* The dictionary's blocks where the keys stand if they stand anywhere. */
void will_need_keys(const struct segment *s, const struct str *keys, size_t count);

/* A term's list: all of it up to a limit, else what stands in front of its blocks and the first of them; its positions, if
 * there are not too many. */
void will_need_list(const struct segment *s, const struct term *t, bool with_positions);

/* Ids and, if `with_bodies`, bodies. What tells where they are is read for it, all of one kind before the next. */
void will_need_documents(const struct segment *s, const uint32_t *documents, size_t count, bool with_bodies);

#endif
