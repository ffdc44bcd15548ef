#include <stdarg.h>
#include <stdio.h>

#include "common/err.h"
#include "common/utf8.h"
#include "index/filter_lex.h"
#include "index/filter_tree.h"
#include "index/sort.h"

struct parser {
    struct filter_lexer lexer;
    struct arena *arena;
    struct filter *filter;
    struct filter_token token; /* the next one */
    unsigned depth;
    struct filter_error *error;
    int err;
};

/* ----------------------------------------------------------------------------------------------------------- errors */

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* As a person counts them, from 1. */
static size_t character_at(const struct parser *p, size_t offset)
{
    size_t number = 1;
    for (size_t i = 0; i < offset; i++)
        number += !is_continuation(p->lexer.text.ptr[i]);
    return number;
}

/* So much of a token as a message has room for, cut between characters. */
static int shown(struct str s)
{
    size_t length = s.len < 40 ? s.len : 40;
    while (length < s.len && length && is_continuation(s.ptr[length]))
        length--;
    return (int)length;
}

/* The first one counts. */
static __attribute__((format(printf, 3, 4))) void fail_at(struct parser *p, const struct filter_token *t,
                                                          const char *format, ...)
{
    if (p->err)
        return;
    char what[140];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    p->err = ERR_INVALID;
    p->error->offset = (size_t)(t->written.ptr - p->lexer.text.ptr);
    snprintf(p->error->message, sizeof p->error->message, "character %zu of the filter: %s",
             character_at(p, p->error->offset), what);
}

static void fail_expected(struct parser *p, const char *expected)
{
    const struct filter_token *t = &p->token;
    if (t->kind == FILTER_WRONG)
        fail_at(p, t, "%s", t->problem);
    else if (t->kind == FILTER_END)
        fail_at(p, t, "expected %s, but the filter ends", expected);
    else
        fail_at(p, t, "expected %s, found %.*s", expected, shown(t->written), t->written.ptr);
}

static void full(struct parser *p)
{
    if (!p->err)
        p->err = ERR_FULL;
}

/* ----------------------------------------------------------------------------------------------------------- tokens */

static void advance(struct parser *p)
{
    if (!p->err && filter_next_token(&p->lexer, &p->token))
        full(p);
    if (p->err)
        p->token.kind = FILTER_END; /* every loop ends */
}

static bool is_word(const struct parser *p, const char *keyword)
{
    return filter_token_is(&p->token, keyword);
}

static bool take_word(struct parser *p, const char *keyword)
{
    bool is_it = is_word(p, keyword);
    if (is_it)
        advance(p);
    return is_it;
}

static bool take(struct parser *p, enum filter_token_kind kind)
{
    bool is_it = p->token.kind == kind;
    if (is_it)
        advance(p);
    return is_it;
}

/* ------------------------------------------------------------------------------------------------------------ nodes */

static struct filter_node *new_node(struct parser *p, enum filter_node_kind kind, struct filter_node *first)
{
    struct filter_node *n = p->err ? NULL : arena_new(p->arena, struct filter_node);
    if (!n) {
        full(p);
        return NULL;
    }
    *n = (struct filter_node){.kind = kind, .first = first};
    return n;
}

static struct filter_node *negated(struct parser *p, struct filter_node *n, bool is_negated)
{
    return n && is_negated ? new_node(p, FILTER_NODE_NOT, n) : n;
}

static uint32_t field_number(struct parser *p, struct str path)
{
    struct filter *f = p->filter;
    uint32_t i = 0;
    while (i < f->field_count && !str_equal(f->fields[i], path))
        i++;
    if (i == f->field_count)
        f->fields[f->field_count++] = path; /* there are no more fields than conditions */
    return i;
}

