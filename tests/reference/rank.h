/* rank.h - every live document judged against a query by the rules of the design, one after the other. */
#ifndef REFERENCE_RANK_H
#define REFERENCE_RANK_H

#include "tests/reference/expression.h"

struct hit {
    const struct document *document;
    uint64_t score;
    uint32_t dropped;
};

/* All hits, in order: words dropped, score, stamp. */
size_t rank(struct corpus *c, const struct expression *e, const struct options *options, struct hit **out);

#endif
