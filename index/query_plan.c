#include "index/query_plan.h"

#include "common/err.h"

/* For MATCH_FREQUENCY: what is to be dropped first comes last, of equal ones the later. */
static void order_by_frequency(struct plan *p, const struct query *q, const struct query_run *run)
{
    for (size_t i = 1; i < p->rungs; i++) {
        uint32_t leaf = p->ladder[i];
        uint64_t frequency = run->weights[q->leaves[leaf].elements[0].word].frequency;
        size_t at = i;
        for (; at > 0; at--) {
            uint32_t before = p->ladder[at - 1];
            if (run->weights[q->leaves[before].elements[0].word].frequency <= frequency)
                break;
            p->ladder[at] = before;
        }
        p->ladder[at] = leaf;
    }
}

static bool has_rung(const struct plan *p, uint32_t leaf)
{
    for (size_t i = 0; i < p->rungs; i++) {
        if (p->ladder[i] == leaf)
            return true;
    }
    return false;
}

static void sort_items(struct plan *p, const struct query *q)
{
    for (size_t i = 0; i < q->item_count; i++) {
        const struct tree_item *item = &q->items[i];
        if (item->role == ITEM_EXCLUDED)
            p->excluded[p->excluded_count++] = item->node;
        else if (item->role == ITEM_REQUIRED)
            p->required[p->required_count++] = item->node;
        else if (!has_rung(p, item->node->leaf))
            p->ladder[p->rungs++] = item->node->leaf;
    }
}

/* All words but one may be dropped, and that one, too, if something else is required. */
static int make_plan(struct arena *a, const struct query *q, const struct query_run *run, struct plan *p)
{
    p->ladder = arena_new_array(a, q->item_count + 1, uint32_t);
    p->required = arena_array(a, q->item_count + 1, sizeof *p->required);
    p->excluded = arena_array(a, q->item_count + 1, sizeof *p->excluded);
    if (!p->ladder || !p->required || !p->excluded)
        return ERR_FULL;
    sort_items(p, q);
    if (q->match == MATCH_FREQUENCY)
        order_by_frequency(p, q, run);
    bool may_drop = q->match == MATCH_LAST || q->match == MATCH_FREQUENCY;
    p->floor = may_drop ? (p->required_count == 0 && p->rungs > 0) : p->rungs;
    return 0;
}

/* The query is one word, one prefix, or one list of alternatives: any match is complete then. */
static bool is_one_group(const struct plan *p, const struct query *q)
{
    if (p->required_count + p->rungs != 1)
        return false;
    if (p->required_count == 1 && p->required[0]->kind == NODE_OR)
        return true;
    if (p->required_count == 1 && p->required[0]->kind != NODE_LEAF)
        return false;
    const struct tree_leaf *leaf = &q->leaves[p->rungs ? p->ladder[0] : p->required[0]->leaf];
    return leaf->scored && leaf->element_count == 1 && leaf->field.len == 0;
}

/* Scores of what is pruned are sums in 32 bits. */
static bool sums_fit(const struct query *q, const struct query_run *run)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < q->leaf_count; i++) {
        const struct tree_leaf *leaf = &q->leaves[i];
        for (size_t k = 0; leaf->scored && k < leaf->element_count; k++) {
            const struct query_weights *w = &run->weights[leaf->elements[k].word];
            uint32_t most = 0;
            for (size_t t = 0; t < w->term_count; t++)
                most = w->terms[t].weight > most ? w->terms[t].weight : most;
            sum += most;
        }
    }
    return sum < INT32_MAX / 2;
}

/* Every scored leaf is one item at the top, and no item is anything else. */
static bool items_are_leaves(const struct plan *p, const struct query *q)
{
    size_t scored = 0;
    for (size_t i = 0; i < q->leaf_count; i++)
        scored += q->leaves[i].scored;
    for (size_t i = 0; i < p->required_count; i++) {
        const struct tree_node *n = p->required[i];
        if (n->kind != NODE_LEAF || !q->leaves[n->leaf].scored || has_rung(p, n->leaf))
            return false;
        for (size_t k = 0; k < i; k++) {
            if (p->required[k]->leaf == n->leaf)
                return false;
        }
    }
    return scored == p->required_count + p->rungs;
}

int plan_make(struct arena *a, const struct query *q, const struct query_run *run, struct plan *out)
{
    int err = make_plan(a, q, run, out);
    if (err)
        return err;
    out->is_union = !q->everything && (q->match == MATCH_ANY || is_one_group(out, q));
    out->prunes = !run->exhaustive && !q->everything && items_are_leaves(out, q) && sums_fit(q, run);
    return 0;
}
