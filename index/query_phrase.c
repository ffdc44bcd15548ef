#include "index/query_phrase.h"

#include <string.h>

#include "common/err.h"
#include "index/phrase_pairs.h"
#include "index/score.h"
#include "index/will_need.h"

/* ------------------------------------------------------------------------------------------------------------- opening
 */

/* The first element with each word, the rarest word first: how many words; 0 if one is not in the segment. */
static size_t rank_elements(const struct clause *c, uint32_t *out)
{
    const struct tree_leaf *leaf = c->leaf;
    uint32_t *documents = c->phrase->from; /* of each element; it is set when there is a document in hand */
    size_t count = 0;
    for (uint32_t i = 0; i < leaf->element_count; i++) {
        if (phrase_first_alike(leaf, i) < i)
            continue;
        documents[i] = scored_documents(c->scope, leaf->elements[i].key);
        if (documents[i] == 0)
            return 0;
        size_t at = count++;
        for (; at > 0 && documents[out[at - 1]] > documents[i]; at--)
            out[at] = out[at - 1];
        out[at] = i;
    }
    return count;
}

/* Each distinct word once, the rarest first; false if the phrase is not in the segment. */
static bool open_lists(struct clause *c)
{
    uint32_t *ranked = c->phrase->lists; /* it is set once the lists are known */
    size_t count = rank_elements(c, ranked);
    if (count == 0 || !phrase_find_pairs(c))
        return false;
    for (; c->list_count < count; c->list_count++) {
        const struct tree_element *e = &c->leaf->elements[ranked[c->list_count]];
        struct scored_list *l = &c->lists[c->list_count];
        if (!scored_open(c->scope, e->key, scope_element_weight(c->scope, e), l))
            return false;
        c->bound += l->bound;
    }
    c->cost = c->phrase->is_pair ? c->phrase->pairs[0].known.count : c->lists[0].list.documents;
    return true;
}

/* Of a phrase in any field there is nothing to find. */
static bool find_field(struct clause *c)
{
    struct phrase *p = c->phrase;
    p->in_field = c->leaf->field.len > 0;
    return !p->in_field || scope_find_field(c->scope, c->leaf->field, &p->field, &p->field_weight);
}

static bool make_room(struct clause *c)
{
    struct arena *a = c->scope->arena;
    size_t elements = c->leaf->element_count;
    struct phrase *p = c->phrase = arena_alloc_unset(a, sizeof *p); /* most of it is room for candidates */
    c->lists = scored_array(a, elements);
    if (!p || !c->lists)
        return false;
    p->lists = arena_new_array(a, elements, uint32_t);
    p->from = arena_new_array(a, elements, uint32_t);
    p->standing = arena_new_array(a, elements, struct standing);
    p->pairs = arena_alloc_unset(a, elements * sizeof *p->pairs);
    p->places = (struct places){.arena = a};
    p->ordinals = arena_alloc_unset(a, (elements * POSTING_BLOCK + KERNEL_OVERWRITE) * sizeof *p->ordinals);
    return p->lists && p->from && p->standing && p->pairs && p->ordinals;
}

/* Each element's list, and how far the list's positions are moved: to where the last element would stand. */
static void name_lists(struct clause *c)
{
    const struct tree_leaf *leaf = c->leaf;
    struct phrase *p = c->phrase;
    p->meets = c->list_count == leaf->element_count && !p->in_field;
    p->longest = leaf->elements[leaf->element_count - 1].offset;
    for (size_t i = 0; i < leaf->element_count; i++) {
        uint32_t list = 0;
        while (!str_equal(c->lists[list].key, leaf->elements[i].key))
            list++;
        p->lists[i] = list;
        if (p->meets)
            c->lists[list].place_base = p->longest - leaf->elements[i].offset;
    }
    for (size_t i = 0; i < p->pair_count; i++)
        p->pairs[i].owner = p->lists[p->pairs[i].owner];
}

void phrase_open(struct clause *c)
{
    if (!make_room(c)) {
        scope_fail(c->scope, ERR_FULL, NULL);
        return;
    }
    if (!find_field(c) || !open_lists(c)) {
        c->list_count = 0;
        return;
    }
    name_lists(c);
    if (!c->phrase->is_pair)
        phrase_list_documents(c);
    if (c->cost > 0)
        c->kind = CLAUSE_PHRASE;
}

/* --------------------------------------------------------------------------------------------------- all of the words
 */

/* The places in `kept` rise. */
static void keep(uint32_t *values, const uint32_t *kept, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = values[kept[i]];
}

