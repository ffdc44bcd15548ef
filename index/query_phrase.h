/* query_phrase.h - the clause that is a phrase, or a word in one field: its words' lists intersected, and positions read of
 * documents that still compete.  Runs in: shard, bench. */
#ifndef INDEX_QUERY_PHRASE_H
#define INDEX_QUERY_PHRASE_H

#include "index/query_clause.h"

/* With scope and leaf set; fills in the rest. */
void phrase_open(struct clause *c);

/* Whether it is known how many documents have it: so many as it costs. */
bool phrase_is_counted(const struct clause *c);

/* Whether the documents that may have it, as far as pairs of words tell, are fewer than those of its rarest word. */
bool phrase_leads(const struct clause *c);

/* Those from one on: how many. Only where it leads. */
size_t phrase_documents(const struct clause *c, uint32_t from, const uint32_t **out);

/* False if no document in [from, end) has it, as far as pairs of words tell. */
bool phrase_may_be(const struct clause *c, uint32_t from, uint32_t end);

void phrase_look_up(struct clause *c, const struct candidates *candidates);

#endif
