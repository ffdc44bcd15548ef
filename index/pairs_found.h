/* pairs_found.h - the pairs that were found, each with its postings, in memory of a fixed size: those of a part of all first
 * words, as many as there is room for.  Used by pairs_out.c. */
#ifndef INDEX_PAIRS_FOUND_H
#define INDEX_PAIRS_FOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index/pairs_out.h"

/* The numbers of its postings, as gaps, are in a chain of slices, but while there is only one. */
struct found_pair {
    uint32_t words; /* found_words of both; 0: free */
    uint32_t count; /* of postings */
    uint32_t last;  /* the last one's number */
    uint32_t head, tail; /* where the chain begins, and where the next byte goes */
    uint16_t left;  /* bytes in the last slice */
    uint16_t size;  /* of that slice */
};

enum { RECENT_PAIRS = 1 << 14, PAIRS_AT_ONCE = 256 };

/* Numbers of frequent words, from 1 on. */
static inline uint32_t found_words(uint32_t first, uint32_t second)
{
    return first << 16 | second;
}

struct pairs_found {
    const struct paired_word *words;
    const uint32_t *postings; /* of each word: how many documents have it up to the one in hand */
    uint32_t low, high;       /* first words, from 1 on: that and below that */
    struct found_pair *table; /* by hashes; who finds a place taken stands behind it, at the end behind the last place */
    size_t slots, count;
    uint8_t *slices;
    size_t slices_used, slices_room;
    uint64_t *recent; /* most of what is found was found in the same document before */
    bool is_full;
};

int pairs_found_open(struct pairs_found *f, const struct pairs_out *pairs, size_t memory);
void pairs_found_close(struct pairs_found *f);

/* Forgets all; from now on those whose first word's number is in [low, high) count. `postings` is the finder's. */
void pairs_found_begin(struct pairs_found *f, uint32_t low, uint32_t high, const uint32_t *postings);

/* PAIRS_AT_ONCE of them at most. Documents rise. */
void pairs_found_add(struct pairs_found *f, const uint32_t *pairs, size_t count, uint32_t document);

/* How much of the room is used. */
double pairs_found_used(const struct pairs_found *f);

/* Takes all that was found, by rising words; of each pair its postings as gaps, which are the visitor's. Its value other than 0 ends it and is
 * returned. */
typedef int pairs_visitor(void *context, uint32_t first, uint32_t second, uint32_t *gaps, uint32_t count);
int pairs_found_visit(struct pairs_found *f, pairs_visitor *visit, void *context);

#endif
