/* thresholds.h - the scores that searches over several shards need at least, in one region that the coordinator and all
 * shards have mapped.
 *
 * A search that begins its second round takes the next word and a new tag, and sends the tag, which says which
 * word it is.
 * A shard that has all the hits wanted, none of them with a word dropped, raises the word to the score of the last one;
 * the others then need not look for documents below it: so many better ones are there. (Documents with that score are
 * still looked for: equal scores are ordered by stamp.) */
#ifndef PROTO_THRESHOLDS_H
#define PROTO_THRESHOLDS_H

#include "common/tagged_max.h"

/* More searches than that at once share words; then the later one alone gains by it. */
enum { THRESHOLDS = 1024, THRESHOLDS_SIZE = THRESHOLDS * sizeof(tagged_max) };

static inline tagged_max *threshold_of(tagged_max *words, uint32_t tag)
{
    return &words[tag % THRESHOLDS];
}

#endif
