/* typo.h - the words of a dictionary that are a few edits away from a misspelt one.  Runs in: shard, bench.
 *
 * An edit inserts, deletes or replaces a letter or swaps two neighbours, none of which is edited again (optimal string
 * alignment). Letters are code points of the folded word. Words of 5 letters may have one edit, of 9 two; a word with a
 * digit, or of more than 63 letters, none. */
#ifndef INDEX_TYPO_H
#define INDEX_TYPO_H

#include <stdbool.h>
#include <stdint.h>

#include "common/str.h"
#include "index/segment.h"

enum { TYPO_EDITS = 2, TYPO_LETTERS = 63 };

/* How many edits a word may be away from what was meant. */
uint32_t typo_edits(struct str folded);

/* A word to compare with: bit i of a letter's mask says that it is the word's i-th, from 1. */
struct typo_word {
    uint32_t letters, edits;
    bool is_ascii;
    uint8_t least; /* of all first bytes */
    uint32_t length; /* in bytes */
    uint32_t kept;   /* bytes of the last letters, a third of all: without an edit in them, or with one (typo.c) */
    uint64_t all;    /* bits of the word's prefixes, none included */
    uint64_t lengths; /* of keys that are near enough, in bytes, as a set */
    uint64_t tail;   /* of those behind which an edit would leave fewer than the last letters */
    uint64_t ascii[128];
    uint8_t first[1 + TYPO_LETTERS]; /* byte of each letter */
    uint8_t ends[1 + TYPO_LETTERS];  /* bytes up to the end of each */
    uint8_t text[4 * TYPO_LETTERS];
    uint32_t other[TYPO_LETTERS]; /* letters of several bytes, which stand in it */
    uint64_t other_masks[TYPO_LETTERS];
    uint32_t other_count;
};

/* `edits` at least 1, of a word of at most TYPO_LETTERS. */
void typo_word_init(struct typo_word *w, struct str folded, uint32_t edits);

/* All terms, of either kind, that are at least one edit away and at most w->edits, in the order of the dictionary. The
 * term is valid during the call. A result that is not 0 ends the scan and is its own; ERR_CORRUPT. */
typedef int typo_sink(void *context, const struct term *term, uint32_t edits);
int typo_scan(const struct typo_word *w, const struct segment *s, typo_sink *sink, void *context);

#endif
