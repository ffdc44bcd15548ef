/* edits.h - how far a misspelt word is from another, by the definition: a table over all pairs of beginnings. */
#ifndef REFERENCE_EDITS_H
#define REFERENCE_EDITS_H

#include <stdint.h>

#include "common/str.h"

/* 1 from 5 letters on, 2 from 9; none with a digit, or with more than 63 letters. */
uint32_t edits_allowed(struct str word);

/* Letters inserted, deleted, replaced, or swapped with their neighbour; anything above `most` if it is more than that. */
uint32_t edits_between(struct str a, struct str b, uint32_t most);

#endif
