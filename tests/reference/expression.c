#include "tests/reference/expression.h"

#include "tests/reference/tokens.h"

/* sequence     := { alternatives }             at the top its parts are items, in a group all are required
 * alternatives := conjunction { OR conjunction }
 * conjunction  := operand { AND operand }
 * operand      := NOT operand | ( sequence ) | phrase | text
 *
 * Text that nothing marks or joins is plain words, each droppable at the top. */

enum { MAX_TEXT_WORDS = 1024 };

struct parse {
    struct corpus *corpus;
    const struct options *options;
    struct expression *out;
    struct tokens tokens;
    size_t at;
    bool stop_words_count;
    bool skipped_stop_words;
    size_t counted; /* scored words */
    struct str words[MAX_TEXT_WORDS];
    uint32_t positions[MAX_TEXT_WORDS];
    size_t word_count;
};

static bool take_word(void *context, struct str word, uint32_t position)
{
    struct parse *p = context;
    if (p->word_count == MAX_TEXT_WORDS)
        die("more words than a query may have");
    p->positions[p->word_count] = position;
    p->words[p->word_count++] = arena_copy(p->corpus->arena, word);
    return true;
}

static void read_words(struct parse *p, struct str text)
{
    p->word_count = 0;
    analyzer_words(p->corpus->analyzer, text, take_word, p);
}

static struct str stem_of(struct parse *p, struct str word)
{
    return arena_copy(p->corpus->arena, analyzer_stem(p->corpus->analyzer, word));
}

static bool is_skipped(struct parse *p, struct str word)
{
    bool skipped = !p->stop_words_count && analyzer_is_stop_word(p->corpus->analyzer, word);
    p->skipped_stop_words |= skipped;
    return skipped;
}

static struct node *new_node(struct parse *p, enum kind kind)
{
    struct node *n = corpus_alloc(p->corpus, 1, sizeof *n);
    n->kind = kind;
    return n;
}

static struct node *add_leaf(struct parse *p, struct leaf leaf)
{
    struct expression *e = p->out;
    struct node *n = new_node(p, KIND_LEAF);
    if (e->leaf_count == e->leaf_room) {
        size_t room = 2 * e->leaf_room + 8;
        struct leaf *leaves = corpus_alloc(p->corpus, room, sizeof *leaves);
        for (size_t i = 0; i < e->leaf_count; i++)
            leaves[i] = e->leaves[i];
        e->leaves = leaves;
        e->leaf_room = room;
    }
    p->counted += leaf.scored ? leaf.count : 0;
    n->leaf = e->leaf_count;
    e->leaves[e->leaf_count++] = leaf;
    return n;
}

/* The same word twice is one leaf that counts twice; the prefix is a leaf of its own. */
static struct node *word_leaf(struct parse *p, struct str word, struct str field, bool prefix, bool silent)
{
    struct str stem = stem_of(p, word);
    for (size_t i = 0; i < p->out->leaf_count && !prefix && !silent; i++) {
        struct leaf *l = &p->out->leaves[i];
        if (l->scored && l->count == 1 && !l->prefix && str_equal(l->stems[0], stem) && str_equal(l->field, field)) {
            struct node *n = new_node(p, KIND_LEAF);
            n->leaf = i;
            l->times++;
            return n;
        }
    }
    struct leaf leaf = {.count = 1, .field = field, .prefix = prefix, .scored = !silent, .times = 1};
    leaf.literal = silent || field.len > 0 || p->options->no_typos;
    leaf.words = corpus_alloc(p->corpus, 1, sizeof *leaf.words);
    leaf.stems = corpus_alloc(p->corpus, 1, sizeof *leaf.stems);
    leaf.offsets = corpus_alloc(p->corpus, 1, sizeof *leaf.offsets);
    leaf.words[0] = word;
    leaf.stems[0] = stem;
    return add_leaf(p, leaf);
}

static struct node *phrase_leaf(struct parse *p, struct str field, bool silent)
{
    size_t count = p->word_count;
    struct leaf leaf = {.count = count, .field = field, .scored = !silent};
    leaf.words = corpus_alloc(p->corpus, count, sizeof *leaf.words);
    leaf.stems = corpus_alloc(p->corpus, count, sizeof *leaf.stems);
    leaf.offsets = corpus_alloc(p->corpus, count, sizeof *leaf.offsets);
    for (size_t i = 0; i < count; i++) {
        leaf.words[i] = p->words[i];
        leaf.stems[i] = stem_of(p, p->words[i]);
        leaf.offsets[i] = p->positions[i] - p->positions[0];
    }
    return add_leaf(p, leaf);
}

static const struct token *here(const struct parse *p, size_t ahead)
{
    static const struct token end = {.kind = T_CLOSE};
    return p->at + ahead < p->tokens.count ? &p->tokens.list[p->at + ahead] : &end;
}

static bool begins_operand(const struct token *t)
{
    return t->kind != T_CLOSE;
}

static bool is_operator(const struct parse *p, enum token_kind kind)
{
    return here(p, 0)->kind == kind && begins_operand(here(p, 1));
}

static bool is_plain(struct parse *p)
{
    const struct token *t = here(p, 0);
    bool words =
        t->kind == T_TEXT || t->kind == T_AND || t->kind == T_OR || (t->kind == T_NOT && !begins_operand(here(p, 1)));
    if (!words || t->sign || t->field.len)
        return false;
    p->at++;
    bool joined = is_operator(p, T_AND) || is_operator(p, T_OR);
    p->at--;
    return !joined;
}

