#include "index/query.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/err.h"
#include "index/query_prune.h"
#include "index/query_scan.h"

/* One run of a query over all segments. */
struct execution {
    struct arena *arena;
    const struct query *query;
    const struct query_run *run;
    struct snapshot *snapshot;
    struct query_fault *fault;
    struct plan plan;
    struct top top;
    uint64_t *counts;
    struct scan_window *window; /* of a union that cannot be pruned */
    struct prune *prune;        /* NULL: it cannot be pruned */
    bool partial;
};

/* ------------------------------------------------------------------------------------------------------------ planning
 */

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
static int make_plan(struct execution *x)
{
    const struct query *q = x->query;
    struct plan *p = &x->plan;
    p->ladder = arena_new_array(x->arena, q->item_count + 1, uint32_t);
    p->required = arena_array(x->arena, q->item_count + 1, sizeof *p->required);
    p->excluded = arena_array(x->arena, q->item_count + 1, sizeof *p->excluded);
    if (!p->ladder || !p->required || !p->excluded)
        return ERR_FULL;
    sort_items(p, q);
    if (q->match == MATCH_FREQUENCY)
        order_by_frequency(p, q, x->run);
    bool may_drop = q->match == MATCH_LAST || q->match == MATCH_FREQUENCY;
    p->floor = may_drop ? (p->required_count == 0 && p->rungs > 0) : p->rungs;
    return 0;
}

/* ----------------------------------------------------------------------------------------------------------- executing
 */

/* The query is one prefix, or one list of alternatives: any match is complete then. */
static bool is_one_group(const struct execution *x)
{
    const struct plan *p = &x->plan;
    if (p->required_count + p->rungs != 1)
        return false;
    if (p->required_count == 1 && p->required[0]->kind == NODE_OR)
        return true;
    if (p->required_count == 1 && p->required[0]->kind != NODE_LEAF)
        return false;
    const struct tree_leaf *leaf = &x->query->leaves[p->rungs ? p->ladder[0] : p->required[0]->leaf];
    return leaf->scored && x->query->words[leaf->elements[0].word].prefix;
}

static bool is_union(const struct execution *x)
{
    return !x->query->everything && (x->query->match == MATCH_ANY || is_one_group(x));
}

/* ------------------------------------------------------------------------------------------------------------ pruning
 */

/* Scores of what is pruned are sums in 32 bits. */
static bool sums_fit(const struct execution *x)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < x->query->leaf_count; i++) {
        const struct tree_leaf *leaf = &x->query->leaves[i];
        for (size_t k = 0; leaf->scored && k < leaf->element_count; k++) {
            const struct query_weights *w = &x->run->weights[leaf->elements[k].word];
            uint32_t most = 0;
            for (size_t t = 0; t < w->term_count; t++)
                most = w->terms[t].weight > most ? w->terms[t].weight : most;
            sum += most;
        }
    }
    return sum < INT32_MAX / 2;
}

/* Every scored leaf is one item at the top, and no item is anything else. */
static bool items_are_leaves(const struct execution *x)
{
    const struct plan *p = &x->plan;
    size_t scored = 0;
    for (size_t i = 0; i < x->query->leaf_count; i++)
        scored += x->query->leaves[i].scored;
    for (size_t i = 0; i < p->required_count; i++) {
        const struct tree_node *n = p->required[i];
        if (n->kind != NODE_LEAF || !x->query->leaves[n->leaf].scored || has_rung(p, n->leaf))
            return false;
        for (size_t k = 0; k < i; k++) {
            if (p->required[k]->leaf == n->leaf)
                return false;
        }
    }
    return scored == p->required_count + p->rungs;
}

static bool can_prune(const struct execution *x)
{
    return !x->run->exhaustive && !x->query->everything && items_are_leaves(x) && sums_fit(x);
}

