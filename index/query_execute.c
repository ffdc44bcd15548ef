#include "index/query.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/err.h"
#include "index/pairs.h"
#include "index/query_prune.h"
#include "index/query_scan.h"
#include "index/will_need.h"

/* One run of a query over all segments. */
struct execution {
    struct arena *arena;
    const struct query *query;
    const struct query_run *run;
    struct snapshot *snapshot;
    struct query_fault *fault;
    struct plan plan;
    uint32_t *order; /* in which segments are scanned, those with live documents */
    size_t segment_count;
    struct top top;
    uint64_t *counts;
    struct scan_window *window; /* of a union that cannot be pruned */
    struct prune *prune;        /* NULL: it cannot be pruned */
    bool partial;
};

static void scan_segment(const struct plan *p, struct scan *s, size_t must, bool incomplete_only)
{
    if (!p->prunes)
        scan_open(s);
    if (s->scope.err)
        return;
    if (p->is_union) {
        if (!p->prunes)
            scan_union(s);
        else if (s->scope.unscored)
            prune_count_any(s);
        else
            prune_any(s);
    } else if (p->prunes) {
        prune_all(s, must, incomplete_only);
    } else {
        scan_conjunction(s, must, incomplete_only);
    }
}

/* All segments once; the memory that cursors took is given back after each. */
static int scan_all(struct execution *x, size_t must, bool incomplete_only)
{
    for (size_t n = 0; n < x->segment_count && !x->partial; n++) {
        uint32_t i = x->order[n];
        const struct snapshot_segment *segment = &x->snapshot->segments[i];
        size_t mark = arena_mark(x->arena);
        struct scan s = {
            .scope = {.arena = x->arena,
                      .query = x->query,
                      .run = x->run,
                      .segment = segment->segment,
                      .number = i,
                      .kernels = segment_kernels(segment->segment),
                      .unscored = x->top.room == 0,
                      .asks = x->snapshot->asks,
                      .length_codes = segment_length_codes(segment->segment),
                      .documents = segment_documents(segment->segment)},
            .plan = &x->plan,
            .core = segment->core,
            .segment = i,
            .top = &x->top,
            .counts = x->counts,
            .window = x->window,
            .prune = x->prune,
        };
        scan_segment(&x->plan, &s, must, incomplete_only);
        arena_rewind(x->arena, mark);
        if (s.scope.err) {
            *x->fault = (struct query_fault){.segment = i, .part = s.scope.part};
            return s.scope.err;
        }
        x->partial = s.scope.late;
    }
    return 0;
}

static bool is_word(const struct tree_leaf *leaf)
{
    return leaf->scored && leaf->element_count == 1 && leaf->field.len == 0;
}

/* What a leaf stands for in a segment, one term after the other, those that are there; `*at` is 0 at first. */
static bool next_term(const struct execution *x, const struct segment *s, const struct tree_leaf *leaf, size_t *at,
                      struct term *out)
{
    const struct query_weights *weights = is_word(leaf) ? &x->run->weights[leaf->elements[0].word] : NULL;
    size_t count = weights ? weights->term_count : leaf->element_count;
    int err = 0; /* whoever reads it in earnest will meet it again */
    while (*at < count) {
        size_t i = (*at)++;
        if (segment_find_term(s, weights ? weights->terms[i].key : leaf->elements[i].key, out, &err))
            return true;
    }
    return false;
}

/* At most so many documents have the leaf. */
static uint64_t documents_of(const struct execution *x, const struct segment *s, const struct tree_leaf *leaf)
{
    struct term term;
    uint64_t sum = 0, least = UINT64_MAX;
    for (size_t at = 0; next_term(x, s, leaf, &at, &term);) {
        sum += term.documents;
        least = term.documents < least ? term.documents : least;
    }
    return is_word(leaf) ? sum : sum > 0 ? least : 0;
}

/* Of how many documents a conjunction will look at what any list has: the rarest leaf leads. */
static uint64_t documents_of_lead(const struct execution *x, const struct segment *s)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < x->query->leaf_count && !x->plan.is_union; i++) {
        const struct tree_leaf *leaf = &x->query->leaves[i];
        uint64_t documents = leaf->scored ? documents_of(x, s, leaf) : UINT64_MAX;
        least = documents < least ? documents : least;
    }
    return least;
}

static void ask_for_leaf(const struct execution *x, const struct segment *s, const struct tree_leaf *leaf, uint64_t lead,
                         struct page_ranges *r)
{
    struct term term;
    uint64_t own = is_word(leaf) ? UINT64_MAX : documents_of(x, s, leaf);
    for (size_t at = 0; next_term(x, s, leaf, &at, &term);)
        will_need_list(s, &term, own < lead ? own : lead, !is_word(leaf), r);
}

static bool is_frequent(const struct segment *s, struct str key)
{
    struct term term;
    int err = 0; /* whoever reads it in earnest will meet it again */
    return segment_find_term(s, key, &term, &err) && term.documents >= segment_pairs_least(s);
}

typedef void need_pair(const struct segment *s, struct str first, struct str second, struct page_ranges *r);

