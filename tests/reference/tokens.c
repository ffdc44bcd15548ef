#include "tests/reference/tokens.h"

#include <string.h>

enum { MAX_DEPTH = 64, MAX_FIELD = 256 };

bool token_is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (unsigned char)c >= 0x80 ||
           c == '_' || c == '-' || c == '.';
}

static char byte_at(struct str text, size_t at)
{
    return at < text.len ? text.ptr[at] : ' ';
}

/* name:value, name:"value" or name:(value); the name's length, or 0. */
static size_t field_here(struct str text, size_t at)
{
    size_t end = at;
    char first = byte_at(text, at);
    if (first == '-' || first == '.' || (first >= '0' && first <= '9'))
        return 0;
    while (is_name_byte(byte_at(text, end)))
        end++;
    char behind = byte_at(text, end + 1);
    bool value = behind == '"' || behind == '(' || (is_name_byte(behind) && behind != '-' && behind != '.');
    return byte_at(text, end) == ':' && value && end - at <= MAX_FIELD ? end - at : 0;
}

static enum token_kind kind_of(struct str text)
{
    if (str_equal(text, STR("AND")))
        return T_AND;
    if (str_equal(text, STR("OR")))
        return T_OR;
    return str_equal(text, STR("NOT")) ? T_NOT : T_TEXT;
}

/* Up to white space or a parenthesis that closes an earlier token; NOT( and NOT" end behind the operator. */
static size_t end_of_text(struct str text, size_t at)
{
    size_t end = at, open = 0;
    for (; end < text.len && !token_is_space(text.ptr[end]); end++) {
        char c = text.ptr[end];
        if ((c == '(' || c == '"') && kind_of((struct str){text.ptr + at, end - at}) != T_TEXT)
            break;
        if (c == ')' && open == 0 && end > at)
            break;
        if (c == '(')
            open++;
        if (c == ')' && open)
            open--;
    }
    return end;
}

static size_t read_text(struct str text, size_t at, struct token *t)
{
    size_t end = end_of_text(text, at);
    t->text = (struct str){text.ptr + at, end - at};
    t->kind = t->sign || t->field.len ? T_TEXT : kind_of(t->text);
    t->at_end = end == text.len && t->field.len == 0;
    return end;
}

static size_t read_token(struct str text, size_t begin, struct token *t)
{
    size_t at = begin;
    *t = (struct token){0};
    if ((byte_at(text, at) == '-' || byte_at(text, at) == '+') && !token_is_space(byte_at(text, at + 1)))
        t->sign = text.ptr[at++];
    size_t field = field_here(text, at);
    if (field) {
        t->field = (struct str){text.ptr + at, field};
        at += field + 1;
    }
    char c = byte_at(text, at);
    if (c == '(') {
        t->kind = T_OPEN;
        return at + 1;
    }
    if (c == ')') {
        *t = (struct token){.kind = T_CLOSE};
        return at + 1;
    }
    const char *quote = c == '"' ? memchr(text.ptr + at + 1, '"', text.len - at - 1) : NULL;
    if (quote) {
        t->kind = T_PHRASE;
        t->text = (struct str){text.ptr + at + 1, (size_t)(quote - text.ptr) - at - 1};
        return (size_t)(quote - text.ptr) + 1;
    }
    if (c == '"') {
        *t = (struct token){0};
        return read_text(text, begin, t);
    }
    return read_text(text, at, t);
}

/* The partner of a parenthesis, or `count`. */
static size_t partner(const struct tokens *t, size_t at)
{
    size_t depth = 0;
    bool forwards = t->list[at].kind == T_OPEN;
    for (size_t i = at; i < t->count; i += forwards ? 1 : (size_t)-1) {
        depth += t->list[i].kind == (forwards ? T_OPEN : T_CLOSE);
        depth -= t->list[i].kind == (forwards ? T_CLOSE : T_OPEN);
        if (depth == 0)
            return i;
    }
    return t->count;
}

static void drop_unpaired(struct corpus *c, struct tokens *t)
{
    struct tokens kept = {.list = corpus_alloc(c, t->count, sizeof *t->list)};
    size_t depth = 0;
    for (size_t i = 0; i < t->count; i++) {
        enum token_kind kind = t->list[i].kind;
        bool parenthesis = kind == T_OPEN || kind == T_CLOSE;
        if (parenthesis && partner(t, i) == t->count)
            continue;
        depth -= kind == T_CLOSE;
        bool too_deep = parenthesis && depth >= MAX_DEPTH;
        depth += kind == T_OPEN;
        if (!too_deep)
            kept.list[kept.count++] = t->list[i];
    }
    *t = kept;
}

void tokens_read(struct corpus *c, struct str text, struct tokens *out)
{
    *out = (struct tokens){.list = corpus_alloc(c, text.len + 1, sizeof *out->list)};
    for (size_t at = 0; at < text.len;) {
        if (token_is_space(text.ptr[at]))
            at++;
        else
            at = read_token(text, at, &out->list[out->count++]);
    }
    drop_unpaired(c, out);
}
