#include "index/query.h"

#include "common/err.h"
#include "index/query_build.h"
#include "index/query_lex.h"

/* Grammar, over tokens; what does not fit is plain text:
 *
 *   sequence := { alternatives }                 its items; in a group all of them are required
 *   alternatives := conjunction { OR conjunction }
 *   conjunction := operand { AND operand }
 *   operand := NOT operand | ( sequence ) | phrase | text
 *
 * Text of several words ("foo-bar", or Chinese) is plain words by itself, but one phrase where it is one operand: after
 * + or -, in a field, beside AND, OR or NOT. Recursion is only by parentheses, whose depth the lexer limits. */

struct parser {
    struct query_builder build;
    const struct query_options *options;
    struct tokens tokens;
    size_t at;
    bool is_mixed; /* with what is no token of plain words */
};

struct operand {
    struct tree_node *node; /* NULL: no words in it */
    bool negated;
};

/* --------------------------------------------------------------------------------------------------------- expression
 */

static const struct token *token_here(const struct parser *p, size_t ahead)
{
    static const struct token end = {.kind = TOKEN_CLOSE};
    return p->at + ahead < p->tokens.count ? &p->tokens.list[p->at + ahead] : &end;
}

static bool begins_operand(const struct token *t)
{
    return t->kind != TOKEN_CLOSE;
}

/* An operator without an operand behind it is plain text. */
static bool is_operator(const struct parser *p, enum token_kind kind)
{
    const struct token *t = token_here(p, 0);
    return t->kind == kind && begins_operand(token_here(p, 1));
}

/* The last word of the query is a prefix where it may still be typed: at the very end, outside of quotes and groups. */
static bool may_be_prefix(const struct parser *p, const struct token *t)
{
    return !p->options->no_prefix && t->kind != TOKEN_PHRASE && t->end == p->tokens.text.len && t->field_length == 0;
}

static struct tree_node *text_node(struct parser *p, const struct token *t, struct str field, bool silent)
{
    if (t->field_length > 0)
        field = token_field(&p->tokens, t);
    query_build_read(&p->build, token_text(&p->tokens, t));
    if (p->build.err || p->build.text_count == 0)
        return NULL;
    if (p->build.text_count > 1)
        return query_build_phrase(&p->build, field, silent);
    bool marked = t->sign != SIGN_NONE || t->kind == TOKEN_PHRASE;
    if (!marked && query_build_skips(&p->build, &p->build.text[0]))
        return NULL;
    bool prefix = may_be_prefix(p, t) && field.len == 0 && !silent;
    struct tree_node *n = query_build_word(&p->build, p->build.text[0].folded, field, prefix, silent);
    if (t->kind == TOKEN_PHRASE)
        query_build_literally(&p->build, n);
    return n;
}

static struct tree_node *parse_sequence(struct parser *p, struct str field, bool silent);

static struct tree_node *parse_group(struct parser *p, const struct token *open, struct str field, bool silent)
{
    if (open->field_length > 0)
        field = token_field(&p->tokens, open);
    struct tree_node *n = parse_sequence(p, field, silent);
    p->at = open->match + 1;
    return n;
}

static struct operand parse_operand(struct parser *p, struct str field, bool silent)
{
    bool negated = false;
    for (; is_operator(p, TOKEN_NOT); p->at++)
        negated = !negated;
    const struct token *t = token_here(p, 0);
    p->at++;
    negated ^= t->sign == SIGN_MINUS;
    silent |= negated;
    struct tree_node *n = t->kind == TOKEN_OPEN ? parse_group(p, t, field, silent) : text_node(p, t, field, silent);
    return (struct operand){n, negated};
}

static struct tree_node *operand_node(struct parser *p, struct operand o)
{
    return o.node && o.negated ? query_build_node(&p->build, NODE_NOT, o.node) : o.node;
}

