/* pairs.h - which documents have two frequent words side by side (format.h): a phrase of them is looked for in those alone.
 * Runs in: shard, bench; worker, which writes them. */
#ifndef INDEX_PAIRS_H
#define INDEX_PAIRS_H

#include <stdbool.h>
#include <stdint.h>

#include "index/format.h"
#include "index/segment.h"

struct pair_word {
    struct str key;
    uint32_t documents; /* that have it: at least segment_pairs_least() */
};

/* The postings of one of two words where the second stands behind the first, undecoded. */
struct pair_list {
    bool of_first;     /* whose postings they are */
    uint32_t postings; /* that word has */
    uint32_t count;    /* that are listed; 0: nowhere */
    uint8_t form, bits; /* an entry's first byte */
    const uint8_t *at, *rest, *end;
};

/* Words that so many documents have are frequent; 0: of no two words it is known where they stand. */
uint32_t segment_pairs_least(const struct segment *s);

static inline bool pair_is_of_first(const struct pair_word *first, const struct pair_word *second)
{
    return first->documents <= second->documents;
}

/* 1, or 0 if nothing is known of the two, or ERR_CORRUPT. */
int segment_pair(const struct segment *s, const struct pair_word *first, const struct pair_word *second,
                 struct pair_list *out);

/* Their numbers, rising; `out` has room for `count` and KERNEL_OVERWRITE more. 0 or ERR_CORRUPT. */
int segment_pair_postings(const struct segment *s, const struct pair_list *l, uint32_t *out);

/* Where that is to be found, for those who ask for pages before they are read: the words; for which these are read, the row's
 * group and its entries. 0, or ERR_CORRUPT or that there is none. Each may lie in its section's extents. */
struct pair_place {
    uint64_t place;
    uint32_t size;
};
bool segment_pair_row(const struct segment *s, struct str first, struct pair_place *out);
bool segment_pair_entries(const struct segment *s, struct str first, struct str second, struct pair_place *out);

#endif
