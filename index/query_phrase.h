/* query_phrase.h - the clause that is a phrase, or a word in one field: its words' lists intersected, and positions read of
 * documents that still compete.  Runs in: shard, bench. */
#ifndef INDEX_QUERY_PHRASE_H
#define INDEX_QUERY_PHRASE_H

#include "index/query_clause.h"

/* With scope and leaf set; fills in the rest. */
void phrase_open(struct clause *c);

void phrase_look_up(struct clause *c, const struct candidates *candidates);

#endif
