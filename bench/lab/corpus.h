/* corpus.h - the lines of a file, each a document: mapped, so that they are page cache and nobody's own memory. */
#ifndef BENCH_LAB_CORPUS_H
#define BENCH_LAB_CORPUS_H

#include <stddef.h>

#include "common/str.h"

struct corpus {
    struct str text;
    size_t *lines; /* where each begins, and the end */
    size_t count;
};

void corpus_open(struct corpus *c, const char *path); /* ends the process where it cannot be read */
void corpus_close(struct corpus *c);

/* Document `i`, counted around the end. */
struct str corpus_document(const struct corpus *c, size_t i);

#endif