/* Given as the field's token: what is wrong with it is said there. */
static struct filter_node *new_condition(struct parser *p, const struct filter_token *field,
                                         struct filter_condition condition)
{
    struct filter *f = p->filter;
    if (f->condition_count == FILTER_MAX_CONDITIONS)
        fail_at(p, field, "more than %d conditions", FILTER_MAX_CONDITIONS);
    struct filter_node *n = new_node(p, FILTER_NODE_CONDITION, NULL);
    if (!n)
        return NULL;
    n->condition = f->condition_count;
    condition.field = field_number(p, field->text);
    f->conditions[f->condition_count++] = condition;
    return n;
}

/* ----------------------------------------------------------------------------------------------------------- values */

static void unquoted_value(struct parser *p, struct filter_value *out)
{
    struct str text = p->token.text;
    if (filter_token_is_keyword(&p->token))
        fail_expected(p, "a value (a keyword as a value is quoted)");
    else if (str_equal(text, STR("null")))
        fail_at(p, &p->token, "null is no value: it is FIELD IS NULL");
    else if (str_equal(text, STR("true")) || str_equal(text, STR("false")))
        *out = (struct filter_value){.type = FILTER_TYPE_BOOLEAN, .boolean = text.ptr[0] == 't'};
    else if (!filter_number(text, out))
        *out = (struct filter_value){.type = FILTER_TYPE_STRING, .text = text};
}

static struct filter_value take_value(struct parser *p)
{
    struct filter_value v = {0};
    if (p->token.kind == FILTER_STRING)
        v = (struct filter_value){.type = FILTER_TYPE_STRING, .text = p->token.text};
    else if (p->token.kind == FILTER_WORD)
        unquoted_value(p, &v);
    else
        fail_expected(p, "a value");
    advance(p);
    return v;
}

/* One that has an order worth asking for. */
static struct filter_value take_bound(struct parser *p)
{
    if (is_word(p, "true") || is_word(p, "false"))
        fail_expected(p, "a number or a string");
    return take_value(p);
}

static struct filter_value *keep_value(struct parser *p, struct filter_value v)
{
    struct filter_value *kept = arena_new(p->arena, struct filter_value);
    if (kept)
        *kept = v;
    else
        full(p);
    return kept;
}

static int by_value(const void *a, const void *b)
{
    return filter_compare(a, b);
}

static struct filter_node *one_of(struct parser *p, const struct filter_token *field, struct filter_value *values,
                                  size_t count)
{
    if (count)
        sort_in_place(values, count, sizeof *values, by_value);
    return new_condition(p, field,
                         (struct filter_condition){.test = FILTER_IS_ONE_OF, .values = values, .count = count});
}

static struct filter_node *take_list(struct parser *p, const struct filter_token *field)
{
    struct filter_value *values = NULL;
    size_t count = 0, room = 0;
    if (!take(p, FILTER_LIST_OPEN))
        fail_expected(p, "[ and the values of the list");
    while (!p->err && p->token.kind != FILTER_LIST_CLOSE) {
        if (count == room) {
            size_t more = room ? 2 * room : 16;
            values = arena_grow(p->arena, values, room * sizeof *values, more * sizeof *values);
            room = more;
        }
        if (!values) {
            full(p);
            break;
        }
        values[count++] = take_value(p);
        if (!take(p, FILTER_COMMA) && p->token.kind != FILTER_LIST_CLOSE)
            fail_expected(p, "a comma or ]");
    }
    if (!take(p, FILTER_LIST_CLOSE))
        fail_expected(p, "]");
    return p->err ? NULL : one_of(p, field, values, count);
}

/* ------------------------------------------------------------------------------------------------------- conditions */

static struct filter_node *comparison(struct parser *p, const struct filter_token *field, enum filter_token_kind sign)
{
    struct filter_condition c = {.test = FILTER_IS_BETWEEN};
    bool is_low = sign == FILTER_ABOVE || sign == FILTER_ABOVE_OR_EQUAL;
    struct filter_bound bound = {.is_set = true,
                                 .is_inclusive = sign == FILTER_ABOVE_OR_EQUAL || sign == FILTER_BELOW_OR_EQUAL};
    bound.value = take_bound(p);
    *(is_low ? &c.low : &c.high) = bound;
    return new_condition(p, field, c);
}

