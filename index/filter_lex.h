/* filter_lex.h - a filter's text cut into tokens.  Used by filter*.c only. */
#ifndef INDEX_FILTER_LEX_H
#define INDEX_FILTER_LEX_H

#include <stdbool.h>
#include <stddef.h>

#include "common/arena.h"
#include "common/str.h"

enum filter_token_kind {
    FILTER_END,
    FILTER_WORD,   /* plain: a field, a value, or a keyword */
    FILTER_STRING, /* quoted */
    FILTER_EQUAL,
    FILTER_NOT_EQUAL,
    FILTER_BELOW,
    FILTER_BELOW_OR_EQUAL,
    FILTER_ABOVE,
    FILTER_ABOVE_OR_EQUAL,
    FILTER_OPEN,
    FILTER_CLOSE,
    FILTER_LIST_OPEN,
    FILTER_LIST_CLOSE,
    FILTER_COMMA,
    FILTER_WRONG, /* `problem` says why */
    FILTER_TOKEN_KINDS,
};

struct filter_token {
    enum filter_token_kind kind;
    struct str written; /* as it stands in the text */
    struct str text;    /* of a word or string, without quotes and escapes */
    const char *problem;
};

struct filter_lexer {
    struct str text;
    size_t at;
    struct arena *arena; /* for strings with escapes */
};

/* ERR_FULL, or 0. */
int filter_next_token(struct filter_lexer *l, struct filter_token *out);

/* Whether it is that word, unquoted. */
bool filter_token_is(const struct filter_token *t, const char *keyword);
bool filter_token_is_keyword(const struct filter_token *t);

#endif
