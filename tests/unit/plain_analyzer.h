/* plain_analyzer.h - takes the place of index/analyzer in tests of queries, so that tables show what the query does:
 * words are runs of ASCII letters and digits, each character of three bytes is one word; an s at the end is no part of
 * the stem; the stop words are a few. */
#ifndef TESTS_PLAIN_ANALYZER_H
#define TESTS_PLAIN_ANALYZER_H

#include "common/arena.h"
#include "index/analyzer.h"

struct analyzer {
    struct arena words;
};

#endif
