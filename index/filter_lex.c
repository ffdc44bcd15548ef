#include "index/filter_lex.h"

#include "common/err.h"

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Signs by their first byte; the longer ones first. */
static const struct {
    const char *text;
    enum filter_token_kind kind;
} signs[] = {
    {"!=", FILTER_NOT_EQUAL}, {"<=", FILTER_BELOW_OR_EQUAL}, {">=", FILTER_ABOVE_OR_EQUAL}, {"=", FILTER_EQUAL},
    {"<", FILTER_BELOW},      {">", FILTER_ABOVE},           {"(", FILTER_OPEN},            {")", FILTER_CLOSE},
    {"[", FILTER_LIST_OPEN},  {"]", FILTER_LIST_CLOSE},      {",", FILTER_COMMA},
};

static bool is_plain(char c)
{
    return !is_space(c) && c != 0 && !strchr("!=<>()[],'\"", c);
}

static bool take_sign(struct filter_lexer *l, struct filter_token *out)
{
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        size_t length = strlen(signs[i].text);
        if (l->text.len - l->at < length || memcmp(l->text.ptr + l->at, signs[i].text, length) != 0)
            continue;
        *out = (struct filter_token){.kind = signs[i].kind, .written = {l->text.ptr + l->at, length}};
        l->at += length;
        return true;
    }
    return false;
}

static void take_word(struct filter_lexer *l, struct filter_token *out)
{
    size_t from = l->at;
    while (l->at < l->text.len && is_plain(l->text.ptr[l->at]))
        l->at++;
    struct str word = {l->text.ptr + from, l->at - from};
    *out = (struct filter_token){.kind = FILTER_WORD, .written = word, .text = word};
    if (word.len)
        return;
    out->kind = FILTER_WRONG;
    out->written = (struct str){l->text.ptr + from, 1};
    out->problem = "this character means nothing here";
    l->at++;
}

/* A backslash takes the meaning from what follows it. */
static int without_escapes(struct filter_lexer *l, struct str inside, struct str *out)
{
    if (!inside.len || !memchr(inside.ptr, '\\', inside.len)) {
        *out = inside;
        return 0;
    }
    char *text = arena_alloc(l->arena, inside.len), *to = text;
    if (!text)
        return ERR_FULL;
    for (size_t i = 0; i < inside.len; i++) {
        i += inside.ptr[i] == '\\'; /* which is not the last byte: then the quote behind it would not have closed */
        *to++ = inside.ptr[i];
    }
    *out = (struct str){text, (size_t)(to - text)};
    return 0;
}

static int take_string(struct filter_lexer *l, struct filter_token *out)
{
    size_t from = l->at, end = from + 1;
    char quote = l->text.ptr[from];
    while (end < l->text.len && l->text.ptr[end] != quote)
        end += l->text.ptr[end] == '\\' ? 2 : 1;
    if (end >= l->text.len) {
        l->at = l->text.len;
        *out = (struct filter_token){.kind = FILTER_WRONG,
                                     .written = {l->text.ptr + from, l->text.len - from},
                                     .problem = "this quote is not closed"};
        return 0;
    }
    l->at = end + 1;
    *out = (struct filter_token){.kind = FILTER_STRING, .written = {l->text.ptr + from, end + 1 - from}};
    return without_escapes(l, (struct str){l->text.ptr + from + 1, end - from - 1}, &out->text);
}

int filter_next_token(struct filter_lexer *l, struct filter_token *out)
{
    while (l->at < l->text.len && is_space(l->text.ptr[l->at]))
        l->at++;
    if (l->at == l->text.len) {
        *out = (struct filter_token){.kind = FILTER_END, .written = {l->text.ptr + l->at, 0}};
        return 0;
    }
    if (l->text.ptr[l->at] == '"' || l->text.ptr[l->at] == '\'')
        return take_string(l, out);
    if (!take_sign(l, out))
        take_word(l, out);
    return 0;
}

bool filter_token_is(const struct filter_token *t, const char *keyword)
{
    return t->kind == FILTER_WORD && str_equal(t->text, str_of(keyword));
}

bool filter_token_is_keyword(const struct filter_token *t)
{
    static const char *const keywords[] = {"AND",  "OR",    "NOT",      "IN",     "TO",  "EXISTS", "IS",
                                           "NULL", "EMPTY", "CONTAINS", "STARTS", "WITH"};
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (filter_token_is(t, keywords[i]))
            return true;
    return false;
}
