#include "index/query_lex.h"

#include <string.h>

#include "common/err.h"

#define NO_TOKEN UINT32_MAX

struct lexer {
    struct arena *arena;
    struct tokens out;
    size_t room;
    size_t at;
    bool no_more_quotes; /* there is no quote at or after `at`: looked for once, not per quote */
    int err;
};

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_field_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.' || (unsigned char)c >= 0x80;
}

static bool begins_field(char c)
{
    return is_field_byte(c) && !(c >= '0' && c <= '9') && c != '-' && c != '.';
}

static char byte_at(const struct lexer *l, size_t at)
{
    return at < l->out.text.len ? l->out.text.ptr[at] : ' ';
}

static void emit(struct lexer *l, struct token token)
{
    if (l->out.count == l->room) {
        size_t room = l->room ? 2 * l->room : 64;
        struct token *list = arena_grow(l->arena, l->out.list, l->room * sizeof *list, room * sizeof *list);
        if (!list) {
            l->err = ERR_FULL;
            return;
        }
        l->out.list = list;
        l->room = room;
    }
    l->out.list[l->out.count++] = token;
}

/* The quote that closes a phrase beginning at `from`, or the text's length. */
static size_t find_quote(struct lexer *l, size_t from)
{
    struct str text = l->out.text;
    const char *quote = l->no_more_quotes || from >= text.len ? NULL : memchr(text.ptr + from, '"', text.len - from);
    if (!quote) {
        l->no_more_quotes = true;
        return text.len;
    }
    return (size_t)(quote - text.ptr);
}

/* The length of a field's name at `at` with a colon behind it that is followed by what a field may restrict: not
 * "12:30", "http://", "std::vector" or "re: ". 0 if there is none. */
static size_t field_length(const struct lexer *l, size_t at)
{
    if (!begins_field(byte_at(l, at)))
        return 0;
    size_t end = at;
    while (end - at <= LEX_MAX_FIELD && is_field_byte(byte_at(l, end)))
        end++;
    if (end - at > LEX_MAX_FIELD || byte_at(l, end) != ':')
        return 0;
    char after = byte_at(l, end + 1);
    return (is_field_byte(after) && after != '-' && after != '.') || after == '"' || after == '(' ? end - at : 0;
}

static bool spells(struct str text, const char *word)
{
    return str_equal(text, str_of(word));
}

static enum token_kind kind_of_word(struct str text)
{
    if (spells(text, "AND"))
        return TOKEN_AND;
    if (spells(text, "OR"))
        return TOKEN_OR;
    return spells(text, "NOT") ? TOKEN_NOT : TOKEN_TEXT;
}

/* Where the text at `at` ends: at white space, or at a closing parenthesis that it did not open itself. */
static size_t text_end(const struct lexer *l, size_t at)
{
    size_t opened = 0;
    size_t end = at;
    for (; end < l->out.text.len && !is_space(l->out.text.ptr[end]); end++) {
        char c = l->out.text.ptr[end];
        bool opens = c == '(' || c == '"';
        if (opens && kind_of_word((struct str){l->out.text.ptr + at, end - at}) != TOKEN_TEXT)
            break; /* NOT(a OR b) */
        if (c == ')' && opened == 0 && end > at)
            break;
        opened += c == '(';
        opened -= c == ')' && opened > 0;
    }
    return end;
}

static void lex_text(struct lexer *l, struct token token)
{
    size_t end = text_end(l, l->at);
    bool marked = token.sign != SIGN_NONE || token.field_length > 0;
    token.begin = (uint32_t)l->at;
    token.end = (uint32_t)end;
    token.kind = (uint8_t)(marked ? TOKEN_TEXT : kind_of_word((struct str){l->out.text.ptr + l->at, end - l->at}));
    emit(l, token);
    l->at = end;
}

static bool lex_phrase(struct lexer *l, struct token token)
{
    size_t quote = find_quote(l, l->at + 1);
    if (quote == l->out.text.len)
        return false;
    token.kind = TOKEN_PHRASE;
    token.begin = (uint32_t)(l->at + 1);
    token.end = (uint32_t)quote;
    emit(l, token);
    l->at = quote + 1;
    return true;
}

