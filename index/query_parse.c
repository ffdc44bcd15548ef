#include "index/query.h"

#include <string.h>

#include "common/err.h"
#include "index/query_lex.h"
#include "index/query_tree.h"
#include "index/segment_writer.h"

/* Grammar, over tokens; what does not fit is plain text:
 *
 *   sequence := { alternatives }                 its items; in a group all of them are required
 *   alternatives := conjunction { OR conjunction }
 *   conjunction := operand { AND operand }
 *   operand := NOT operand | ( sequence ) | phrase | text
 *
 * Text of several words ("foo-bar", or Chinese) is plain words by itself, but one phrase where it is one operand: after
 * + or -, in a field, beside AND, OR or NOT. Recursion is only by parentheses, whose depth the lexer limits. */

struct parsed_word {
    struct str folded;
    uint32_t position;
    bool stop;
};

struct parser {
    struct arena *arena;
    struct analyzer *analyzer;
    const struct query_options *options;
    struct tokens tokens;
    size_t at;
    struct query *query;
    size_t word_room, leaf_room, item_room, token_room;
    struct parsed_word *text; /* words of the token in hand */
    size_t text_count, text_room;
    size_t words_seen;
    bool keep_stop_words;
    bool skipped_stop_words;
    bool is_mixed; /* with what is no token of plain words */
    int err;
};

struct operand {
    struct tree_node *node; /* NULL: no words in it */
    bool negated;
};

/* Room for one more in a growing array; false past the cap. */
static bool has_room(struct parser *p, void *array_pointer, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return true;
    void *array;
    memcpy(&array, array_pointer, sizeof array);
    size_t wanted = *room ? 2 * *room : 16;
    array = arena_grow(p->arena, array, *room * size, wanted * size);
    if (!array) {
        p->err = ERR_FULL;
        return false;
    }
    memcpy(array_pointer, &array, sizeof array);
    *room = wanted;
    return true;
}

static void *take(struct parser *p, void *allocated)
{
    if (!allocated && !p->err)
        p->err = ERR_FULL;
    return allocated;
}

/* -------------------------------------------------------------------------------------------------------------- words
 */

static bool take_word(void *context, struct str word, uint32_t position)
{
    struct parser *p = context;
    if (++p->words_seen > QUERY_MAX_WORDS)
        p->err = ERR_TOO_LARGE;
    if (p->err || !has_room(p, &p->text, p->text_count, &p->text_room, sizeof *p->text))
        return false;
    struct str copy = arena_copy(p->arena, word);
    if (!copy.ptr) {
        p->err = ERR_FULL;
        return false;
    }
    p->text[p->text_count++] = (struct parsed_word){
        .folded = copy,
        .position = position,
        .stop = analyzer_is_stop_word(p->analyzer, copy),
    };
    return true;
}

static void read_words(struct parser *p, struct str text)
{
    p->text_count = 0;
    if (!p->err)
        analyzer_words(p->analyzer, text, take_word, p);
}

static bool is_skipped(struct parser *p, const struct parsed_word *w)
{
    bool skipped = w->stop && !p->keep_stop_words;
    p->skipped_stop_words |= skipped;
    return skipped;
}

static struct str stem_key(struct parser *p, struct str folded)
{
    struct str stem = analyzer_stem(p->analyzer, folded);
    char *key = take(p, arena_alloc(p->arena, 1 + stem.len));
    if (!key)
        return STR("");
    key[0] = TERM_STEM;
    memcpy(key + 1, stem.ptr, stem.len);
    return (struct str){key, 1 + stem.len};
}

static uint32_t add_word(struct parser *p, struct str key, struct str folded, bool prefix)
{
    struct query *q = p->query;
    if (!has_room(p, &q->words, q->word_count, &p->word_room, sizeof *q->words))
        return 0;
    q->words[q->word_count] = (struct tree_word){.key = key, .folded = folded, .count = 1, .prefix = prefix};
    return (uint32_t)q->word_count++;
}

/* ------------------------------------------------------------------------------------------------------------- leaves
 */

static uint32_t add_leaf(struct parser *p, struct tree_leaf leaf)
{
    struct query *q = p->query;
    if (!has_room(p, &q->leaves, q->leaf_count, &p->leaf_room, sizeof *q->leaves))
        return 0;
    q->leaves[q->leaf_count] = leaf;
    return (uint32_t)q->leaf_count++;
}

static struct tree_node *leaf_node(struct parser *p, uint32_t leaf)
{
    struct tree_node *n = take(p, arena_new(p->arena, struct tree_node));
    if (n)
        *n = (struct tree_node){.kind = NODE_LEAF, .leaf = leaf};
    return n;
}

/* The leaf of the same word that stands in the query already, or leaf_count. */
static uint32_t find_leaf(const struct query *q, struct str key, struct str field)
{
    uint32_t i = 0;
    for (; i < q->leaf_count; i++) {
        const struct tree_leaf *l = &q->leaves[i];
        bool is_word = l->scored && l->element_count == 1 && !q->words[l->elements[0].word].prefix;
        if (is_word && str_equal(l->elements[0].key, key) && str_equal(l->field, field))
            break;
    }
    return i;
}

