/* pairs_found.h - the pairs that were found, each with its postings, in memory of a fixed size: those of a part of all first
 * words, as many as there is room for.  Used by pairs_out.c.
 *
 * What is found is gathered, and when there is no more room for it, sorted and written behind the sorted *runs* before it, a
 * few bytes each; in the end all runs are read side by side. So memory is gone through in order, and never here and there. */
#ifndef INDEX_PAIRS_FOUND_H
#define INDEX_PAIRS_FOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index/pairs_out.h"

enum { RECENT_PAIRS = 1 << 14, PAIRS_AT_ONCE = 256 };

/* Numbers of frequent words, from 1 on. */
static inline uint32_t found_words(uint32_t first, uint32_t second)
{
    return first << 16 | second;
}

struct pairs_found {
    const struct pairs_out *pairs;
    uint32_t *documents;      /* that have each word, by number */
    const uint32_t *postings; /* of each word: how many documents have it up to the one in hand */
    uint32_t low, high;       /* first words, from 1 on: that and below that */
    uint64_t *recent;         /* most of what is found was found in the same document before */
    uint64_t *gathered;       /* found_words << 32 | number of the posting, as they were found */
    uint64_t *sorted;
    size_t gathered_count, gathered_room;
    uint8_t *runs;
    size_t runs_used, runs_room, run_count;
    bool is_full;
};

int pairs_found_open(struct pairs_found *f, const struct pairs_out *pairs, size_t memory);
void pairs_found_close(struct pairs_found *f);

/* Forgets all; from now on those whose first word's number is in [low, high) count. `postings` is the finder's. */
void pairs_found_begin(struct pairs_found *f, uint32_t low, uint32_t high, const uint32_t *postings);

/* PAIRS_AT_ONCE of them at most. Documents rise; a pair may come several times in one. */
void pairs_found_add(struct pairs_found *f, const uint32_t *pairs, size_t count);

/* There are no more: whether it is full is certain now. */
void pairs_found_end(struct pairs_found *f);

/* How much of the room is used. */
double pairs_found_used(const struct pairs_found *f);

/* Takes all that was found, by rising words; of each pair its postings as gaps, which are the visitor's. Its value other than 0
 * ends it and is returned. Only once, and behind pairs_found_end. */
typedef int pairs_visitor(void *context, uint32_t first, uint32_t second, uint32_t *gaps, uint32_t count);
int pairs_found_visit(struct pairs_found *f, pairs_visitor *visit, void *context);

#endif
