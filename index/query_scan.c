#include "index/query_scan.h"

#include <string.h>


void scan_open(struct scan *s)
{
    const struct query *q = s->scope.query;
    s->scorers = scope_take(&s->scope, arena_new_array(s->scope.arena, q->leaf_count, struct leaf_cursor));
    for (size_t i = 0; i < q->leaf_count && !s->scope.err; i++) {
        if (q->leaves[i].scored)
            leaf_open(&s->scope, &q->leaves[i], &s->scorers[i]);
    }
}

/* An item of the top level; a leaf by its scorer's cursor, since both only go forwards together. */
static struct matcher *item_matcher(struct scan *s, const struct tree_node *n)
{
    if (n->kind == NODE_LEAF && s->scope.query->leaves[n->leaf].scored)
        return matcher_of_leaf(&s->scope, &s->scorers[n->leaf]);
    return matcher_of_node(&s->scope, n);
}

struct matcher **scan_matchers(struct scan *s, const struct tree_node **nodes, size_t count)
{
    struct matcher **list = scope_take(&s->scope, arena_new_array(s->scope.arena, count, struct matcher *));
    for (size_t i = 0; i < count && !s->scope.err; i++)
        list[i] = matcher_of_node(&s->scope, nodes[i]);
    return list;
}

static struct matcher **item_matchers(struct scan *s, const struct tree_node **nodes, size_t count, size_t more)
{
    struct matcher **list = scope_take(&s->scope, arena_new_array(s->scope.arena, count + more, struct matcher *));
    for (size_t i = 0; i < count && !s->scope.err; i++)
        list[i] = item_matcher(s, nodes[i]);
    return list;
}

/* --------------------------------------------------------------------------------------------------------- conjunction
 */

/* What a conjunction is made of, to make it again when fewer words may be missing. */
struct requirement {
    struct matcher **required, **excluded;
    size_t must;
    struct matcher *all;
};

static void require(struct scan *s, struct requirement *r, size_t must)
{
    const struct plan *p = s->plan;
    struct matcher **wanted = scope_take(&s->scope, arena_new_array(s->scope.arena, p->required_count + must, struct matcher *));
    if (s->scope.err)
        return;
    if (p->required_count > 0)
        memcpy(wanted, r->required, p->required_count * sizeof(struct matcher *));
    for (size_t i = 0; i < must && !s->scope.err; i++)
        wanted[p->required_count + i] = matcher_of_leaf(&s->scope, &s->scorers[p->ladder[i]]);
    if (s->scope.err)
        return;
    r->must = must;
    r->all = matcher_all_of(&s->scope, wanted, p->required_count + must, r->excluded, p->excluded_count);
}

/* Rungs from the lowest on that the document has. */
static size_t rungs_kept(struct scan *s, size_t from, uint32_t document)
{
    for (; from < s->plan->rungs; from++) {
        struct leaf_cursor *c = &s->scorers[s->plan->ladder[from]];
        leaf_seek(c, document);
        if (c->document != document)
            break;
    }
    return from;
}

static uint64_t score_of(struct scan *s, uint32_t document)
{
    int64_t sum = 0;
    for (size_t i = 0; i < s->scope.query->leaf_count; i++) {
        struct leaf_cursor *c = &s->scorers[i];
        if (!c->scope)
            continue;
        leaf_seek(c, document);
        if (c->document == document)
            sum += leaf_score(c);
    }
    return (uint64_t)sum;
}

void scan_offer(struct scan *s, uint32_t dropped, uint64_t score, uint32_t document)
{
    if (!top_may_take(s->top, dropped, score))
        return;
    struct top_entry entry = {
        .rank = top_rank(dropped, score),
        .stamp = segment_stamps(s->scope.segment)[document],
        .segment = s->segment,
        .document = document,
    };
    top_add(s->top, &entry);
}

size_t scan_rungs_needed(const struct scan *s, size_t must)
{
    if (!top_is_full(s->top) || s->top->room == 0)
        return must;
    size_t needed = s->plan->rungs - top_worst_dropped(s->top);
    return needed > must ? needed : must;
}

static void take_document(struct scan *s, const struct requirement *r, bool incomplete_only, uint32_t document)
{
    if (core_is_deleted(s->core, document))
        return;
    uint32_t dropped = (uint32_t)(s->plan->rungs - rungs_kept(s, r->must, document));
    if (incomplete_only && dropped == 0)
        return;
    s->counts[dropped]++;
    if (!top_may_take(s->top, dropped, TOP_MOST_SCORE))
        return;
    uint64_t score = score_of(s, document);
    if (!s->scope.err)
        scan_offer(s, dropped, score, document);
}

void scan_conjunction(struct scan *s, size_t must, bool incomplete_only)
{
    const struct plan *p = s->plan;
    struct requirement r = {
        .required = item_matchers(s, p->required, p->required_count, 0),
        .excluded = item_matchers(s, p->excluded, p->excluded_count, 0),
    };
    if (!s->scope.err)
        require(s, &r, scan_rungs_needed(s, must));
    for (uint32_t document = 0; !s->scope.err; document++) {
        document = matcher_seek(r.all, document);
        if (document == POSTINGS_END)
            return;
        take_document(s, &r, incomplete_only, document);
        size_t needed = scan_rungs_needed(s, r.must);
        if (needed > r.must && !s->scope.err)
            require(s, &r, needed);
    }
}