/* One word is one leaf and one counted word, wherever in the expression it stands. There is one prefix at most. */
static struct tree_node *word_node(struct parser *p, struct str folded, struct str field, bool prefix, bool silent)
{
    struct str key = stem_key(p, folded);
    struct tree_element *element = take(p, arena_new(p->arena, struct tree_element));
    if (p->err)
        return NULL;
    if (!silent && !prefix) {
        uint32_t known = find_leaf(p->query, key, field);
        if (known < p->query->leaf_count) {
            p->query->words[p->query->leaves[known].elements[0].word].count++;
            return leaf_node(p, known);
        }
    }
    *element = (struct tree_element){.key = key, .word = silent ? NO_WORD : add_word(p, key, folded, prefix)};
    if (!silent && !p->err)
        p->query->words[element->word].typos = field.len == 0 && !p->options->no_typos;
    struct tree_leaf leaf = {.field = field, .elements = element, .element_count = 1, .scored = !silent};
    return leaf_node(p, add_leaf(p, leaf));
}

/* Between quotes a word means itself, here and wherever else it stands in the query. */
static void take_literally(struct parser *p, const struct tree_node *n)
{
    if (p->err || !n)
        return;
    uint32_t word = p->query->leaves[n->leaf].elements[0].word;
    if (word != NO_WORD)
        p->query->words[word].typos = false;
}

/* The counted word of a phrase's element: the one that an earlier element of it has, or a new one. */
static uint32_t phrase_word(struct parser *p, const struct tree_element *elements, size_t count, struct str key,
                            struct str folded)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal(elements[i].key, key)) {
            p->query->words[elements[i].word].count++;
            return elements[i].word;
        }
    }
    return add_word(p, key, folded, false);
}

/* The words in hand, stop words among them, as one phrase. */
static struct tree_node *phrase_node(struct parser *p, struct str field, bool silent)
{
    size_t count = p->text_count;
    struct tree_element *elements = take(p, arena_new_array(p->arena, count, struct tree_element));
    for (size_t i = 0; i < count && !p->err; i++) {
        struct parsed_word *w = &p->text[i];
        struct str key = stem_key(p, w->folded);
        uint32_t word = silent ? NO_WORD : phrase_word(p, elements, i, key, w->folded);
        elements[i] = (struct tree_element){.key = key, .word = word, .offset = w->position - p->text[0].position};
    }
    if (p->err)
        return NULL;
    struct tree_leaf leaf = {.field = field, .elements = elements, .element_count = count, .scored = !silent};
    return leaf_node(p, add_leaf(p, leaf));
}

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
    read_words(p, token_text(&p->tokens, t));
    if (p->err || p->text_count == 0)
        return NULL;
    if (p->text_count > 1)
        return phrase_node(p, field, silent);
    bool marked = t->sign != SIGN_NONE || t->kind == TOKEN_PHRASE;
    if (!marked && is_skipped(p, &p->text[0]))
        return NULL;
    bool prefix = may_be_prefix(p, t) && field.len == 0 && !silent;
    struct tree_node *n = word_node(p, p->text[0].folded, field, prefix, silent);
    if (t->kind == TOKEN_PHRASE)
        take_literally(p, n);
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

static struct tree_node *new_node(struct parser *p, enum node_kind kind, struct tree_node *first)
{
    struct tree_node *n = take(p, arena_new(p->arena, struct tree_node));
    if (n)
        *n = (struct tree_node){.kind = kind, .first = first};
    return n;
}

static struct tree_node *operand_node(struct parser *p, struct operand o)
{
    return o.node && o.negated ? new_node(p, NODE_NOT, o.node) : o.node;
}

/* Children in order, behind each other; a list of one is that one. */
struct node_list {
    struct tree_node *first, *last;
};

static void list_add(struct node_list *list, struct tree_node *n)
{
    if (!n)
        return;
    if (list->last)
        list->last->next = n;
    else
        list->first = n;
    list->last = n;
}

static struct tree_node *list_node(struct parser *p, struct node_list list, enum node_kind kind)
{
    return list.first == list.last ? list.first : new_node(p, kind, list.first);
}

static struct tree_node *parse_conjunction(struct parser *p, struct str field, bool silent)
{
    struct node_list list = {0};
    list_add(&list, operand_node(p, parse_operand(p, field, silent)));
    while (!p->err && is_operator(p, TOKEN_AND)) {
        p->at++;
        list_add(&list, operand_node(p, parse_operand(p, field, silent)));
    }
    return list_node(p, list, NODE_AND);
}