static struct node *append(struct node *list, struct node *n)
{
    struct node *last = list;
    if (!n || !list)
        return list ? list : n;
    while (last->next)
        last = last->next;
    last->next = n;
    return list;
}

static struct node *join(struct parse *p, enum kind kind, struct node *list)
{
    if (!list || !list->next)
        return list;
    struct node *n = new_node(p, kind);
    n->first = list;
    return n;
}

static struct node *read_sequence(struct parse *p, struct str field, bool silent);

static struct node *read_text(struct parse *p, const struct token *t, struct str field, bool silent)
{
    read_words(p, t->text);
    if (p->word_count == 0)
        return NULL;
    if (p->word_count > 1)
        return phrase_leaf(p, field, silent);
    if (!t->sign && t->kind != T_PHRASE && is_skipped(p, p->words[0]))
        return NULL;
    bool prefix = t->at_end && t->kind != T_PHRASE && !p->options->no_prefix && field.len == 0 && !silent;
    struct node *n = word_leaf(p, p->words[0], field, prefix, silent);
    if (t->kind == T_PHRASE)
        p->out->leaves[n->leaf].literal = true;
    return n;
}

static struct node *read_operand(struct parse *p, struct str field, bool silent)
{
    bool negated = false;
    for (; is_operator(p, T_NOT); p->at++)
        negated = !negated;
    const struct token *t = here(p, 0);
    p->at++;
    negated ^= t->sign == '-';
    silent |= negated;
    if (t->field.len)
        field = t->field;
    struct node *n;
    if (t->kind == T_OPEN) {
        n = read_sequence(p, field, silent);
        p->at++; /* the closing one */
    } else {
        n = read_text(p, t, field, silent);
    }
    if (!n || !negated)
        return n;
    struct node *not = new_node(p, KIND_NOT);
    not ->first = n;
    return not ;
}

static struct node *read_conjunction(struct parse *p, struct str field, bool silent)
{
    struct node *list = read_operand(p, field, silent);
    while (is_operator(p, T_AND)) {
        p->at++;
        list = append(list, read_operand(p, field, silent));
    }
    return join(p, KIND_AND, list);
}

static struct node *read_alternatives(struct parse *p, struct str field, bool silent)
{
    struct node *list = read_conjunction(p, field, silent);
    while (is_operator(p, T_OR)) {
        p->at++;
        list = append(list, read_conjunction(p, field, silent));
    }
    return join(p, KIND_OR, list);
}

static void add_item(struct parse *p, enum role role, struct node *node)
{
    struct item *item = corpus_alloc(p->corpus, 1, sizeof *item);
    *item = (struct item){.role = role, .node = node};
    *p->out->last = item;
    p->out->last = &item->next;
}

static struct node *read_sequence(struct parse *p, struct str field, bool silent)
{
    struct node *list = NULL;
    while (begins_operand(here(p, 0))) {
        if (!is_plain(p)) {
            list = append(list, read_alternatives(p, field, silent));
            continue;
        }
        read_words(p, here(p, 0)->text);
        p->at++;
        for (size_t i = 0; i < p->word_count; i++)
            if (!is_skipped(p, p->words[i]))
                list = append(list, word_leaf(p, p->words[i], field, false, silent));
    }
    return join(p, KIND_AND, list);
}

static void add_droppable_words(struct parse *p, struct str text, bool may_be_prefix)
{
    read_words(p, text);
    for (size_t i = 0; i < p->word_count; i++) {
        bool prefix = may_be_prefix && !p->options->no_prefix && i + 1 == p->word_count;
        if (!is_skipped(p, p->words[i]))
            add_item(p, ROLE_DROPPABLE, word_leaf(p, p->words[i], (struct str){0}, prefix, false));
    }
}

/* a AND b at the top is two items, NOT a an exclusion. */
static void add_required(struct parse *p, struct node *n)
{
    if (!n)
        return;
    if (n->kind == KIND_NOT)
        add_item(p, ROLE_EXCLUDED, n->first);
    else if (n->kind != KIND_AND)
        add_item(p, ROLE_REQUIRED, n);
    else
        for (struct node *child = n->first, *next; child; child = next) {
            next = child->next;
            child->next = NULL;
            add_required(p, child);
        }
}

static bool ends_in_space(struct str text)
{
    return text.len == 0 || token_is_space(text.ptr[text.len - 1]);
}

static void read_once(struct parse *p, struct str text)
{
    *p->out = (struct expression){0};
    p->out->last = &p->out->items;
    p->at = p->counted = 0;
    if (p->options->plain_words) {
        add_droppable_words(p, text, !ends_in_space(text));
        return;
    }
    tokens_read(p->corpus, text, &p->tokens);
    while (p->at < p->tokens.count) {
        const struct token *t = here(p, 0);
        if (is_plain(p)) {
            p->at++;
            add_droppable_words(p, t->text, t->at_end);
        } else {
            add_required(p, read_alternatives(p, (struct str){0}, false));
        }
    }
}

static bool is_blank(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!token_is_space(text.ptr[i]))
            return false;
    return true;
}

void expression_read(struct corpus *c, struct str text, const struct options *options, struct expression *out)
{
    struct parse *p = corpus_alloc(c, 1, sizeof *p);
    p->corpus = c;
    p->options = options;
    p->out = out;
    read_once(p, text);
    if (p->counted == 0 && p->skipped_stop_words) {
        p->stop_words_count = true;
        read_once(p, text);
    }
    out->everything = p->counted == 0 && (is_blank(text) || out->items);
}