static void scan_segment(struct execution *x, struct scan *s, size_t must, bool incomplete_only)
{
    if (x->prune) {
        if (is_union(x) && x->top.room == 0)
            prune_count_any(s);
        else if (is_union(x))
            prune_any(s);
        else
            prune_all(s, must, incomplete_only);
        return;
    }
    scan_open(s);
    if (s->scope.err)
        return;
    if (is_union(x))
        scan_union(s);
    else
        scan_conjunction(s, must, incomplete_only);
}

/* All segments once; the memory that cursors took is given back after each. */
static int scan_all(struct execution *x, size_t must, bool incomplete_only)
{
    for (size_t i = 0; i < x->snapshot->segment_count && !x->partial; i++) {
        const struct snapshot_segment *segment = &x->snapshot->segments[i];
        size_t mark = arena_mark(x->arena);
        struct scan s = {
            .scope = {.arena = x->arena,
                      .query = x->query,
                      .run = x->run,
                      .segment = segment->segment,
                      .kernels = kernels_best(),
                      .unscored = x->top.room == 0,
                      .length_codes = segment_length_codes(segment->segment),
                      .documents = segment_documents(segment->segment)},
            .plan = &x->plan,
            .core = segment->core,
            .segment = (uint32_t)i,
            .top = &x->top,
            .counts = x->counts,
            .window = x->window,
            .prune = x->prune,
        };
        scan_segment(x, &s, must, incomplete_only);
        arena_rewind(x->arena, mark);
        if (s.scope.err) {
            *x->fault = (struct query_fault){.segment = i, .part = s.scope.part};
            return s.scope.err;
        }
        x->partial = s.scope.late;
    }
    return 0;
}

/* First what has all words; only when that is too little, what lacks some. */
static int scan_levels(struct execution *x)
{
    int err = scan_all(x, x->plan.rungs, false);
    if (err || top_is_full(&x->top) || x->plan.floor == x->plan.rungs || x->partial)
        return err;
    return scan_all(x, x->plan.floor, true);
}

static size_t hits_wanted(const struct execution *x)
{
    uint64_t documents = x->snapshot->view->documents;
    return documents < x->run->limit ? (size_t)documents : x->run->limit;
}

static int prepare(struct execution *x)
{
    int err = make_plan(x);
    if (!err)
        err = top_init(x->arena, hits_wanted(x), &x->top);
    if (err)
        return err;
    x->counts = arena_new_array(x->arena, x->plan.rungs + 1, uint64_t);
    bool prunes = can_prune(x), has_window = !prunes && is_union(x);
    x->prune = prunes ? arena_alloc_unset(x->arena, sizeof *x->prune) : NULL;
    if (x->prune)
        x->prune->is_window_clear = false;
    x->window = has_window ? arena_new(x->arena, struct scan_window) : NULL;
    return x->counts && (x->prune || !prunes) && (x->window || !has_window) ? 0 : ERR_FULL;
}

static int finish(struct execution *x, struct query_result *out)
{
    *out = (struct query_result){.hit_count = x->top.count, .partial = x->partial};
    int err = top_hits(&x->top, x->arena, &out->hits);
    if (err)
        return err;
    size_t last = 0;
    if (x->top.room > 0)
        last = top_is_full(&x->top) ? out->hits[x->top.count - 1].dropped : x->plan.rungs;
    for (size_t dropped = 0; dropped <= last; dropped++)
        out->estimated_total += x->counts[dropped];
    uint64_t documents = x->snapshot->view->documents;
    if (out->estimated_total < out->hit_count)
        out->estimated_total = out->hit_count;
    if (out->estimated_total > documents)
        out->estimated_total = documents;
    return 0;
}

int query_execute(struct arena *a, const struct query *q, struct snapshot *s, const struct query_run *run,
                  struct query_result *out, struct query_fault *fault)
{
    struct execution x = {.arena = a, .query = q, .run = run, .snapshot = s, .fault = fault};
    bool nothing = q->item_count == 0 && !q->everything;
    int err = prepare(&x);
    if (!err && !nothing)
        err = scan_levels(&x);
    if (err)
        return err;
    return finish(&x, out);
}