/* Of the neighbours in all phrases. */
static void ask_for_pairs(const struct execution *x, need_pair *need, struct page_ranges *r)
{
    for (size_t i = 0; i < x->snapshot->segment_count; i++) {
        const struct segment *s = x->snapshot->segments[i].segment;
        bool is_asked = !snapshot_is_dead(&x->snapshot->segments[i]) && segment_pairs_least(s) > 0;
        for (size_t k = 0; is_asked && k < x->query->leaf_count; k++) {
            const struct tree_leaf *leaf = &x->query->leaves[k];
            for (size_t e = 1; e < leaf->element_count; e++) {
                const struct tree_element *first = &leaf->elements[e - 1], *second = first + 1;
                if (second->offset == first->offset + 1 && is_frequent(s, first->key) && is_frequent(s, second->key))
                    need(s, first->key, second->key, r);
            }
        }
    }
    page_ranges_ask(r);
}

/* The lists of all leaves in all segments. */
static void ask_for_lists(const struct execution *x)
{
    struct page_ranges r;
    page_ranges_init(&r);
    ask_for_pairs(x, will_need_pair_words, &r);
    ask_for_pairs(x, will_need_pair_row, &r);
    ask_for_pairs(x, will_need_pair, &r);
    for (size_t n = 0; n < x->segment_count; n++) {
        const struct segment *s = x->snapshot->segments[x->order[n]].segment;
        uint64_t lead = documents_of_lead(x, s);
        if (lead == 0)
            continue;
        for (size_t k = 0; k < x->query->leaf_count; k++)
            ask_for_leaf(x, s, &x->query->leaves[k], lead, &r);
        if (x->top.room > 0 && x->snapshot->asks == ASKS_ALL)
            will_need_columns(s, &r);
    }
    page_ranges_ask(&r);
}

/* First what has all words; only when that is too little, what lacks some. */
static int scan_levels(struct execution *x)
{
    int err = scan_all(x, x->plan.rungs, false);
    const struct query_run *run = x->run;
    bool others_have_enough = run->shared && tagged_max_get(run->shared, run->shared_tag) > 0;
    if (err || top_is_full(&x->top) || others_have_enough || x->plan.floor == x->plan.rungs || x->partial)
        return err;
    return scan_all(x, x->plan.floor, true);
}

static size_t hits_wanted(const struct execution *x)
{
    uint64_t documents = x->snapshot->view->documents;
    return documents < x->run->limit ? (size_t)documents : x->run->limit;
}

/* The largest first: the best of many documents leave little to be looked for in the others. */
static bool order_segments(struct execution *x)
{
    const struct snapshot *s = x->snapshot;
    x->order = arena_new_array(x->arena, s->segment_count, uint32_t);
    for (uint32_t i = 0; x->order && i < s->segment_count; i++) {
        if (snapshot_is_dead(&s->segments[i]))
            continue;
        size_t at = x->segment_count++;
        uint32_t documents = s->segments[i].core->documents;
        for (; at > 0 && s->segments[x->order[at - 1]].core->documents < documents; at--)
            x->order[at] = x->order[at - 1];
        x->order[at] = i;
    }
    return x->order;
}

static int prepare(struct execution *x)
{
    int err = plan_make(x->arena, x->query, x->run, &x->plan);
    if (!err)
        err = top_init(x->arena, hits_wanted(x), &x->top);
    if (err)
        return err;
    bool prunes = x->plan.prunes, has_window = !prunes && x->plan.is_union;
    x->counts = arena_new_array(x->arena, x->plan.rungs + 1, uint64_t);
    x->prune = prunes ? prune_new(x->arena) : NULL;
    x->window = has_window ? arena_new(x->arena, struct scan_window) : NULL;
    bool has_room = order_segments(x) && x->counts && (x->prune || !prunes) && (x->window || !has_window);
    return has_room ? 0 : ERR_FULL;
}

static int finish(struct execution *x, struct query_result *out)
{
    *out = (struct query_result){.partial = x->partial};
    int err = top_hits(&x->top, x->arena, &out->hits);
    if (err)
        return err;
    out->hit_count = x->top.count;
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

/* Where no hits are wanted of the query's only word, which stands for nothing else, round 1 has counted them. */
static bool is_counted(const struct query *q, const struct query_run *run, uint64_t *out)
{
    if (run->limit > 0 || run->exhaustive || q->item_count != 1 || q->leaf_count != 1 || q->word_count != 1)
        return false;
    const struct tree_item *item = &q->items[0];
    const struct tree_word *word = &q->words[0];
    const struct query_weights *w = &run->weights[0];
    bool is_plain = item->role != ITEM_EXCLUDED && item->node->kind == NODE_LEAF && is_word(&q->leaves[0]);
    if (!is_plain || !word->stems || w->term_count != 1 || !str_equal(w->terms[0].key, word->key))
        return false;
    *out = word->live;
    return true;
}

int query_execute(struct arena *a, const struct query *q, struct snapshot *s, const struct query_run *run,
                  struct query_result *out, struct query_fault *fault)
{
    struct execution x = {.arena = a, .query = q, .run = run, .snapshot = s, .fault = fault};
    *out = (struct query_result){0};
    if (is_counted(q, run, &out->estimated_total))
        return 0;
    bool nothing = q->item_count == 0 && !q->everything;
    int err = prepare(&x);
    if (!err && s->asks)
        ask_for_lists(&x);
    if (!err && !nothing)
        err = scan_levels(&x);
    if (err)
        return err;
    return finish(&x, out);
}
