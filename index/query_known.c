/* A query of plain words that are known by their keys: what query_parse makes of a text that is nothing else. */
#include "common/err.h"
#include "index/query.h"
#include "index/query_tree.h"

static bool has_rooms(struct arena *a, size_t count, struct query *q)
{
    q->words = arena_new_array(a, count, struct tree_word);
    q->leaves = arena_new_array(a, count, struct tree_leaf);
    q->items = arena_new_array(a, count, struct tree_item);
    return q->words && q->leaves && q->items;
}

int query_of_words(struct arena *a, const struct query_known_words *known, enum query_match match, struct query **out)
{
    size_t count = known->count;
    struct query *q = count > QUERY_MAX_WORDS ? NULL : arena_new(a, struct query);
    struct tree_element *elements = q ? arena_new_array(a, count, struct tree_element) : NULL;
    struct tree_node *nodes = q ? arena_new_array(a, count, struct tree_node) : NULL;
    if (!elements || !nodes || !has_rooms(a, count, q))
        return count > QUERY_MAX_WORDS ? ERR_TOO_LARGE : ERR_FULL;
    for (uint32_t i = 0; i < count; i++) {
        q->words[i] = (struct tree_word){.key = known->keys[i], .count = 1};
        elements[i] = (struct tree_element){.key = known->keys[i], .word = i};
        q->leaves[i] = (struct tree_leaf){.elements = &elements[i], .element_count = 1, .scored = true};
        nodes[i] = (struct tree_node){.kind = NODE_LEAF, .leaf = i};
        q->items[i] = (struct tree_item){.role = ITEM_DROPPABLE, .node = &nodes[i]};
    }
    if (count)
        q->words[count - 1].prefix = known->last_is_prefix;
    q->match = match;
    q->word_count = q->leaf_count = q->item_count = count;
    *out = q;
    return 0;
}