/* What is known of some of the candidates, with ordinals in so many lists; of the last list places are known. */
static void keep_some(struct phrase *p, size_t lists, bool is_last, const uint32_t *kept, size_t count)
{
    keep(p->documents, kept, count);
    keep(p->numbers, kept, count);
    for (size_t i = 0; i < count; i++)
        p->sums[i] = p->sums[kept[i]];
    for (size_t list = 0; list < lists; list++)
        keep(p->ordinals + list * POSTING_BLOCK, kept, count);
    keep(p->place_starts, kept, is_last ? count : 0);
    keep(p->place_counts, kept, is_last ? count : 0);
}

/* What the lists behind this one may add. */
static int32_t bound_behind(const struct clause *c, size_t list)
{
    int32_t sum = 0;
    for (size_t i = list + 1; i < c->list_count; i++)
        sum += c->lists[i].bound;
    return sum;
}

/* Of the candidates, each of which has one of `own`, those whose it is among `others`, of which none is below the first: their
 * places; how many. */
static size_t find_those_in(const struct clause *c, const uint32_t *own, const uint32_t *others, size_t left, uint32_t *kept)
{
    const struct kernels *k = c->scope->kernels;
    uint32_t places[POSTING_BLOCK + KERNEL_OVERWRITE];
    size_t count = c->phrase->count, within = kernel_below(others, left, own[count - 1]) + 1;
    within = within < left ? within : left;
    if (within < count)
        return within > 0 ? k->intersect(others, within, own, count, places, kept) : 0;
    return k->intersect(own, count, others, within, kept, places);
}

/* Of those whose postings of the list are in hand the pair's. */
static void keep_pair(struct clause *c, struct phrase_pair *pair, size_t list)
{
    struct phrase *p = c->phrase;
    uint32_t kept[POSTING_BLOCK + KERNEL_OVERWRITE];
    const uint32_t *own = p->ordinals + list * POSTING_BLOCK, *postings;
    size_t left = phrase_pair_postings(c, pair, own[0], &postings);
    size_t count = find_those_in(c, own, postings, left, kept);
    if (count < p->count)
        keep_some(p, list + 1, false, kept, count);
    p->count = count;
}

/* Whether to read it is less than to go on with those in hand, and with as many of each further block, that have not got the
 * pair: of its owner's postings at least half are not the pair's. */
static bool is_worth_it(const struct clause *c, const struct phrase_pair *pair)
{
    enum { QUICKER = 8 };
    uint64_t candidates = c->phrase->count * (1 + c->cost / POSTING_BLOCK);
    return pair->known.count <= pair->known.postings / 2 && pair->known.count / QUICKER <= candidates;
}

/* Of those whose postings of the list are in hand, those that its pairs have. */
static void keep_pairs(struct clause *c, size_t list)
{
    struct phrase *p = c->phrase;
    for (size_t i = 0; i < p->pair_count && p->count > 0; i++) {
        struct phrase_pair *pair = &p->pairs[i];
        if (pair->owner == list && (p->is_pair || pair->postings || is_worth_it(c, pair)))
            keep_pair(c, pair, list);
    }
}

/* Of the candidates those that the list has, with what it adds, too: without branches, since which they are cannot be
 * foreseen. Of the last list the positions are read at once, of those that may still do: no position is read of a document
 * whose words alone, phrase or not, are too little. */
static void keep_those_with(struct clause *c, size_t list, const struct candidates *few)
{
    struct phrase *p = c->phrase;
    uint32_t kept[POSTING_BLOCK];
    bool is_last = list + 1 == c->list_count && !p->is_pair, is_bounded = few->scores && !p->in_field;
    struct candidates found = {
        .documents = p->documents,
        .count = p->count,
        .scores = is_bounded ? p->sums : NULL,
        .least = few->least - bound_behind(c, list),
        .out = p->scratch,
        .ordinals = is_last ? NULL : p->ordinals + list * POSTING_BLOCK,
        .places = is_last ? &p->places : NULL,
        .place_starts = p->place_starts,
        .place_counts = p->place_counts,
    };
    scored_look_up(&c->lists[list], &found);
    size_t count = 0;
    for (size_t i = 0; i < p->count; i++) {
        int32_t added = p->scratch[i];
        few->out[p->numbers[i]] = added < 0 ? added : ABSENT;
        p->sums[i] += added;
        kept[count] = (uint32_t)i;
        count += added >= 0;
    }
    if (count < p->count)
        keep_some(p, list + !is_last, is_last, kept, count);
    p->count = count;
    if (!is_last)
        keep_pairs(c, list);
}

/* Of all candidates. Sums have in front what they had before. */
static void take_all(struct phrase *p, const struct candidates *few)
{
    memcpy(p->documents, few->documents, few->count * sizeof *p->documents);
    for (size_t i = 0; i < few->count; i++) {
        p->numbers[i] = (uint32_t)i;
        p->sums[i] = few->scores ? few->scores[i] : 0;
    }
    p->count = few->count;
}