static struct tree_node *parse_alternatives(struct parser *p, struct str field, bool silent)
{
    struct node_list list = {0};
    list_add(&list, parse_conjunction(p, field, silent));
    while (!p->err && is_operator(p, TOKEN_OR)) {
        p->at++;
        list_add(&list, parse_conjunction(p, field, silent));
    }
    return list_node(p, list, NODE_OR);
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

static void add_item(struct parser *p, enum item_role role, struct tree_node *node)
{
    struct query *q = p->query;
    if (!node || !has_room(p, &q->items, q->item_count, &p->item_room, sizeof *q->items))
        return;
    q->items[q->item_count++] = (struct tree_item){.role = role, .node = node};
}

/* The words in hand, each by itself; `add` gets their nodes. */
static void plain_words(struct parser *p, struct str field, bool may_end_in_prefix, bool silent,
                        struct node_list *group)
{
    for (size_t i = 0; i < p->text_count && !p->err; i++) {
        struct parsed_word w = p->text[i];
        if (is_skipped(p, &w))
            continue;
        struct tree_node *n = word_node(p, w.folded, field, may_end_in_prefix && i + 1 == p->text_count, silent);
        if (group)
            list_add(group, n);
        else
            add_item(p, ITEM_DROPPABLE, n);
    }
}

/* Those of a token at the top. */
static void token_words(struct parser *p, struct str text, bool may_end_in_prefix)
{
    struct query *q = p->query;
    size_t before = q->word_count;
    read_words(p, text);
    plain_words(p, (struct str){0}, may_end_in_prefix, false, NULL);
    if (has_room(p, &q->token_words, q->token_count, &p->token_room, sizeof *q->token_words))
        q->token_words[q->token_count++] = (uint32_t)(q->word_count - before);
}

/* The inside of a group, up to its end. */
static struct tree_node *parse_sequence(struct parser *p, struct str field, bool silent)
{
    struct node_list list = {0};
    while (!p->err && begins_operand(token_here(p, 0))) {
        if (is_plain(p)) {
            read_words(p, token_text(&p->tokens, token_here(p, 0)));
            p->at++;
            plain_words(p, field, false, silent, &list);
        } else {
            list_add(&list, parse_alternatives(p, field, silent));
        }
    }
    return list_node(p, list, NODE_AND);
}

/* a AND b at the top are two items, NOT a is an exclusion. */
static void add_required(struct parser *p, struct tree_node *n)
{
    if (!n)
        return;
    if (n->kind == NODE_NOT) {
        add_item(p, ITEM_EXCLUDED, n->first);
    } else if (n->kind == NODE_AND) {
        for (struct tree_node *child = n->first, *next; child; child = next) {
            next = child->next;
            child->next = NULL;
            add_required(p, child);
        }
    } else {
        add_item(p, ITEM_REQUIRED, n);
    }
}

static void parse_top(struct parser *p)
{
    while (!p->err && p->at < p->tokens.count) {
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
    size_t seen = p->words_seen, length = 0;
    while (length < text.len && !is_space(text.ptr[text.len - 1 - length]))
        length++;
    read_words(p, (struct str){text.ptr + text.len - length, length});
    p->words_seen = seen;
    return p->text_count > 0;
}

/* White space in ASCII is where words end, whatever stands beside it, so its tokens may be looked at one by one. */
static void parse_plain(struct parser *p, struct str text)
{
    struct token last = {.kind = TOKEN_TEXT, .end = (uint32_t)text.len};
    p->tokens.text = text;
    bool prefix = text.len > 0 && !is_space(text.ptr[text.len - 1]) && may_be_prefix(p, &last);
    p->is_mixed = !is_ascii(text) || (prefix && !ends_in_a_word(p, text));
    if (p->is_mixed) {
        read_words(p, text);
        plain_words(p, (struct str){0}, prefix, false, NULL);
        return;
    }
    for (struct str rest = text, token = next_token(&rest); token.len && !p->err; token = next_token(&rest))
        token_words(p, token, prefix && rest.len == 0);
}

/* Whether what tokens add is what they would add in any query. */
static bool tokens_stand_alone(const struct parser *p)
{
    const struct query *q = p->query;
    bool alone = !p->is_mixed && !p->keep_stop_words && q->token_count > 0 &&
                 (p->options->no_prefix || q->token_words[q->token_count - 1] > 0);
    for (size_t i = 0; alone && i < q->word_count; i++)
        alone = q->words[i].count == 1;
    return alone;
}

static int parse_words(struct parser *p, struct str text)
{
    if (p->options->plain_words) {
        parse_plain(p, text);
        return p->err;
    }
    int err = lex_query(p->arena, text, &p->tokens);
    if (err)
        return err;
    parse_top(p);
    return p->err;
}

static int parse_once(struct parser *p, struct str text)
{
    p->query = arena_new(p->arena, struct query);
    if (!p->query)
        return ERR_FULL;
    p->query->match = p->options->match;
    int err = parse_words(p, text);
    if (!err && !tokens_stand_alone(p))
        p->query->token_count = 0;
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
    struct parser first = {.arena = a, .analyzer = analyzer, .options = options};
    struct parser again = first;
    int err = parse_once(&first, text);
    if (err)
        return err;
    *out = first.query;
    if (first.query->word_count == 0 && first.skipped_stop_words) {
        /* Nothing but stop words: then they count. */
        arena_rewind(a, mark);
        again.keep_stop_words = true;
        err = parse_once(&again, text);
        if (err)
            return err;
        *out = again.query;
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
