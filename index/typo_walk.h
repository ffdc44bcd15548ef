/* typo_walk.h - terms of a dictionary that are a few edits away from a misspelt word, the last of them near its end.
 * Used by typo.c only. */
#ifndef INDEX_TYPO_WALK_H
#define INDEX_TYPO_WALK_H

#include "index/segment_parts.h"
#include "index/typo_automaton.h"

struct typo_walk {
    const struct segment *segment;
    uint32_t block; /* the next that it has to see */
    struct typo_target target;
    struct typo_key key;
};

void typo_walk_init(struct typo_walk *w, const struct typo_word *word, const struct segment *s);

/* Looks through a block, not below w->block, that was just opened. Terms that are found get their bit set; among them are
 * all that are near enough and do not end with the word's last letters. ERR_CORRUPT. */
int typo_walk_block(struct typo_walk *w, uint32_t block, struct dictionary_block *b, uint64_t *found);

/* The last of the blocks behind `block` that begins below the target, since the target may stand in it; or the next. */
uint32_t typo_target_block(const struct typo_target *t, const struct segment *s, uint32_t block);

#endif
