/* select.h - from the candidates of all shards to weighted terms: between the two rounds of a query.
 *
 * Per word: equal terms are added up; the first 1,000 by (edits, distance, length, term) are kept, whose frequencies are
 * then complete; of those the 50 best by (edits, distance, frequency descending, term), each with its weight
 * (proto/weight.h), divided by 1 + edits and rounded down, so that a guess counts less than a word that was typed right. Pure: used by the coordinator for several shards, and by a shard that is the only one. */
#ifndef PROTO_SELECT_H
#define PROTO_SELECT_H

#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/str.h"

enum { SELECT_CANDIDATES = 1000, SELECT_MEMBERS = 50 };

struct candidate {
    struct str term;
    uint32_t distance; /* 0: the word itself, 1: begins with it */
    uint32_t edits;    /* above 0: neither; distance 0 */
    uint64_t frequency;
};

struct weighted_term {
    struct str term; /* the candidate's view */
    uint32_t weight;
    uint32_t edits;
    uint64_t frequency;
};

struct weighted_word {
    struct weighted_term *terms;
    size_t count;
    uint64_t frequency; /* the largest of its members' */
};

/* By its frequency and edits. */
uint32_t select_weight(const struct weighted_term *t, uint32_t qtf, uint64_t documents);

/* `candidates` is sorted in place. ERR_FULL past the arena's cap. */
int select_terms(struct arena *a, struct candidate *candidates, size_t count, uint32_t qtf, uint64_t documents,
                 struct weighted_word *out);

#endif
