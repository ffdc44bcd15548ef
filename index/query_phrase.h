/* query_phrase.h - the clause that is a phrase, or a word in one field: its words' lists intersected, and positions read of
 * documents that still compete.  Runs in: shard, bench. */
#ifndef INDEX_QUERY_PHRASE_H
#define INDEX_QUERY_PHRASE_H

#include "index/query_clause.h"

/* With scope and leaf set; fills in the rest. */
void phrase_open(struct clause *c);

/* False if no document in [from, end) has it, as far as lists of pairs tell. */
bool phrase_may_be(const struct clause *c, uint32_t from, uint32_t end);

void phrase_look_up(struct clause *c, const struct candidates *candidates);

#endif
