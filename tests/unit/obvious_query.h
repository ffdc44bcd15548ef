/* obvious_query.h - queries by looking at every token of every document: what the engine is compared with. */
#ifndef TESTS_OBVIOUS_QUERY_H
#define TESTS_OBVIOUS_QUERY_H

#include "queried_corpus.h"

/* T of a term in a document, in one field if that is not empty; of a word it is 1. */
uint32_t obvious_t(const struct corpus_document *d, struct str key, struct str field);

/* All that match, in order; how many. There is room for as many as the corpus has documents. */
size_t obvious_hits(const struct queried *q, struct query_hit *hits);

#endif