static struct filter_node *equality(struct parser *p, const struct filter_token *field, bool is_negated)
{
    struct filter_value *value = keep_value(p, take_value(p));
    return p->err ? NULL : negated(p, one_of(p, field, value, 1), is_negated);
}

static struct filter_node *range(struct parser *p, const struct filter_token *field)
{
    struct filter_condition c = {.test = FILTER_IS_BETWEEN};
    c.low = (struct filter_bound){.is_set = true, .is_inclusive = true, .value = take_bound(p)};
    if (!take_word(p, "TO"))
        fail_expected(p, "TO and the end of the range");
    struct filter_token end = p->token;
    c.high = (struct filter_bound){.is_set = true, .is_inclusive = true, .value = take_bound(p)};
    if (c.low.value.type != c.high.value.type)
        fail_at(p, &end, "expected %s, as the range begins with one",
                c.low.value.type == FILTER_TYPE_NUMBER ? "a number" : "a string");
    return new_condition(p, field, c);
}

static struct filter_node *text_test(struct parser *p, const struct filter_token *field, enum filter_test test)
{
    struct filter_token at = p->token;
    struct filter_value v = take_value(p);
    if (at.kind == FILTER_WORD && v.type != FILTER_TYPE_STRING)
        v = (struct filter_value){.type = FILTER_TYPE_STRING, .text = at.text}; /* digits of a text */
    struct filter_condition c = {.test = test, .values = keep_value(p, v), .count = 1};
    return new_condition(p, field, c);
}

static struct filter_node *is_test(struct parser *p, const struct filter_token *field)
{
    bool is_negated = take_word(p, "NOT");
    struct filter_condition c = {.test = is_word(p, "EMPTY") ? FILTER_IS_EMPTY : FILTER_IS_NULL};
    if (!take_word(p, "EMPTY") && !take_word(p, "NULL"))
        fail_expected(p, is_negated ? "NULL or EMPTY" : "NULL, EMPTY or NOT");
    return negated(p, new_condition(p, field, c), is_negated);
}

/* What may stand behind NOT as well. */
static struct filter_node *word_test(struct parser *p, const struct filter_token *field)
{
    if (take_word(p, "IN"))
        return take_list(p, field);
    if (take_word(p, "EXISTS"))
        return new_condition(p, field, (struct filter_condition){.test = FILTER_EXISTS});
    if (take_word(p, "CONTAINS"))
        return text_test(p, field, FILTER_CONTAINS);
    if (take_word(p, "STARTS")) {
        if (!take_word(p, "WITH"))
            fail_expected(p, "WITH");
        return text_test(p, field, FILTER_STARTS_WITH);
    }
    fail_expected(p, "IN, EXISTS, CONTAINS or STARTS WITH");
    return NULL;
}

static struct filter_node *behind_field(struct parser *p, const struct filter_token *field)
{
    static const char expected[] = "=, !=, <, <=, >, >=, a range with TO, IN, EXISTS, IS, CONTAINS or STARTS WITH";
    enum filter_token_kind sign = p->token.kind;
    if (take(p, FILTER_EQUAL) || take(p, FILTER_NOT_EQUAL))
        return equality(p, field, sign == FILTER_NOT_EQUAL);
    if (take(p, FILTER_BELOW) || take(p, FILTER_BELOW_OR_EQUAL) || take(p, FILTER_ABOVE) ||
        take(p, FILTER_ABOVE_OR_EQUAL))
        return comparison(p, field, sign);
    if (take_word(p, "IS"))
        return is_test(p, field);
    if (take_word(p, "NOT"))
        return negated(p, word_test(p, field), true);
    if (is_word(p, "IN") || is_word(p, "EXISTS") || is_word(p, "CONTAINS") || is_word(p, "STARTS"))
        return word_test(p, field);
    if (sign == FILTER_STRING || (sign == FILTER_WORD && !filter_token_is_keyword(&p->token)))
        return range(p, field);
    fail_expected(p, expected);
    return NULL;
}

