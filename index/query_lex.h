/* query_lex.h - a query's text cut into tokens: words, phrases, parentheses, operators.  Runs in: shard, bench.
 *
 * What is not balanced or marks nothing is plain text; there are no errors of syntax. */
#ifndef INDEX_QUERY_LEX_H
#define INDEX_QUERY_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/str.h"

enum token_kind {
    TOKEN_TEXT,
    TOKEN_PHRASE, /* between double quotes */
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_AND,
    TOKEN_OR,
    TOKEN_NOT,
};

enum token_sign { SIGN_NONE, SIGN_PLUS, SIGN_MINUS };

enum { LEX_MAX_DEPTH = 64, LEX_MAX_FIELD = 256 };

struct token {
    uint32_t begin, end;   /* of its text, without sign, field and quotes */
    uint32_t match;        /* TOKEN_OPEN: its TOKEN_CLOSE */
    uint16_t field_length; /* the name ends one byte (the colon) before `begin`, two for a phrase or group */
    uint8_t kind;
    uint8_t sign;
};

struct tokens {
    struct str text;
    struct token *list;
    size_t count;
};

/* ERR_FULL past the arena's cap, ERR_TOO_LARGE above 2^31 bytes. Parentheses left are balanced, at most LEX_MAX_DEPTH.
 */
int lex_query(struct arena *a, struct str text, struct tokens *out);

struct str token_text(const struct tokens *t, const struct token *token);
struct str token_field(const struct tokens *t, const struct token *token); /* empty: none */

#endif