static struct tree_node *parse_conjunction(struct parser *p, struct str field, bool silent)
{
    struct query_node_list list = {0};
    query_node_list_add(&list, operand_node(p, parse_operand(p, field, silent)));
    while (!p->build.err && is_operator(p, TOKEN_AND)) {
        p->at++;
        query_node_list_add(&list, operand_node(p, parse_operand(p, field, silent)));
    }
    return query_build_list(&p->build, list, NODE_AND);
}

static struct tree_node *parse_alternatives(struct parser *p, struct str field, bool silent)
{
    struct query_node_list list = {0};
    query_node_list_add(&list, parse_conjunction(p, field, silent));
    while (!p->build.err && is_operator(p, TOKEN_OR)) {
        p->at++;
        query_node_list_add(&list, parse_conjunction(p, field, silent));
    }
    return query_build_list(&p->build, list, NODE_OR);
}

/* Whether the token in hand stands alone: nothing marks it, and no operator joins it with what follows. */
static bool is_plain(struct parser *p)
{
    const struct token *t = token_here(p, 0);
    bool text = t->kind == TOKEN_TEXT || t->kind == TOKEN_AND || t->kind == TOKEN_OR ||
                (t->kind == TOKEN_NOT && !begins_operand(token_here(p, 1)));
    if (!text || t->sign != SIGN_NONE || t->field_length > 0)
        return false;
    p->at++;
    bool joined = is_operator(p, TOKEN_AND) || is_operator(p, TOKEN_OR);
    p->at--;
    return !joined;
}

/* The words in hand, each by itself; `add` gets their nodes. */
static void plain_words(struct parser *p, struct str field, bool may_end_in_prefix, bool silent,
                        struct query_node_list *group)
{
    for (size_t i = 0; i < p->build.text_count && !p->build.err; i++) {
        struct parsed_word w = p->build.text[i];
        if (query_build_skips(&p->build, &w))
            continue;
        struct tree_node *n =
            query_build_word(&p->build, w.folded, field, may_end_in_prefix && i + 1 == p->build.text_count, silent);
        if (group)
            query_node_list_add(group, n);
        else
            query_build_item(&p->build, ITEM_DROPPABLE, n);
    }
}

/* Those of a token at the top. */
static void token_words(struct parser *p, struct str text, bool may_end_in_prefix)
{
    size_t before = p->build.query->word_count;
    query_build_read(&p->build, text);
    plain_words(p, (struct str){0}, may_end_in_prefix, false, NULL);
    query_build_token(&p->build, (uint32_t)(p->build.query->word_count - before));
}

/* The inside of a group, up to its end. */
static struct tree_node *parse_sequence(struct parser *p, struct str field, bool silent)
{
    struct query_node_list list = {0};
    while (!p->build.err && begins_operand(token_here(p, 0))) {
        if (is_plain(p)) {
            query_build_read(&p->build, token_text(&p->tokens, token_here(p, 0)));
            p->at++;
            plain_words(p, field, false, silent, &list);
        } else {
            query_node_list_add(&list, parse_alternatives(p, field, silent));
        }
    }
    return query_build_list(&p->build, list, NODE_AND);
}

/* a AND b at the top are two items, NOT a is an exclusion. */
static void add_required(struct parser *p, struct tree_node *n)
{
    if (!n)
        return;
    if (n->kind == NODE_NOT) {
        query_build_item(&p->build, ITEM_EXCLUDED, n->first);
    } else if (n->kind == NODE_AND) {
        for (struct tree_node *child = n->first, *next; child; child = next) {
            next = child->next;
            child->next = NULL;
            add_required(p, child);
        }
    } else {
        query_build_item(&p->build, ITEM_REQUIRED, n);
    }
}