static bool is_geographic(const struct filter_token *t)
{
    return filter_token_is(t, "_geoRadius") || filter_token_is(t, "_geoBoundingBox") ||
           filter_token_is(t, "_geoPolygon");
}

static struct filter_node *condition(struct parser *p)
{
    struct filter_token field = p->token;
    if (is_geographic(&field)) {
        fail_at(p, &field, "%.*s is not available in this version", (int)field.text.len, field.text.ptr);
        p->error->is_unsupported = true;
    } else if (field.kind != FILTER_STRING && (field.kind != FILTER_WORD || filter_token_is_keyword(&field))) {
        fail_expected(p, "a field, NOT or (");
    } else if (field.text.len == 0 || field.text.len > FILTER_MAX_PATH) {
        fail_at(p, &field, "a field has 1 to %d bytes", FILTER_MAX_PATH);
    }
    advance(p);
    return p->err ? NULL : behind_field(p, &field);
}

/* ------------------------------------------------------------------------------------------------------ expressions */

static struct filter_node *disjunction(struct parser *p);

static bool descend(struct parser *p)
{
    if (++p->depth > FILTER_MAX_DEPTH)
        fail_at(p, &p->token, "nested deeper than %d levels", FILTER_MAX_DEPTH);
    return !p->err;
}

static struct filter_node *operand(struct parser *p)
{
    struct filter_node *n = NULL;
    if (!descend(p))
        return NULL;
    if (take_word(p, "NOT")) {
        n = negated(p, operand(p), true);
    } else if (take(p, FILTER_OPEN)) {
        n = disjunction(p);
        if (!take(p, FILTER_CLOSE))
            fail_expected(p, "AND, OR or )");
    } else {
        n = condition(p);
    }
    p->depth--;
    return p->err ? NULL : n;
}

/* Operands with one keyword between them. */
static struct filter_node *chain(struct parser *p, enum filter_node_kind kind, const char *keyword,
                                 struct filter_node *(*of)(struct parser *))
{
    struct filter_node *first = of(p), *last = first, *n = NULL;
    while (first && take_word(p, keyword)) {
        if (!n)
            n = new_node(p, kind, first);
        struct filter_node *next = of(p);
        if (!next)
            return NULL;
        last->next = next;
        last = next;
    }
    return p->err ? NULL : n ? n : first;
}

static struct filter_node *conjunction(struct parser *p)
{
    return chain(p, FILTER_NODE_AND, "AND", operand);
}

static struct filter_node *disjunction(struct parser *p)
{
    return chain(p, FILTER_NODE_OR, "OR", conjunction);
}

static void check_text(struct parser *p)
{
    size_t valid = utf8_valid_prefix(p->lexer.text);
    if (p->lexer.text.len > FILTER_MAX_TEXT) {
        p->err = ERR_INVALID;
        snprintf(p->error->message, sizeof p->error->message, "a filter has at most %d bytes", FILTER_MAX_TEXT);
    } else if (valid < p->lexer.text.len) {
        fail_at(p, &(struct filter_token){.written = {p->lexer.text.ptr + valid, 0}}, "this is not UTF-8");
    }
}

int filter_parse(struct arena *arena, struct str text, struct filter **out, struct filter_error *error)
{
    struct parser p = {.lexer = {.text = text, .arena = arena}, .arena = arena, .error = error};
    *error = (struct filter_error){0};
    p.filter = arena_new(arena, struct filter);
    if (!p.filter)
        return ERR_FULL;
    check_text(&p);
    advance(&p);
    p.filter->root = p.err ? NULL : disjunction(&p);
    if (!p.err && p.token.kind != FILTER_END)
        fail_expected(&p, "AND, OR or the end");
    *out = p.filter;
    return p.err;
}
