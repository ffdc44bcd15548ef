/* search.h - one search from the command line's options; shared by single searches and batches. */
#ifndef CLIENT_CLI_SEARCH_H
#define CLIENT_CLI_SEARCH_H

#include "client/cli/report.h"

struct list {
    char **items; /* point into `text` */
    size_t count;
    char *text;
};

struct search {
    Mayfly__Search message; /* all but the query */
    struct list fields, sort, facets, highlight;
};

enum { SEARCH_MOST = 10000 };

/* An exit status. */
int search_init(struct search *s, const struct cli *c);
void search_finish(struct search *s);

/* Empty if the answer is whole. */
const char *search_partial_reason(const Mayfly__Found *found);

/* Queries of a file, several in flight. An exit status. */
int batch_run(struct cli *c, struct search *s, const char *path, uint32_t depth);

#endif
