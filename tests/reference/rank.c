#include "tests/reference/rank.h"

#include <stdlib.h>

#include "index/score.h"
#include "proto/weight.h"
#include "tests/reference/edits.h"

enum { CANDIDATES = 1000, MEMBERS = 50 };

/* What a word of the query may be in a document. */
struct member {
    uint32_t edits;    /* above 0: a guess of what a misspelt word means */
    uint32_t distance; /* 0: the word by its stem, 1: another that begins with it */
    bool is_stem;      /* else a folded word of another stem, which counts once */
    uint32_t term;     /* number in corpus.words */
    struct str text;
    uint64_t frequency;
    uint32_t weight;
};

struct group {
    struct member *members;
    size_t count;
    uint64_t frequency;
};

struct ranking {
    struct corpus *corpus;
    const struct expression *expression;
    const struct options *options;
    float norms[256];
    struct group *groups;       /* per leaf of one word */
    uint32_t **phrase_weights;  /* per leaf, per word of a phrase or of a field */
    const struct item **ladder; /* droppable words, the first to be dropped last */
    size_t rungs;
    size_t floor; /* rungs that a hit has at least */
    bool *has;    /* per leaf, of the document in hand */
};

/* ------------------------------------------------------------------------------------------------------------- members
 */

/* Of two with the same text the stem comes first, as its key does in a dictionary. */
static int by_kind_and_text(const struct member *a, const struct member *b)
{
    if (a->is_stem != b->is_stem)
        return a->is_stem ? -1 : 1;
    return str_compare(a->text, b->text);
}

static int by_nearness(const void *left, const void *right)
{
    const struct member *a = left, *b = right;
    if (a->edits != b->edits)
        return a->edits < b->edits ? -1 : 1;
    if (a->distance != b->distance)
        return a->distance < b->distance ? -1 : 1;
    if (a->text.len != b->text.len)
        return a->text.len < b->text.len ? -1 : 1;
    return by_kind_and_text(a, b);
}

static int by_worth(const void *left, const void *right)
{
    const struct member *a = left, *b = right;
    if (a->edits != b->edits)
        return a->edits < b->edits ? -1 : 1;
    if (a->distance != b->distance)
        return a->distance < b->distance ? -1 : 1;
    if (a->frequency != b->frequency)
        return a->frequency > b->frequency ? -1 : 1;
    return by_kind_and_text(a, b);
}

static void add_member(struct group *g, uint32_t distance, uint32_t edits, bool is_stem, uint32_t term,
                       const struct corpus *c)
{
    uint64_t frequency = is_stem ? c->stem_frequency[term] : c->word_frequency[term];
    if (frequency)
        g->members[g->count++] = (struct member){.edits = edits,
                                                 .distance = distance,
                                                 .is_stem = is_stem,
                                                 .term = term,
                                                 .text = c->words.list[term],
                                                 .frequency = frequency};
}

static bool begins_with(struct str text, struct str prefix)
{
    return text.len >= prefix.len && str_equal((struct str){text.ptr, prefix.len}, prefix);
}

static void add_prefixed(struct group *g, const struct leaf *l, const struct corpus *c)
{
    for (uint32_t term = 0; term < c->words.count; term++) {
        struct str text = c->words.list[term];
        if (!begins_with(text, l->words[0]))
            continue;
        if (!str_equal(text, l->stems[0]))
            add_member(g, 1, 0, true, term, c);
        if (!str_equal(text, l->words[0]))
            add_member(g, 1, 0, false, term, c);
    }
}

/* A word that no document has may be misspelt. */
static void add_guesses(struct group *g, const struct leaf *l, const struct corpus *c)
{
    uint32_t allowed = edits_allowed(l->words[0]);
    for (uint32_t term = 0; term < c->words.count && allowed; term++) {
        uint32_t edits = edits_between(l->words[0], c->words.list[term], allowed);
        if (edits == 0 || edits > allowed)
            continue;
        add_member(g, 0, edits, true, term, c);
        add_member(g, 0, edits, false, term, c);
    }
}

static void choose(struct group *g)
{
    qsort(g->members, g->count, sizeof *g->members, by_nearness);
    if (g->count > CANDIDATES)
        g->count = CANDIDATES;
    qsort(g->members, g->count, sizeof *g->members, by_worth);
    if (g->count > MEMBERS)
        g->count = MEMBERS;
}

static void make_group(struct ranking *r, const struct leaf *l, struct group *g)
{
    struct corpus *c = r->corpus;
    uint32_t term;
    g->members = corpus_alloc(c, 2 * c->words.count + 1, sizeof *g->members);
    if (names_find(&c->words, l->stems[0], &term))
        add_member(g, 0, 0, true, term, c);
    if (l->prefix)
        add_prefixed(g, l, c);
    if (g->count == 0 && !l->literal)
        add_guesses(g, l, c);
    choose(g);
    for (size_t i = 0; i < g->count; i++) {
        struct member *m = &g->members[i];
        m->weight = weight_of_term(l->times, m->frequency, c->live) / (1 + m->edits);
        g->frequency = m->frequency > g->frequency ? m->frequency : g->frequency;
    }
}