/* Of the candidates those that are listed. */
static void keep_listed(struct clause *c)
{
    struct phrase *p = c->phrase;
    uint32_t kept[POSTING_BLOCK + KERNEL_OVERWRITE];
    const uint32_t *listed;
    size_t left = phrase_documents(c, p->documents[0], &listed);
    if (left >= p->count && memcmp(listed, p->documents, p->count * sizeof *listed) == 0)
        return;
    size_t count = find_those_in(c, p->documents, listed, left, kept);
    keep_some(p, 0, false, kept, count);
    p->count = count;
}

static void keep_those_with_all(struct clause *c, const struct candidates *few)
{
    struct phrase *p = c->phrase;
    bool is_counted = p->is_pair && !few->scores && c->scope->unscored;
    take_all(p, few);
    if (p->is_listed && !p->is_pair)
        keep_listed(c);
    for (size_t list = 0; list < c->list_count && p->count > 0; list++) {
        keep_those_with(c, list, few);
        if (is_counted && list == p->pairs[0].owner)
            return;
    }
}

/* ----------------------------------------------------------------------------------------------------------- positions
 */

/* Of the k-th of those with all words. The pool may move while it grows: then views of it are set. */
static bool read_standing(struct clause *c, size_t k)
{
    struct phrase *p = c->phrase;
    size_t last = c->list_count - 1, before = p->places.count;
    for (size_t list = 0; list < last; list++)
        p->standing[list].count = scored_positions(&c->lists[list], p->ordinals[list * POSTING_BLOCK + k], &p->places);
    for (size_t list = 0, at = before; list < last; list++) {
        p->standing[list].at = p->places.at + at;
        at += p->standing[list].count;
    }
    p->standing[last] = (struct standing){p->places.at + p->place_starts[k], p->place_counts[k]};
    p->places.count = before;
    return !c->scope->err;
}

/* Goes on in an element's positions to `at`; whether it stands there. */
static bool element_reaches(struct phrase *p, size_t element, uint32_t at)
{
    const struct standing *word = &p->standing[p->lists[element]];
    uint32_t i = p->from[element];
    while (i < word->count && word->at[i] < at)
        i++;
    p->from[element] = i;
    return i < word->count && word->at[i] == at;
}

/* The element whose word stands there the fewest times. */
static size_t scarcest(const struct clause *c)
{
    const struct phrase *p = c->phrase;
    size_t best = 0;
    for (size_t i = 1; i < c->leaf->element_count; i++) {
        if (p->standing[p->lists[i]].count < p->standing[p->lists[best]].count)
            best = i;
    }
    return best;
}

static bool all_stand_from(const struct clause *c, uint32_t start, size_t known)
{
    for (size_t i = 0; i < c->leaf->element_count; i++) {
        if (i != known && !element_reaches(c->phrase, i, start + c->leaf->elements[i].offset))
            return false;
    }
    return true;
}

/* What two lists of places have in common, in the shorter one's room. */
static struct standing common_places(const struct kernels *k, struct standing a, struct standing b)
{
    uint32_t own[POSTING_BLOCK + KERNEL_OVERWRITE], theirs[POSTING_BLOCK + KERNEL_OVERWRITE], count = 0;
    if (a.count > b.count)
        return common_places(k, b, a);
    for (uint32_t from = 0; from < a.count; from += POSTING_BLOCK) {
        size_t some = a.count - from < POSTING_BLOCK ? a.count - from : POSTING_BLOCK;
        some = k->intersect(a.at + from, some, b.at, b.count, own, theirs);
        for (size_t i = 0; i < some; i++)
            a.at[count++] = a.at[from + own[i]];
    }
    return (struct standing){a.at, count};
}

static bool have_common_places(const struct kernels *k, struct standing a, struct standing b)
{
    return a.count <= b.count ? k->meet(a.at, a.count, b.at, b.count) : k->meet(b.at, b.count, a.at, a.count);
}

/* Of those with all words those where a place of the list is one of all lists before. */
static void keep_those_meeting(struct clause *c, size_t list)
{
    struct phrase *p = c->phrase;
    const struct kernels *kernels = c->scope->kernels;
    bool is_over = list + 2 == c->list_count; /* the last list was the first to be read */
    uint32_t starts[POSTING_BLOCK], counts[POSTING_BLOCK], kept[POSTING_BLOCK];
    scored_positions_of(&c->lists[list], p->ordinals + list * POSTING_BLOCK, p->count, &p->places, starts, counts);
    size_t count = 0, all = c->scope->err ? 0 : p->count;
    for (size_t k = 0; k < all; k++) {
        struct standing met = {p->places.at + p->place_starts[k], p->place_counts[k]};
        struct standing own = {p->places.at + starts[k], counts[k]};
        kept[count] = (uint32_t)k;
        if (is_over) {
            count += have_common_places(kernels, met, own);
            continue;
        }
        met = common_places(kernels, met, own);
        p->place_starts[k] = (uint32_t)(met.at - p->places.at);
        p->place_counts[k] = met.count;
        count += met.count > 0;
    }
    if (count < p->count)
        keep_some(p, c->list_count - 1, true, kept, count);
    p->count = count;
}

