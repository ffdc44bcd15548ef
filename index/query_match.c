#include "index/query_match.h"


static struct matcher *new_matcher(struct scope *s, enum match_kind kind)
{
    struct matcher *m = scope_take(s, arena_new(s->arena, struct matcher));
    if (m)
        *m = (struct matcher){.kind = kind, .scope = s};
    return m;
}

/* ------------------------------------------------------------------------------------------------------------ building
 */

struct matcher *matcher_of_leaf(struct scope *s, struct leaf_cursor *shared)
{
    struct matcher *m = new_matcher(s, MATCHER_LEAF);
    if (!m)
        return NULL;
    m->leaf = shared;
    m->cost = shared->cost;
    return m;
}

static void sort_by_cost(struct matcher **list, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct matcher *m = list[i];
        size_t at = i;
        for (; at > 0 && list[at - 1]->cost > m->cost; at--)
            list[at] = list[at - 1];
        list[at] = m;
    }
}

struct matcher *matcher_all_of(struct scope *s, struct matcher **wanted, size_t wanted_count, struct matcher **excluded,
                               size_t excluded_count)
{
    struct matcher *m = new_matcher(s, MATCHER_ALL_OF);
    if (!m)
        return NULL;
    sort_by_cost(wanted, wanted_count);
    m->wanted = wanted;
    m->wanted_count = wanted_count;
    m->excluded = excluded;
    m->excluded_count = excluded_count;
    m->cost = wanted_count > 0 ? wanted[0]->cost : s->documents;
    return m;
}

static struct matcher *leaf_matcher(struct scope *s, const struct tree_leaf *leaf)
{
    struct leaf_cursor *own = scope_take(s, arena_new(s->arena, struct leaf_cursor));
    if (!own)
        return NULL;
    leaf_open(s, leaf, own);
    return matcher_of_leaf(s, own);
}

static size_t count_children(const struct tree_node *n)
{
    size_t count = 0;
    for (const struct tree_node *child = n->first; child; child = child->next)
        count++;
    return count;
}

/* An AND, or a NOT as one without anything wanted. */
static struct matcher *and_matcher(struct scope *s, const struct tree_node *n)
{
    size_t count = n->kind == NODE_NOT ? 1 : count_children(n);
    struct matcher **lists = scope_take(s, arena_new_array(s->arena, 2 * count, struct matcher *));
    size_t wanted = 0, excluded = 0;
    for (const struct tree_node *child = n->kind == NODE_NOT ? n : n->first; child && lists; child = child->next) {
        bool negated = child->kind == NODE_NOT;
        struct matcher *m = matcher_of_node(s, negated ? child->first : child);
        if (!m)
            return NULL;
        if (negated)
            lists[count + excluded++] = m;
        else
            lists[wanted++] = m;
        if (n->kind == NODE_NOT)
            break;
    }
    return lists ? matcher_all_of(s, lists, wanted, lists + count, excluded) : NULL;
}

static struct matcher *or_matcher(struct scope *s, const struct tree_node *n)
{
    struct matcher *m = new_matcher(s, MATCHER_ANY_OF);
    if (m)
        m->wanted = scope_take(s, arena_new_array(s->arena, count_children(n), struct matcher *));
    if (!m || !m->wanted)
        return NULL;
    for (const struct tree_node *child = n->first; child; child = child->next) {
        struct matcher *c = matcher_of_node(s, child);
        if (!c)
            return NULL;
        m->wanted[m->wanted_count++] = c;
        m->cost += c->cost;
    }
    return m;
}

struct matcher *matcher_of_node(struct scope *s, const struct tree_node *n)
{
    if (n->kind == NODE_LEAF)
        return leaf_matcher(s, &s->query->leaves[n->leaf]);
    return n->kind == NODE_OR ? or_matcher(s, n) : and_matcher(s, n);
}

/* ------------------------------------------------------------------------------------------------------------- seeking
 */

static bool is_excluded(struct matcher *m, uint32_t document)
{
    for (size_t i = 0; i < m->excluded_count; i++) {
        if (matcher_seek(m->excluded[i], document) == document)
            return true;
    }
    return false;
}

/* The first document at or after `document` that all wanted ones have. */
static uint32_t align(struct matcher *m, uint32_t document)
{
    for (size_t i = 0; i < m->wanted_count;) {
        uint32_t at = matcher_seek(m->wanted[i], document);
        if (at == POSTINGS_END || (at != document && scope_is_over(m->scope)))
            return POSTINGS_END;
        i = at == document || i == 0 ? i + 1 : 0;
        document = at;
    }
    return document;
}

static uint32_t seek_all(struct matcher *m, uint32_t document)
{
    for (;; document++) {
        document = align(m, document);
        if (document >= m->scope->documents || scope_is_over(m->scope))
            return POSTINGS_END;
        if (!is_excluded(m, document))
            return document;
    }
}

static uint32_t seek_any(struct matcher *m, uint32_t document)
{
    uint32_t first = POSTINGS_END;
    for (size_t i = 0; i < m->wanted_count; i++) {
        uint32_t at = matcher_seek(m->wanted[i], document);
        if (at < first)
            first = at;
    }
    return first;
}

uint32_t matcher_seek(struct matcher *m, uint32_t document)
{
    if (m->kind == MATCHER_LEAF) {
        leaf_seek(m->leaf, document);
        return m->leaf->document;
    }
    if (!m->placed || m->document < document) {
        m->document = m->kind == MATCHER_ALL_OF ? seek_all(m, document) : seek_any(m, document);
        m->placed = true;
    }
    return m->document;
}
