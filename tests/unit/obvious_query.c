#include "obvious_query.h"

#include <stdlib.h>

#include "index/query_tree.h"
#include "index/score.h"

static bool token_is(const struct corpus_token *t, struct str key)
{
    const char *text = key.ptr[0] == TERM_WORD ? t->folded : t->stem;
    return str_equal(str_of(text), (struct str){key.ptr + 1, key.len - 1});
}

uint32_t obvious_t(const struct corpus_document *d, struct str key, struct str field)
{
    uint32_t t = 0;
    for (size_t i = 0; i < d->token_count; i++) {
        const struct corpus_token *token = &d->tokens[i];
        bool there = field.len == 0 || str_equal(field, str_of(corpus_fields[token->field]));
        if (there && token_is(token, key))
            t += corpus_weights[token->field];
    }
    return t > 0 && key.ptr[0] == TERM_WORD ? 1 : t;
}

static bool phrase_begins_at(const struct corpus_document *d, const struct tree_leaf *leaf, size_t token)
{
    struct str field = str_of(corpus_fields[d->tokens[token].field]);
    if (leaf->field.len > 0 && !str_equal(leaf->field, field))
        return false;
    for (size_t k = 0; k < leaf->element_count; k++) {
        bool stands = false;
        for (size_t i = 0; i < d->token_count; i++)
            stands |= d->tokens[i].at == d->tokens[token].at + leaf->elements[k].offset &&
                      token_is(&d->tokens[i], leaf->elements[k].key);
        if (!stands)
            return false;
    }
    return true;
}

static bool has_leaf(const struct queried *q, const struct corpus_document *d, const struct tree_leaf *leaf)
{
    if (leaf->element_count > 1 || leaf->field.len > 0) {
        for (size_t i = 0; i < d->token_count; i++) {
            if (phrase_begins_at(d, leaf, i))
                return true;
        }
        return false;
    }
    if (!leaf->scored)
        return obvious_t(d, leaf->elements[0].key, leaf->field) > 0;
    const struct query_weights *w = &q->weights[leaf->elements[0].word];
    for (size_t i = 0; i < w->term_count; i++) {
        if (obvious_t(d, w->terms[i].key, leaf->field) > 0)
            return true;
    }
    return false;
}

static bool has_node(const struct queried *q, const struct corpus_document *d, const struct tree_node *n)
{
    if (n->kind == NODE_LEAF)
        return has_leaf(q, d, &q->query->leaves[n->leaf]);
    if (n->kind == NODE_NOT)
        return !has_node(q, d, n->first);
    for (const struct tree_node *child = n->first; child; child = child->next) {
        if (has_node(q, d, child) == (n->kind == NODE_OR))
            return n->kind == NODE_OR;
    }
    return n->kind == NODE_AND;
}

/* Each word once: elements of a phrase may share one. */
static uint64_t score_leaf(const struct queried *q, const struct corpus_document *d, const struct tree_leaf *leaf)
{
    uint64_t sum = 0;
    float norm = q->norms[d->length_code];
    for (size_t k = 0; k < leaf->element_count; k++) {
        bool counted = false;
        for (size_t i = 0; i < k; i++)
            counted |= leaf->elements[i].word == leaf->elements[k].word;
        int32_t largest = 0;
        const struct query_weights *w = &q->weights[leaf->elements[k].word];
        for (size_t i = 0; i < w->term_count && !counted; i++) {
            uint32_t t = obvious_t(d, w->terms[i].key, leaf->field);
            int32_t contribution = t > 0 ? score_contribution(w->terms[i].weight, t, norm) : 0;
            largest = contribution > largest ? contribution : largest;
        }
        sum += (uint64_t)largest;
    }
    return sum;
}

static uint64_t score_document(const struct queried *q, const struct corpus_document *d)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < q->query->leaf_count; i++) {
        const struct tree_leaf *leaf = &q->query->leaves[i];
        if (leaf->scored && has_leaf(q, d, leaf))
            sum += score_leaf(q, d, leaf);
    }
    return sum;
}

/* The words that may be dropped, each once, in the order in which they are kept. */
static size_t droppable(const struct queried *q, uint32_t *leaves)
{
    size_t count = 0;
    for (size_t i = 0; i < q->query->item_count; i++) {
        const struct tree_item *item = &q->query->items[i];
        bool known = item->role != ITEM_DROPPABLE;
        for (size_t k = 0; k < count && !known; k++)
            known = leaves[k] == item->node->leaf;
        if (!known)
            leaves[count++] = item->node->leaf;
    }
    if (q->query->match != MATCH_FREQUENCY)
        return count;
    for (size_t round = 0; round < count; round++) {
        for (size_t i = 1; i < count; i++) {
            uint64_t before = q->weights[q->query->leaves[leaves[i - 1]].elements[0].word].frequency;
            uint64_t after = q->weights[q->query->leaves[leaves[i]].elements[0].word].frequency;
            if (before > after) {
                uint32_t leaf = leaves[i];
                leaves[i] = leaves[i - 1];
                leaves[i - 1] = leaf;
            }
        }
    }
    return count;
}

static bool matches_any(const struct queried *q, const struct corpus_document *d)
{
    bool any = q->query->everything;
    for (size_t i = 0; i < q->query->item_count; i++) {
        const struct tree_item *item = &q->query->items[i];
        if (item->role == ITEM_EXCLUDED && has_node(q, d, item->node))
            return false;
        any |= item->role != ITEM_EXCLUDED && has_node(q, d, item->node);
    }
    return any;
}

/* Whether it matches, and with how many words dropped. */
static bool matches(const struct queried *q, const struct corpus_document *d, uint32_t *out_dropped)
{
    *out_dropped = 0;
    if (q->query->match == MATCH_ANY && !q->query->everything)
        return matches_any(q, d);
    bool required = false;
    for (size_t i = 0; i < q->query->item_count; i++) {
        const struct tree_item *item = &q->query->items[i];
        required |= item->role == ITEM_REQUIRED;
        if (item->role != ITEM_DROPPABLE && has_node(q, d, item->node) != (item->role == ITEM_REQUIRED))
            return false;
    }
    uint32_t leaves[QUERY_MAX_WORDS];
    size_t count = droppable(q, leaves), kept = 0;
    while (kept < count && has_leaf(q, d, &q->query->leaves[leaves[kept]]))
        kept++;
    *out_dropped = (uint32_t)(count - kept);
    if (q->query->match == MATCH_ALL)
        return kept == count;
    return required || kept > 0 || (count == 0 && q->query->everything);
}

static int compare_hits(const void *left, const void *right)
{
    const struct query_hit *a = left, *b = right;
    if (a->dropped != b->dropped)
        return a->dropped < b->dropped ? -1 : 1;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return a->stamp < b->stamp ? -1 : 1;
}

size_t obvious_hits(const struct queried *q, struct query_hit *hits)
{
    size_t count = 0;
    for (size_t i = 0; i < q->corpus.document_count; i++) {
        const struct corpus_document *d = &q->corpus.documents[i];
        uint32_t dropped;
        if (d->deleted || !matches(q, d, &dropped))
            continue;
        hits[count++] = (struct query_hit){dropped, score_document(q, d), d->stamp, d->segment, d->number};
    }
    qsort(hits, count, sizeof *hits, compare_hits);
    return count;
}
