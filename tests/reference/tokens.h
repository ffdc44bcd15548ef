/* tokens.h - a query's text cut at signs, fields, quotes and parentheses, for the reference. */
#ifndef REFERENCE_TOKENS_H
#define REFERENCE_TOKENS_H

#include "tests/reference/corpus.h"

enum token_kind { T_TEXT, T_PHRASE, T_OPEN, T_CLOSE, T_AND, T_OR, T_NOT };

struct token {
    enum token_kind kind;
    char sign; /* '+', '-' or 0 */
    struct str field, text;
    bool at_end; /* text that the query ends in, without a field: the last word of it may still be typed */
};

struct tokens {
    struct token *list;
    size_t count;
};

bool token_is_space(char c);
void tokens_read(struct corpus *c, struct str text, struct tokens *out);

#endif
