/* pairs_found.h - the pairs that were found, each with the ranges it was found in, in memory of a fixed size: of a part of
 * all hashes, as large as there is room for.  Used by pairs_out.c. */
#ifndef INDEX_PAIRS_FOUND_H
#define INDEX_PAIRS_FOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index/pairs_out.h"

struct found_pair {
    uint32_t words; /* found_words of both; 0: free */
    uint32_t last;  /* range + 1 */
    uint32_t count; /* of ranges */
};

enum { RECENT_PAIRS = 1 << 16, PAIRS_AT_ONCE = 256 };

/* Ordinals of frequent words, from 1 on. */
static inline uint32_t found_words(uint32_t first, uint32_t second)
{
    return first << 16 | second;
}

struct pairs_found {
    const struct paired_word *words;
    uint64_t low, high; /* upper 32 bits of hashes, that and below that */
    /* In the order of hashes, but for those that found their places taken: they stand a little further on, at the end
     * behind the last place. */
    struct found_pair *table;
    size_t slots, room, count;
    uint64_t scale; /* from a hash to its place */
    uint32_t *recent, range; /* most of what is found was found in the same range before */
    uint32_t *log; /* slots of the table, one for each range of each pair, by ranges */
    size_t logged, log_room;
    uint32_t *range_ends; /* in the log */
    uint32_t ranges;
    bool is_full;
};

int pairs_found_open(struct pairs_found *f, const struct paired_word *words, size_t memory, uint32_t ranges);
void pairs_found_close(struct pairs_found *f);

/* Forgets all; from now on those whose hashes are in [low, high) count. */
void pairs_found_begin(struct pairs_found *f, uint64_t low, uint64_t high);

/* PAIRS_AT_ONCE of them at most. Ranges rise. */
void pairs_found_add(struct pairs_found *f, const uint32_t *pairs, size_t count, uint32_t range);

/* How much of the room is used, and of all ranges how many were looked at until it was full. */
double pairs_found_used(const struct pairs_found *f);
double pairs_found_done(const struct pairs_found *f);

/* Takes all that was found, by rising hash. The visitor's value other than 0 ends it and is returned. */
typedef int pairs_visitor(void *context, uint64_t hash, const uint16_t *ranges, uint32_t count);
int pairs_found_visit(struct pairs_found *f, pairs_visitor *visit, void *context);

#endif