/* What those in hand get, which are the phrase's. */
static void give(const struct phrase *p, const struct candidates *few)
{
    for (size_t k = 0; k < p->count; k++) {
        uint32_t i = p->numbers[k];
        few->out[i] = p->sums[k] - (few->scores ? few->scores[i] : 0);
    }
}

/* Positions are moved so that they are equal where the phrase is: list by list, fewer and fewer of those in hand. */
static void judge_all(struct clause *c, const struct candidates *few)
{
    struct phrase *p = c->phrase;
    for (size_t list = 0; list + 1 < c->list_count && p->count > 0 && !scope_is_over(c->scope); list++) {
        c->scope->ticks += (uint32_t)p->count;
        keep_those_meeting(c, list);
    }
    if (!c->scope->err && !c->scope->late)
        give(p, few);
}

/* Whether the words stand side by side, all in the field where there is one: then the first of them tells, since no
 * phrase reaches over the gap between fields. */
static bool stands(const struct clause *c, struct field_ranges ranges)
{
    struct phrase *p = c->phrase;
    size_t element = scarcest(c);
    const struct standing *word = &p->standing[p->lists[element]];
    uint32_t offset = c->leaf->elements[element].offset;
    memset(p->from, 0, c->leaf->element_count * sizeof *p->from);
    for (uint32_t i = 0; i < word->count; i++) {
        if (word->at[i] < offset || !all_stand_from(c, word->at[i] - offset, element))
            continue;
        if (!p->in_field || field_ranges_find(&ranges, word->at[i] - offset) == p->field)
            return true;
    }
    return false;
}

/* What the words add whose occurrences in that field alone count. */
static int32_t score_in_field(const struct clause *c, const struct field_ranges *ranges, uint32_t document)
{
    const struct phrase *p = c->phrase;
    const struct scope *s = c->scope;
    float norm = s->run->norms[s->length_codes[document]];
    int32_t sum = 0;
    for (size_t list = 0; list < c->list_count; list++) {
        uint32_t n = 0;
        struct field_ranges left = *ranges;
        for (uint32_t i = 0; i < p->standing[list].count; i++)
            n += field_ranges_find(&left, p->standing[list].at[i]) == p->field;
        sum += score_contribution(c->lists[list].weight, n * p->field_weight, norm);
    }
    return sum;
}

/* The k-th of those with all words: what it gets, or ABSENT; `before` is what it had. */
static int32_t judge(struct clause *c, size_t k, int32_t before)
{
    struct phrase *p = c->phrase;
    struct field_ranges ranges = {0};
    if (!read_standing(c, k))
        return ABSENT;
    if (p->in_field) {
        int err = segment_field_ranges(c->scope->segment, p->documents[k], &ranges);
        if (err)
            scope_fail(c->scope, err, "records");
    }
    if (c->scope->err || !stands(c, ranges))
        return ABSENT;
    return p->in_field ? score_in_field(c, &ranges, p->documents[k]) : p->sums[k] - before;
}

/* Positions that may be read of those in hand, of all words but the last, which are read with it. */
static void ask_for_positions(const struct clause *c)
{
    const struct phrase *p = c->phrase;
    struct page_ranges r;
    page_ranges_init(&r);
    for (size_t list = 0; list + 1 < c->list_count; list++)
        will_need_blocks(&c->lists[list].list, p->documents, p->count, true, &r);
    page_ranges_ask(&r);
}

static void look_up_few(struct clause *c, const struct candidates *few)
{
    struct phrase *p = c->phrase;
    for (size_t i = 0; i < few->count; i++)
        few->out[i] = ABSENT;
    p->places.count = 0;
    keep_those_with_all(c, few);
    if (p->is_pair) {
        give(p, few);
        return;
    }
    if (c->scope->asks)
        ask_for_positions(c);
    if (p->meets) {
        judge_all(c, few);
        return;
    }
    for (size_t k = 0; k < p->count && !scope_is_over(c->scope); k++) {
        uint32_t i = p->numbers[k];
        few->out[i] = judge(c, k, few->scores ? few->scores[i] : 0);
    }
}

void phrase_look_up(struct clause *c, const struct candidates *all)
{
    struct candidates few = *all;
    for (size_t left = all->count; left > 0; left -= few.count) {
        few.count = left < POSTING_BLOCK ? left : POSTING_BLOCK;
        look_up_few(c, &few);
        few.documents += few.count;
        few.out += few.count;
        few.scores = few.scores ? few.scores + few.count : NULL;
    }
}