/* Each word of a phrase counts as often as it stands in it; its first occurrence carries the weight. */
static uint32_t *phrase_weights(struct ranking *r, const struct leaf *l)
{
    struct corpus *c = r->corpus;
    uint32_t *weights = corpus_alloc(c, l->count, sizeof *weights);
    for (size_t i = 0; i < l->count; i++) {
        uint32_t times = l->count == 1 ? l->times : 0, term;
        bool first = true;
        for (size_t k = 0; k < l->count && l->count > 1; k++) {
            bool same = str_equal(l->stems[i], l->stems[k]);
            times += same;
            first = first && !(same && k < i);
        }
        if (first && l->scored && names_find(&c->words, l->stems[i], &term) && c->stem_frequency[term])
            weights[i] = weight_of_term(times, c->stem_frequency[term], c->live);
    }
    return weights;
}

/* ---------------------------------------------------------------------------------------------------- one document
 */

static uint32_t field_weight(const struct ranking *r, uint32_t field)
{
    return settings_weight(&r->corpus->settings, r->corpus->fields.list[field]);
}

/* T of a stem; `field` empty: in all fields. */
static uint32_t t_of_stem(const struct ranking *r, const struct document *d, uint32_t stem, struct str field)
{
    uint32_t t = 0;
    for (size_t i = 0; i < d->count; i++) {
        const struct occurrence *o = &d->occurrences[i];
        if (o->stem == stem && (field.len == 0 || str_equal(field, r->corpus->fields.list[o->field])))
            t += field_weight(r, o->field);
    }
    return t;
}

static uint32_t t_of_member(const struct ranking *r, const struct document *d, const struct member *m)
{
    if (m->is_stem)
        return t_of_stem(r, d, m->term, (struct str){0});
    for (size_t i = 0; i < d->count; i++)
        if (d->occurrences[i].word == m->term)
            return 1;
    return 0;
}

/* Whether the document has a word of the group; its largest contribution. */
static bool group_score(const struct ranking *r, const struct document *d, const struct group *g, int64_t *out)
{
    bool has = false;
    *out = 0;
    for (size_t i = 0; i < g->count; i++) {
        uint32_t t = t_of_member(r, d, &g->members[i]);
        int32_t score = t ? score_contribution(g->members[i].weight, t, r->norms[d->length_code]) : 0;
        has = has || t;
        *out = score > *out ? score : *out;
    }
    return has;
}

static bool stands_at(const struct document *d, uint32_t stem, uint32_t at)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->occurrences[i].stem == stem && d->occurrences[i].at == at)
            return true;
    return false;
}

static bool phrase_stands(const struct ranking *r, const struct document *d, const struct leaf *l)
{
    for (size_t i = 0; i < d->count; i++) {
        const struct occurrence *o = &d->occurrences[i];
        if (l->field.len && !str_equal(l->field, r->corpus->fields.list[o->field]))
            continue;
        size_t k = 0;
        uint32_t stem;
        while (k < l->count && names_find(&r->corpus->words, l->stems[k], &stem) &&
               stands_at(d, stem, o->at + l->offsets[k]))
            k++;
        if (k == l->count)
            return true;
    }
    return false;
}

static int64_t phrase_score(const struct ranking *r, const struct document *d, const struct leaf *l,
                            const uint32_t *weights)
{
    int64_t sum = 0;
    for (size_t i = 0; i < l->count; i++) {
        uint32_t stem;
        if (weights[i] && names_find(&r->corpus->words, l->stems[i], &stem))
            sum += score_contribution(weights[i], t_of_stem(r, d, stem, l->field), r->norms[d->length_code]);
    }
    return sum;
}

static bool holds(const struct ranking *r, const struct node *n)
{
    if (n->kind == KIND_LEAF)
        return r->has[n->leaf];
    if (n->kind == KIND_NOT)
        return !holds(r, n->first);
    for (const struct node *child = n->first; child; child = child->next)
        if (holds(r, child) != (n->kind == KIND_AND))
            return n->kind == KIND_OR;
    return n->kind == KIND_AND;
}

