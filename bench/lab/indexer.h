/* indexer.h - a burst of indexing as search engines do it: a small allocation per token, lists that grow by doubling,
 * and at the end everything sorted, serialised and written. What it finds is not kept. */
#ifndef BENCH_LAB_INDEXER_H
#define BENCH_LAB_INDEXER_H

#include "bench/lab/corpus.h"
#include "bench/lab/space.h"

struct batch {
    const struct corpus *corpus;
    size_t first, count; /* documents; count 0: the whole corpus as one document */
};

/* Called after every fourth document of a batch. */
typedef void between_documents(void *context);

/* `out` is a descriptor to write to. */
void index_batch(struct space *s, const struct batch *b, int out, between_documents *between, void *context);

#endif
