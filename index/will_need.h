/* will_need.h - asks the kernel for the parts of segments that a query will read, all of them before the first is read.
 * Runs in: shard, bench.
 *
 * Segments are mapped without read-ahead: of an index that is larger than memory a query reads a page here and a page
 * there. A page that is not there is a wait for the disk each, one after the other; asked for together they come
 * together. On an index that is in memory asking is a waste, so that it is done only where waits were seen lately. */
#ifndef INDEX_WILL_NEED_H
#define INDEX_WILL_NEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index/page_ranges.h"
#include "index/postings.h"
#include "index/segment.h"

/* How much a query asks for. */
enum asks {
    ASKS_NOTHING,
    ASKS_LISTS, /* what differs from query to query: dictionary blocks, lists, positions, ids, bodies */
    ASKS_ALL,   /* and columns and indexes that all queries read */
};

/* What this thread had read from the disk. It asks while something is read, by waiting or by asking: if waits alone
 * counted, it would stop because it asked in time. Zeroed: the first queries ask. */
struct page_waits {
    uint64_t read, waited; /* until now; waits: major faults */
    unsigned quiet;        /* queries since the last for which something was read */
    unsigned calm;         /* since the last that waited */
    unsigned skipped;      /* since it was looked at last */
};

/* Once a query. */
enum asks page_waits_ask(struct page_waits *w);

/* All of these add to `r`, for which page_ranges_ask then asks. */

/* By which keys are found in the dictionary, if it is not much. */
void will_need_index(const struct segment *s, struct page_ranges *r);

/* The dictionary's blocks where the key stands if it stands anywhere; `is_prefix`: and those of all keys that begin so,
 * up to a limit. */
void will_need_key(const struct segment *s, struct str key, bool is_prefix, struct page_ranges *r);

/* All of the dictionary. */
void will_need_dictionary(const struct segment *s, struct page_ranges *r);

/* A term's list, of which at most so many documents will be looked at: all of it up to a limit, unless reading a page
 * for each of them is less; else what stands in front of its blocks, and with that the query finds the blocks it needs.
 * Its positions, if there are few. */
void will_need_list(const struct segment *s, const struct term *t, uint64_t documents, bool with_positions,
                    struct page_ranges *r);

/* Of two frequent words that are neighbours in a phrase, one after the other: what tells where the first one's row is; for which
 * that is read, what tells where in it the second is; and what is known of the two. */
void will_need_pair_words(const struct segment *s, struct str first, struct str second, struct page_ranges *r);
void will_need_pair_row(const struct segment *s, struct str first, struct str second, struct page_ranges *r);
void will_need_pair(const struct segment *s, struct str first, struct str second, struct page_ranges *r);

/* Of some blocks of an open list: those where `documents` (rising) may be, the positions of these, too, if they are
 * wanted. */
void will_need_blocks(const struct posting_list *l, const uint32_t *documents, size_t count, bool with_positions,
                      struct page_ranges *r);

/* What is read of documents while they are ranked, length codes and stamps, if it is not much. */
void will_need_columns(const struct segment *s, struct page_ranges *r);

struct needed_document {
    const struct segment *segment;
    uint32_t document;
};

/* Ids and, if `with_bodies`, bodies. What tells where they are is read for it, all of one kind before the next: this asks
 * by itself, and what is left in `r` is for the caller to ask for. */
void will_need_documents(const struct needed_document *documents, size_t count, bool with_bodies, struct page_ranges *r);

#endif