static void parse_top(struct parser *p)
{
    while (!p->build.err && p->at < p->tokens.count) {
        if (is_plain(p)) {
            const struct token *t = token_here(p, 0);
            p->at++;
            token_words(p, token_text(&p->tokens, t), may_be_prefix(p, t));
        } else {
            p->is_mixed = true;
            add_required(p, parse_alternatives(p, (struct str){0}, false));
        }
    }
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_ascii(struct str text)
{
    unsigned char all = 0;
    for (size_t i = 0; i < text.len; i++)
        all |= (unsigned char)text.ptr[i];
    return all < 0x80;
}

/* The next token; empty: there is none. */
static struct str next_token(struct str *rest)
{
    while (rest->len && is_space(*rest->ptr))
        *rest = (struct str){rest->ptr + 1, rest->len - 1};
    struct str token = {rest->ptr, 0};
    while (token.len < rest->len && !is_space(rest->ptr[token.len]))
        token.len++;
    *rest = (struct str){rest->ptr + token.len, rest->len - token.len};
    return token;
}

static bool ends_in_a_word(struct parser *p, struct str text)
{
    size_t seen = p->build.words_seen, length = 0;
    while (length < text.len && !is_space(text.ptr[text.len - 1 - length]))
        length++;
    query_build_read(&p->build, (struct str){text.ptr + text.len - length, length});
    p->build.words_seen = seen;
    return p->build.text_count > 0;
}

/* White space in ASCII is where words end, whatever stands beside it, so its tokens may be looked at one by one. */
static void parse_plain(struct parser *p, struct str text)
{
    struct token last = {.kind = TOKEN_TEXT, .end = (uint32_t)text.len};
    p->tokens.text = text;
    bool prefix = text.len > 0 && !is_space(text.ptr[text.len - 1]) && may_be_prefix(p, &last);
    p->is_mixed = !is_ascii(text) || (prefix && !ends_in_a_word(p, text));
    if (p->is_mixed) {
        query_build_read(&p->build, text);
        plain_words(p, (struct str){0}, prefix, false, NULL);
        return;
    }
    for (struct str rest = text, token = next_token(&rest); token.len && !p->build.err; token = next_token(&rest))
        token_words(p, token, prefix && rest.len == 0);
}

/* Whether what tokens add is what they would add in any query. */
static bool tokens_stand_alone(const struct parser *p)
{
    const struct query *q = p->build.query;
    bool alone = !p->is_mixed && !p->build.keep_stop_words && q->token_count > 0 &&
                 (p->options->no_prefix || q->token_words[q->token_count - 1] > 0);
    for (size_t i = 0; alone && i < q->word_count; i++)
        alone = q->words[i].count == 1;
    return alone;
}

static int parse_words(struct parser *p, struct str text)
{
    if (p->options->plain_words) {
        parse_plain(p, text);
        return p->build.err;
    }
    int err = lex_query(p->build.arena, text, &p->tokens);
    if (err)
        return err;
    parse_top(p);
    return p->build.err;
}

static int parse_once(struct parser *p, struct str text)
{
    p->build.query = arena_new(p->build.arena, struct query);
    if (!p->build.query)
        return ERR_FULL;
    p->build.query->match = p->options->match;
    int err = parse_words(p, text);
    if (!err && !tokens_stand_alone(p))
        p->build.query->token_count = 0;
    return err;
}

static bool is_blank(struct str text)
{
    size_t i = 0;
    while (i < text.len && is_space(text.ptr[i]))
        i++;
    return i == text.len;
}

int query_parse(struct arena *a, struct analyzer *analyzer, struct str text, const struct query_options *options,
                struct query **out)
{
    size_t mark = arena_mark(a);
    struct parser first = {.build = {.arena = a, .analyzer = analyzer, .no_typos = options->no_typos},
                           .options = options};
    struct parser again = first;
    int err = parse_once(&first, text);
    if (err)
        return err;
    *out = first.build.query;
    if (first.build.query->word_count == 0 && first.build.skipped_stop_words) {
        /* Nothing but stop words: then they count. */
        arena_rewind(a, mark);
        again.build.keep_stop_words = true;
        err = parse_once(&again, text);
        if (err)
            return err;
        *out = again.build.query;
    }
    struct query *q = *out;
    q->everything = q->word_count == 0 && (is_blank(text) || q->item_count > 0);
    return 0;
}

size_t query_words(const struct query *q)
{
    return q->word_count;
}

const uint32_t *query_token_words(const struct query *q, size_t *out_count)
{
    *out_count = q->token_count;
    return q->token_count ? q->token_words : NULL;
}