/* --------------------------------------------------------------------------------------------------------------- union
 */

struct parts {
    struct matcher **items;
    size_t item_count;
    struct matcher **excluded;
    bool *is_item;   /* per leaf: it stands at the top by itself */
    bool has_others; /* leaves that score but do not match: they leave sums where nothing was seen */
};

static bool open_parts(struct scan *s, struct parts *out)
{
    const struct plan *p = s->plan;
    out->is_item = scope_take(&s->scope, arena_new_array(s->scope.arena, s->scope.query->leaf_count, bool));
    out->items = item_matchers(s, p->required, p->required_count, p->rungs);
    out->excluded = item_matchers(s, p->excluded, p->excluded_count, 0);
    if (s->scope.err)
        return false;
    out->item_count = p->required_count;
    for (size_t i = 0; i < p->required_count; i++) {
        if (p->required[i]->kind == NODE_LEAF)
            out->is_item[p->required[i]->leaf] = true;
    }
    for (size_t i = 0; i < p->rungs && !s->scope.err; i++) {
        out->items[out->item_count++] = matcher_of_leaf(&s->scope, &s->scorers[p->ladder[i]]);
        out->is_item[p->ladder[i]] = true;
    }
    for (size_t i = 0; i < s->scope.query->leaf_count; i++)
        out->has_others |= s->scope.query->leaves[i].scored && !out->is_item[i];
    return !s->scope.err;
}

/* The beginning of the next window with anything in it. */
static uint32_t next_window(const struct parts *p, uint32_t from)
{
    uint32_t first = POSTINGS_END;
    for (size_t i = 0; i < p->item_count; i++) {
        uint32_t at = matcher_seek(p->items[i], from);
        if (at < first)
            first = at;
    }
    return first == POSTINGS_END ? POSTINGS_END : first & ~(uint32_t)(SCAN_WINDOW - 1);
}

static void fill_window(struct scan *s, const struct parts *p, uint32_t base, uint32_t end)
{
    struct scan_window *w = s->window;
    memset(w->seen, 0, sizeof w->seen);
    if (p->has_others)
        memset(w->sums, 0, sizeof w->sums);
    for (size_t i = 0; i < p->item_count; i++) {
        if (p->items[i]->kind == MATCHER_LEAF)
            continue;
        for (uint32_t d = matcher_seek(p->items[i], base); d < end; d = matcher_seek(p->items[i], d + 1))
            w->seen[(d - base) / 64] |= UINT64_C(1) << (d % 64);
    }
    for (size_t i = 0; i < s->scope.query->leaf_count; i++) {
        struct leaf_cursor *c = &s->scorers[i];
        if (!c->scope)
            continue;
        leaf_seek(c, base);
        if (s->top->room > 0)
            leaf_accumulate(c, base, end, w->sums, p->is_item[i] ? w->seen : NULL, w->scratch);
        else if (p->is_item[i])
            leaf_mark(c, base, end, w->seen);
    }
}

/* Deletion marks of 64 documents: chunks are whole windows. */
static uint64_t deleted_bits(const struct core_segment *core, uint32_t document)
{
    size_t chunk = document / CHUNK_DOCUMENTS;
    if (chunk >= core->chunk_count || !core->chunks[chunk])
        return 0;
    return core->chunks[chunk]->bits[document % CHUNK_DOCUMENTS / 64];
}

static bool is_excluded(const struct scan *s, const struct parts *p, uint32_t document)
{
    for (size_t i = 0; i < s->plan->excluded_count; i++) {
        if (matcher_seek(p->excluded[i], document) == document)
            return true;
    }
    return false;
}

static void drain_window(struct scan *s, const struct parts *p, uint32_t base)
{
    struct scan_window *w = s->window;
    for (uint32_t i = 0; i < SCAN_WINDOW / 64; i++) {
        uint64_t deleted = w->seen[i] ? deleted_bits(s->core, base + 64 * i) : 0;
        for (uint64_t bits = w->seen[i]; bits; bits &= bits - 1) {
            uint32_t bit = (uint32_t)__builtin_ctzll(bits), at = 64 * i + bit;
            uint64_t score = (uint64_t)w->sums[at];
            w->sums[at] = 0;
            if ((deleted >> bit & 1) || is_excluded(s, p, base + at))
                continue;
            s->counts[0]++;
            scan_offer(s, 0, score, base + at);
        }
    }
}

void scan_union(struct scan *s)
{
    struct parts p = {0};
    if (!open_parts(s, &p))
        return;
    uint32_t base = next_window(&p, 0);
    while (base != POSTINGS_END && !scope_is_over_now(&s->scope)) {
        uint32_t end = s->scope.documents - base > SCAN_WINDOW ? base + SCAN_WINDOW : s->scope.documents;
        fill_window(s, &p, base, end);
        if (s->scope.err)
            return;
        drain_window(s, &p, base);
        base = next_window(&p, end);
    }
}
