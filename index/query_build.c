#include "index/query_build.h"

#include <string.h>

#include "common/err.h"
#include "index/segment_writer.h"

/* Room for one more in a growing array; false past the cap. */
static bool has_room(struct query_builder *b, void *array_pointer, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return true;
    void *array;
    memcpy(&array, array_pointer, sizeof array);
    size_t wanted = *room ? 2 * *room : 16;
    array = arena_grow(b->arena, array, *room * size, wanted * size);
    if (!array) {
        b->err = ERR_FULL;
        return false;
    }
    memcpy(array_pointer, &array, sizeof array);
    *room = wanted;
    return true;
}

static void *take(struct query_builder *b, void *allocated)
{
    if (!allocated && !b->err)
        b->err = ERR_FULL;
    return allocated;
}

/* -------------------------------------------------------------------------------------------------------------- words
 */

static bool take_word(void *context, struct str word, uint32_t position)
{
    struct query_builder *b = context;
    if (++b->words_seen > QUERY_MAX_WORDS)
        b->err = ERR_TOO_LARGE;
    if (b->err || !has_room(b, &b->text, b->text_count, &b->text_room, sizeof *b->text))
        return false;
    struct str copy = arena_copy(b->arena, word);
    if (!copy.ptr) {
        b->err = ERR_FULL;
        return false;
    }
    b->text[b->text_count++] = (struct parsed_word){
        .folded = copy,
        .position = position,
        .stop = analyzer_is_stop_word(b->analyzer, copy),
    };
    return true;
}

void query_build_read(struct query_builder *b, struct str text)
{
    b->text_count = 0;
    if (!b->err)
        analyzer_words(b->analyzer, text, take_word, b);
}

bool query_build_skips(struct query_builder *b, const struct parsed_word *w)
{
    bool skipped = w->stop && !b->keep_stop_words;
    b->skipped_stop_words |= skipped;
    return skipped;
}

static struct str stem_key(struct query_builder *b, struct str folded)
{
    struct str stem = analyzer_stem(b->analyzer, folded);
    char *key = take(b, arena_alloc(b->arena, 1 + stem.len));
    if (!key)
        return STR("");
    key[0] = TERM_STEM;
    memcpy(key + 1, stem.ptr, stem.len);
    return (struct str){key, 1 + stem.len};
}

static uint32_t add_word(struct query_builder *b, struct str key, struct str folded, bool prefix)
{
    struct query *q = b->query;
    if (!has_room(b, &q->words, q->word_count, &b->word_room, sizeof *q->words))
        return 0;
    q->words[q->word_count] = (struct tree_word){.key = key, .folded = folded, .count = 1, .prefix = prefix};
    return (uint32_t)q->word_count++;
}

/* ------------------------------------------------------------------------------------------------------------- leaves
 */

static uint32_t add_leaf(struct query_builder *b, struct tree_leaf leaf)
{
    struct query *q = b->query;
    if (!has_room(b, &q->leaves, q->leaf_count, &b->leaf_room, sizeof *q->leaves))
        return 0;
    q->leaves[q->leaf_count] = leaf;
    return (uint32_t)q->leaf_count++;
}

static struct tree_node *leaf_node(struct query_builder *b, uint32_t leaf)
{
    struct tree_node *n = take(b, arena_new(b->arena, struct tree_node));
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
struct tree_node *query_build_word(struct query_builder *b, struct str folded, struct str field, bool prefix,
                                   bool silent)
{
    struct str key = stem_key(b, folded);
    struct tree_element *element = take(b, arena_new(b->arena, struct tree_element));
    if (b->err)
        return NULL;
    if (!silent && !prefix) {
        uint32_t known = find_leaf(b->query, key, field);
        if (known < b->query->leaf_count) {
            b->query->words[b->query->leaves[known].elements[0].word].count++;
            return leaf_node(b, known);
        }
    }
    *element = (struct tree_element){.key = key, .word = silent ? NO_WORD : add_word(b, key, folded, prefix)};
    if (!silent && !b->err)
        b->query->words[element->word].typos = field.len == 0 && !b->no_typos;
    struct tree_leaf leaf = {.field = field, .elements = element, .element_count = 1, .scored = !silent};
    return leaf_node(b, add_leaf(b, leaf));
}

/* Between quotes a word means itself, here and wherever else it stands in the query. */
void query_build_literally(struct query_builder *b, const struct tree_node *n)
{
    if (b->err || !n)
        return;
    uint32_t word = b->query->leaves[n->leaf].elements[0].word;
    if (word != NO_WORD)
        b->query->words[word].typos = false;
}

/* The counted word of a phrase's element: the one that an earlier element of it has, or a new one. */
static uint32_t phrase_word(struct query_builder *b, const struct tree_element *elements, size_t count, struct str key,
                            struct str folded)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal(elements[i].key, key)) {
            b->query->words[elements[i].word].count++;
            return elements[i].word;
        }
    }
    return add_word(b, key, folded, false);
}

/* The words in hand, stop words among them, as one phrase. */
struct tree_node *query_build_phrase(struct query_builder *b, struct str field, bool silent)
{
    size_t count = b->text_count;
    struct tree_element *elements = take(b, arena_new_array(b->arena, count, struct tree_element));
    for (size_t i = 0; i < count && !b->err; i++) {
        struct parsed_word *w = &b->text[i];
        struct str key = stem_key(b, w->folded);
        uint32_t word = silent ? NO_WORD : phrase_word(b, elements, i, key, w->folded);
        elements[i] = (struct tree_element){.key = key, .word = word, .offset = w->position - b->text[0].position};
    }
    if (b->err)
        return NULL;
    struct tree_leaf leaf = {.field = field, .elements = elements, .element_count = count, .scored = !silent};
    return leaf_node(b, add_leaf(b, leaf));
}
struct tree_node *query_build_node(struct query_builder *b, enum node_kind kind, struct tree_node *first)
{
    struct tree_node *n = take(b, arena_new(b->arena, struct tree_node));
    if (n)
        *n = (struct tree_node){.kind = kind, .first = first};
    return n;
}

void query_node_list_add(struct query_node_list *list, struct tree_node *n)
{
    if (!n)
        return;
    if (list->last)
        list->last->next = n;
    else
        list->first = n;
    list->last = n;
}

struct tree_node *query_build_list(struct query_builder *b, struct query_node_list list, enum node_kind kind)
{
    return list.first == list.last ? list.first : query_build_node(b, kind, list.first);
}

void query_build_item(struct query_builder *b, enum item_role role, struct tree_node *node)
{
    struct query *q = b->query;
    if (!node || !has_room(b, &q->items, q->item_count, &b->item_room, sizeof *q->items))
        return;
    q->items[q->item_count++] = (struct tree_item){.role = role, .node = node};
}

void query_build_token(struct query_builder *b, uint32_t words)
{
    struct query *q = b->query;
    if (has_room(b, &q->token_words, q->token_count, &b->token_room, sizeof *q->token_words))
        q->token_words[q->token_count++] = words;
}
