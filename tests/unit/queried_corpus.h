/* queried_corpus.h - a corpus of query_corpus.h with a query on it, which is weighed and run by the engine. */
#ifndef TESTS_QUERIED_CORPUS_H
#define TESTS_QUERIED_CORPUS_H

#include "index/query.h"
#include "plain_analyzer.h"
#include "query_corpus.h"

struct queried {
    struct corpus corpus;
    struct analyzer analyzer;
    struct arena arena;
    struct query *query;
    struct query_weights *weights;
    float norms[256];
    uint64_t documents, total_length; /* live */
};

void queried_open(struct queried *q, uint64_t seed, size_t documents, size_t segments, uint32_t deleted_one_in);
void queried_close(struct queried *q);

/* Parsing is taken as given: query_parse_test has its tables. The weights are what a coordinator would give; what the
 * engine says of each word is compared with the tokens. Until queried_next. */
void queried_parse(struct queried *q, const char *text, enum query_match match);
void queried_next(struct queried *q);

struct query_result queried_execute(struct queried *q, uint32_t limit, bool exhaustive);

#endif