/* Fills r->has; the sum over the leaves that the document has. */
static uint64_t score_leaves(struct ranking *r, const struct document *d)
{
    int64_t sum = 0;
    for (size_t i = 0; i < r->expression->leaf_count; i++) {
        const struct leaf *l = &r->expression->leaves[i];
        int64_t score = 0;
        if (l->count == 1 && l->field.len == 0)
            r->has[i] = group_score(r, d, &r->groups[i], &score);
        else
            r->has[i] = phrase_stands(r, d, l);
        if (r->has[i] && (l->count > 1 || l->field.len))
            score = phrase_score(r, d, l, r->phrase_weights[i]);
        if (r->has[i] && l->scored)
            sum += score;
    }
    return (uint64_t)sum;
}

/* Whether it is a hit, and with how many words dropped. */
static bool is_hit(const struct ranking *r, uint32_t *out_dropped)
{
    bool any = r->expression->everything;
    size_t kept = 0;
    for (const struct item *item = r->expression->items; item; item = item->next) {
        bool has = holds(r, item->node);
        if (item->role == ROLE_EXCLUDED && has)
            return false;
        if (item->role == ROLE_REQUIRED && !has && r->options->match != MATCHES_ANY)
            return false;
        any = any || (item->role != ROLE_EXCLUDED && has);
    }
    while (kept < r->rungs && r->has[r->ladder[kept]->node->leaf])
        kept++;
    *out_dropped = r->options->match == MATCHES_ANY ? 0 : (uint32_t)(r->rungs - kept);
    if (r->options->match == MATCHES_ANY)
        return any;
    return (r->expression->items || r->expression->everything) && kept >= r->floor;
}

/* ------------------------------------------------------------------------------------------------------------- ranking
 */

static bool has_rung(const struct ranking *r, size_t leaf)
{
    for (size_t i = 0; i < r->rungs; i++)
        if (r->ladder[i]->node->leaf == leaf)
            return true;
    return false;
}

/* For MATCHES_FREQUENCY the most frequent words come last, of equal ones in the order of the query. */
static void sort_ladder(struct ranking *r)
{
    for (size_t pass = 0; pass < r->rungs; pass++)
        for (size_t i = 1; i < r->rungs; i++)
            if (r->groups[r->ladder[i - 1]->node->leaf].frequency > r->groups[r->ladder[i]->node->leaf].frequency) {
                const struct item *item = r->ladder[i];
                r->ladder[i] = r->ladder[i - 1];
                r->ladder[i - 1] = item;
            }
}

static void make_ladder(struct ranking *r)
{
    size_t items = 0;
    bool required = false;
    for (const struct item *item = r->expression->items; item; item = item->next)
        items++;
    r->ladder = corpus_alloc(r->corpus, items, sizeof(struct item *));
    for (const struct item *item = r->expression->items; item; item = item->next) {
        required = required || item->role == ROLE_REQUIRED;
        if (item->role == ROLE_DROPPABLE && !has_rung(r, item->node->leaf))
            r->ladder[r->rungs++] = item;
    }
    if (r->options->match == MATCHES_FREQUENCY)
        sort_ladder(r);
    bool drops = r->options->match == MATCHES_LAST || r->options->match == MATCHES_FREQUENCY;
    r->floor = !drops ? r->rungs : !required && r->rungs ? 1 : 0;
}

static void weigh(struct ranking *r)
{
    size_t leaves = r->expression->leaf_count;
    weight_norms(r->norms, length_decoded, r->corpus->live, r->corpus->total_length);
    r->groups = corpus_alloc(r->corpus, leaves, sizeof *r->groups);
    r->phrase_weights = corpus_alloc(r->corpus, leaves, sizeof *r->phrase_weights);
    r->has = corpus_alloc(r->corpus, leaves, sizeof *r->has);
    for (size_t i = 0; i < leaves; i++) {
        const struct leaf *l = &r->expression->leaves[i];
        if (l->count == 1 && l->field.len == 0)
            make_group(r, l, &r->groups[i]);
        else
            r->phrase_weights[i] = phrase_weights(r, l);
    }
}

static int by_rank(const void *left, const void *right)
{
    const struct hit *a = left, *b = right;
    if (a->dropped != b->dropped)
        return a->dropped < b->dropped ? -1 : 1;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return a->document->stamp < b->document->stamp ? -1 : 1;
}

size_t rank(struct corpus *c, const struct expression *e, const struct options *options, struct hit **out)
{
    struct ranking r = {.corpus = c, .expression = e, .options = options};
    struct hit *hits = corpus_alloc(c, c->live, sizeof *hits);
    size_t count = 0;
    weigh(&r);
    make_ladder(&r);
    for (size_t n = 0; n < c->ids.count; n++) {
        struct hit hit = {.document = &c->documents[n]};
        if (!hit.document->live)
            continue;
        hit.score = score_leaves(&r, hit.document);
        if (is_hit(&r, &hit.dropped))
            hits[count++] = hit;
    }
    qsort(hits, count, sizeof *hits, by_rank);
    *out = hits;
    return count;
}
