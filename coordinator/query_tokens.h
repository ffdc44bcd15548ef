/* query_tokens.h - a query's text cut at white space, where each piece means the same in any query. Used by scatter_words.c;
 * what a token means only shards know (query_token_words in index/query.h). */
#ifndef COORDINATOR_QUERY_TOKENS_H
#define COORDINATOR_QUERY_TOKENS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/str.h"

enum { QUERY_TOKENS_MOST = 64 };

struct query_tokens {
    struct str list[QUERY_TOKENS_MOST];
    size_t count;
    bool open_end; /* nothing follows the last one: it may still be typed */
};

/* False: it has none, or too many, or one that is something else beside others, as quotes are. `plain`: no text is an
 * operator, but it is read as a whole (query_parse.c), so it must be ASCII. */
bool query_tokens_cut(const char *text, bool plain, struct query_tokens *out);

#endif
