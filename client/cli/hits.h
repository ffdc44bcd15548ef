/* hits.h - the ids and scores of an answer, in columns or, from an older server, a message each. */
#ifndef CLIENT_CLI_HITS_H
#define CLIENT_CLI_HITS_H

#include <stdbool.h>

#include "proto/message.h"

struct hits { /* zeroed but for `found`: before the first */
    const Mayfly__Found *found;
    size_t next;
    size_t ids_at; /* of the columns' bytes */
};

struct hit {
    struct str id;
    uint64_t score;
};

/* False behind the last, and where columns do not fit each other. */
bool hits_next(struct hits *h, struct hit *out);

#endif
