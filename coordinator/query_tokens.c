#include "coordinator/query_tokens.h"

/* As the lexer of queries has it. */
static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_ascii(struct str token)
{
    size_t i = 0;
    while (i < token.len && (unsigned char)token.ptr[i] < 0x80)
        i++;
    return i == token.len;
}

static bool is_operator(struct str token)
{
    return str_equal(token, STR("AND")) || str_equal(token, STR("OR")) || str_equal(token, STR("NOT"));
}

/* Signs, fields, groups, phrases, operators. */
static bool may_mark(struct str token)
{
    if (token.ptr[0] == '+' || token.ptr[0] == '-' || is_operator(token))
        return true;
    for (size_t i = 0; i < token.len; i++)
        if (token.ptr[i] == '"' || token.ptr[i] == '(' || token.ptr[i] == ')' || token.ptr[i] == ':')
            return true;
    return false;
}

static struct str next_token(const char **at)
{
    while (is_space(**at))
        ++*at;
    struct str token = {*at, 0};
    while (token.ptr[token.len] && !is_space(token.ptr[token.len]))
        token.len++;
    *at += token.len;
    return token;
}

bool query_tokens_cut(const char *text, bool plain, struct query_tokens *out)
{
    out->count = 0;
    for (struct str token = next_token(&text); token.len; token = next_token(&text)) {
        if (out->count == QUERY_TOKENS_MOST || (plain ? !is_ascii(token) : may_mark(token)))
            return false;
        out->list[out->count++] = token;
        out->open_end = *text == '\0';
    }
    return out->count > 0;
}
