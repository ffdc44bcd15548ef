/* forms.h - the ways in which mayfly-pruning asks a query: how words are matched, and what text is made of them. */
#ifndef TESTS_FORMS_H
#define TESTS_FORMS_H

#include <stddef.h>

#include "bench/requests.h"
#include "index/query.h"

enum { FORM_TEXT = 4096 };

struct form {
    const char *name;
    struct query_options options;
    /* The text of query `number`, cut at FORM_TEXT. */
    void (*write)(const struct request_queries *queries, size_t number, char out[FORM_TEXT]);
};

extern const struct form forms[]; /* ends with a NULL name */

#endif
