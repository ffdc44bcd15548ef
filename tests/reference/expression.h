/* expression.h - the reference's own reading of a query's text: leaves, which score, and an expression over them. */
#ifndef REFERENCE_EXPRESSION_H
#define REFERENCE_EXPRESSION_H

#include "tests/reference/corpus.h"

enum match { MATCHES_LAST, MATCHES_ALL, MATCHES_FREQUENCY, MATCHES_ANY };

struct options {
    enum match match;
    bool no_prefix;
    bool no_typos;
    bool plain_words;
    size_t limit;
};

/* Something that a document has or has not: a word, a word in a field, a phrase. */
struct leaf {
    struct str *words; /* folded; several: a phrase */
    struct str *stems;
    uint32_t *offsets;
    size_t count;
    struct str field; /* empty: any */
    bool prefix;
    bool literal; /* typos are none */
    bool scored;
    uint32_t times; /* qtf, of a single word */
};

enum kind { KIND_LEAF, KIND_AND, KIND_OR, KIND_NOT };

struct node {
    enum kind kind;
    size_t leaf;
    struct node *first, *next;
};

enum role { ROLE_DROPPABLE, ROLE_REQUIRED, ROLE_EXCLUDED };

struct item {
    enum role role;
    struct node *node;
    struct item *next;
};

struct expression {
    struct leaf *leaves;
    size_t leaf_count, leaf_room;
    struct item *items, **last;
    bool everything; /* nothing but exclusions, or a blank text */
};

void expression_read(struct corpus *c, struct str text, const struct options *options, struct expression *out);

#endif