static void lex_parenthesis(struct lexer *l, struct token token, enum token_kind kind)
{
    token.kind = (uint8_t)kind;
    token.match = NO_TOKEN;
    token.begin = (uint32_t)(l->at + 1);
    token.end = token.begin;
    emit(l, token);
    l->at++;
}

/* `l->at` stands at the beginning of a token. */
static void lex_token(struct lexer *l)
{
    size_t begin = l->at;
    struct token token = {.sign = SIGN_NONE};
    char c = byte_at(l, l->at);
    if ((c == '-' || c == '+') && !is_space(byte_at(l, l->at + 1))) {
        token.sign = c == '-' ? SIGN_MINUS : SIGN_PLUS;
        l->at++;
    }
    size_t field = field_length(l, l->at);
    if (field > 0) {
        token.field_length = (uint16_t)field;
        l->at += field + 1;
    }
    c = byte_at(l, l->at);
    if (c == '(') {
        lex_parenthesis(l, token, TOKEN_OPEN);
    } else if (c == ')') {
        lex_parenthesis(l, (struct token){0}, TOKEN_CLOSE);
    } else if (c != '"') {
        lex_text(l, token);
    } else if (!lex_phrase(l, token)) {
        l->at = begin; /* not balanced: sign and field are plain text, too */
        lex_text(l, (struct token){0});
    }
}

/* Pairs parentheses; the stack runs through `match` of those that are open. */
static void pair_parentheses(struct tokens *t)
{
    uint32_t open = NO_TOKEN;
    for (uint32_t i = 0; i < t->count; i++) {
        if (t->list[i].kind == TOKEN_OPEN) {
            t->list[i].match = open;
            open = i;
        } else if (t->list[i].kind == TOKEN_CLOSE && open != NO_TOKEN) {
            uint32_t outer = t->list[open].match;
            t->list[open].match = i;
            t->list[i].match = open;
            open = outer;
        }
    }
    while (open != NO_TOKEN) {
        uint32_t outer = t->list[open].match;
        t->list[open].match = NO_TOKEN;
        open = outer;
    }
}

/* Drops parentheses without a partner and those too deep. */
static void drop_loose(struct tokens *t)
{
    size_t kept = 0, depth = 0;
    for (size_t i = 0; i < t->count; i++) {
        struct token token = t->list[i];
        if (token.kind == TOKEN_OPEN || token.kind == TOKEN_CLOSE) {
            if (token.match == NO_TOKEN)
                continue;
            depth -= token.kind == TOKEN_CLOSE;
            bool too_deep = depth >= LEX_MAX_DEPTH;
            depth += token.kind == TOKEN_OPEN;
            if (too_deep)
                continue;
        }
        t->list[kept++] = token;
    }
    t->count = kept;
}

int lex_query(struct arena *a, struct str text, struct tokens *out)
{
    if (text.len > INT32_MAX)
        return ERR_TOO_LARGE;
    struct lexer l = {.arena = a, .out = {.text = text}};
    while (!l.err) {
        while (l.at < text.len && is_space(text.ptr[l.at]))
            l.at++;
        if (l.at == text.len)
            break;
        lex_token(&l);
    }
    if (l.err)
        return l.err;
    pair_parentheses(&l.out);
    drop_loose(&l.out);
    pair_parentheses(&l.out); /* places have moved */
    *out = l.out;
    return 0;
}

struct str token_text(const struct tokens *t, const struct token *token)
{
    return (struct str){t->text.ptr + token->begin, token->end - token->begin};
}

struct str token_field(const struct tokens *t, const struct token *token)
{
    if (token->field_length == 0)
        return (struct str){0};
    size_t behind = token->kind == TOKEN_TEXT ? 1 : 2;
    return (struct str){t->text.ptr + token->begin - behind - token->field_length, token->field_length};
}
