#include "index/phrase_pairs.h"

#include "index/query_phrase.h"

/* ------------------------------------------------------------------------------------------------------------- finding
 */

size_t phrase_first_alike(const struct tree_leaf *leaf, size_t element)
{
    size_t i = 0;
    while (!str_equal(leaf->elements[i].key, leaf->elements[element].key))
        i++;
    return i;
}

/* Keeps the fewest postings in front. */
static void add_pair(struct phrase *p, const struct pair_list *l, size_t element)
{
    size_t at = p->pair_count++;
    for (; at > 0 && p->pairs[at - 1].known.count > l->count; at--)
        p->pairs[at] = p->pairs[at - 1];
    p->pairs[at] = (struct phrase_pair){.known = *l, .owner = (uint32_t)element + !l->of_first};
}

/* False if the element and the next one stand nowhere side by side; documents of all words are known. */
static bool find_pair(struct clause *c, size_t element, uint32_t least)
{
    const struct tree_leaf *leaf = c->leaf;
    const struct tree_element *e = &leaf->elements[element];
    const uint32_t *documents = c->phrase->from;
    struct pair_word first = {e->key, documents[phrase_first_alike(leaf, element)]};
    struct pair_word second = {e[1].key, documents[phrase_first_alike(leaf, element + 1)]};
    struct pair_list l;
    if (e[1].offset != e->offset + 1 || first.documents < least || second.documents < least)
        return true;
    int known = segment_pair(c->scope->segment, &first, &second, &l);
    if (known < 0)
        scope_fail(c->scope, known, "pairs");
    if (known <= 0 || l.count == 0)
        return known == 0;
    add_pair(c->phrase, &l, element);
    return true;
}

bool phrase_find_pairs(struct clause *c)
{
    struct phrase *p = c->phrase;
    uint32_t least = segment_pairs_least(c->scope->segment);
    size_t elements = c->leaf->element_count;
    p->is_pair = p->is_listed = false;
    p->pair_count = 0;
    for (size_t i = 0; least > 0 && i + 1 < elements; i++) {
        if (!find_pair(c, i, least))
            return false;
    }
    p->is_pair = p->pair_count == 1 && elements == 2 && !p->in_field;
    return true;
}

/* -------------------------------------------------------------------------------------------------------------- listed
 */

/* From postings of a list, rising, to their documents. */
static int name_documents(const struct posting_list *l, uint32_t *numbers, size_t count)
{
    struct posting_block b = {.number = NO_BLOCK};
    for (size_t i = 0; i < count;) {
        uint32_t block = numbers[i] / POSTING_BLOCK;
        int err = block_enter(l, block, &b);
        if (err)
            return err;
        block_documents(l, &b);
        for (; i < count && numbers[i] / POSTING_BLOCK == block; i++)
            numbers[i] = b.documents[numbers[i] % POSTING_BLOCK];
    }
    return 0;
}

static uint32_t *read_postings(const struct clause *c, const struct pair_list *l)
{
    struct scope *s = c->scope;
    uint32_t *out = scope_take(s, arena_alloc_unset(s->arena, (l->count + (size_t)KERNEL_OVERWRITE) * sizeof *out));
    int err = out ? segment_pair_postings(s->segment, l, out) : 0;
    if (err)
        scope_fail(s, err, "pairs");
    return err ? NULL : out;
}

static uint32_t *documents_of(const struct clause *c, const struct phrase_pair *pair)
{
    uint32_t *out = read_postings(c, &pair->known);
    int err = out ? name_documents(&c->lists[pair->owner].list, out, pair->known.count) : 0;
    if (err)
        scope_fail(c->scope, err, "postings");
    return err ? NULL : out;
}

/* What both have, in a's room. */
static size_t keep_common(uint32_t *a, size_t count_a, const uint32_t *b, size_t count_b)
{
    size_t count = 0, at = 0;
    for (size_t i = 0; i < count_a; i++) {
        while (at < count_b && b[at] < a[i])
            at++;
        a[count] = a[i];
        count += at < count_b && b[at] == a[i];
    }
    return count;
}

/* Documents of the pair are named, and of those that were before, if any, these are left. */
static void list_pair(const struct clause *c, const struct phrase_pair *pair)
{
    struct phrase *p = c->phrase;
    uint32_t *documents = documents_of(c, pair);
    size_t count = documents ? pair->known.count : 0;
    p->listed_count = p->is_listed ? keep_common(p->listed, p->listed_count, documents, count) : count;
    p->listed = p->is_listed ? p->listed : documents;
    p->is_listed = true;
}

enum { MANY = 8 };

void phrase_list_documents(struct clause *c)
{
    const struct phrase *p = c->phrase;
    bool is_frequent = c->cost >= segment_pairs_least(c->scope->segment);
    for (size_t i = 0; is_frequent && i < p->pair_count && p->pairs[i].known.count <= c->cost / MANY; i++) {
        list_pair(c, &p->pairs[i]);
        c->cost = p->listed_count;
    }
}

/* Those of a pair are listed when they are asked for: who only counts may never ask. */
static bool is_listed(const struct clause *c)
{
    const struct phrase *p = c->phrase;
    if (p->is_pair && !p->is_listed && p->pairs[0].known.count <= p->pairs[0].known.postings / MANY)
        list_pair(c, &p->pairs[0]);
    return p->is_listed;
}

size_t phrase_pair_postings(const struct clause *c, struct phrase_pair *pair, uint32_t from, const uint32_t **out)
{
    if (!pair->postings)
        pair->postings = read_postings(c, &pair->known);
    size_t count = pair->postings ? pair->known.count : 0, at = kernel_below(pair->postings, count, from);
    *out = pair->postings + at;
    return count - at;
}

/* Whether the pair has any in the blocks where documents in [from, end) are. */
static bool pair_may_be(const struct clause *c, struct phrase_pair *pair, uint32_t from, uint32_t end)
{
    const struct posting_list *l = &c->lists[pair->owner].list;
    const uint32_t *postings;
    uint32_t first = list_find(l, 0, from), last = list_find(l, first, end - 1);
    return phrase_pair_postings(c, pair, first * POSTING_BLOCK, &postings) > 0 && postings[0] / POSTING_BLOCK <= last;
}

bool phrase_is_counted(const struct clause *c)
{
    return c->phrase->is_pair;
}

bool phrase_leads(const struct clause *c)
{
    return is_listed(c) && c->phrase->listed_count <= c->lists[0].list.documents;
}

size_t phrase_documents(const struct clause *c, uint32_t from, const uint32_t **out)
{
    const struct phrase *p = c->phrase;
    size_t at = kernel_below(p->listed, p->listed_count, from);
    *out = p->listed + at;
    return p->listed_count - at;
}

bool phrase_may_be(const struct clause *c, uint32_t from, uint32_t end)
{
    const uint32_t *documents;
    if (from >= end)
        return false;
    if (is_listed(c))
        return phrase_documents(c, from, &documents) > 0 && documents[0] < end;
    return !c->phrase->is_pair || pair_may_be(c, &c->phrase->pairs[0], from, end);
}
