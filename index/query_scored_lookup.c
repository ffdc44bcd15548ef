/* Candidates in a list, block by block: what it adds to each, which posting that is, and its positions. */
#include "index/query_scored.h"

#include <string.h>

#include "common/err.h"
#include "index/will_need.h"

enum { ALL_AT_ONCE = 32 /* of a block's T: that is quicker than one by one */ };

/* Where some of the candidates stand in the block: places among them and in it. */
struct matches {
    size_t count;
    uint32_t candidates[POSTING_BLOCK + KERNEL_OVERWRITE], places[POSTING_BLOCK + KERNEL_OVERWRITE];
};

/* The candidates are the block: those of the list that leads. */
static void match_itself(size_t count, struct matches *out)
{
    for (size_t i = 0; i < count; i++)
        out->candidates[i] = out->places[i] = (uint32_t)i;
    out->count = count;
}

/* The candidates do not go beyond the block's last document, and are at most as many as a block has. */
static void match(struct scored_list *l, const uint32_t *documents, size_t count, struct matches *out)
{
    const struct posting_block *b = &l->block;
    const struct kernels *k = l->scope->kernels;
    if (count == b->count && b->has_documents && memcmp(documents, b->documents, count * sizeof *documents) == 0)
        match_itself(count, out);
    else if (b->words > 0)
        out->count = k->match_bits(documents, count, b->base, b->bits, out->candidates, out->places);
    else if (b->count < count)
        out->count = k->intersect(b->documents, b->count, documents, count, out->places, out->candidates);
    else
        out->count = k->intersect(documents, count, b->documents, b->count, out->candidates, out->places);
}

static void give(const struct candidates *c, const struct matches *m, const int32_t *scores)
{
    for (size_t i = 0; i < m->count; i++) {
        int32_t *out = &c->out[m->candidates[i]], score = scores ? scores[i] : 0;
        *out = c->raises && *out > score ? *out : score;
    }
}

static void score_matches(struct scored_list *l, const struct candidates *c, const struct matches *m)
{
    uint32_t matched[POSTING_BLOCK + KERNEL_OVERWRITE], t[POSTING_BLOCK + KERNEL_OVERWRITE];
    int32_t scores[POSTING_BLOCK + KERNEL_OVERWRITE];
    const struct scope *s = l->scope;
    if (s->unscored || m->count == 0) {
        give(c, m, NULL);
        return;
    }
    if (l->is_block_scored) {
        for (size_t i = 0; i < m->count; i++)
            scores[i] = l->scores[m->places[i]];
        give(c, m, scores);
        return;
    }
    int err = m->count >= ALL_AT_ONCE ? block_frequencies(&l->list, &l->block) : block_values(&l->block);
    if (err) {
        scope_fail(l->scope, err, "postings");
        return;
    }
    for (size_t i = 0; i < m->count; i++) {
        matched[i] = c->documents[m->candidates[i]];
        t[i] = block_t(&l->block, m->places[i]);
    }
    s->kernels->score(l->weight, s->run->norms, s->length_codes, matched, t, m->count, scores);
    give(c, m, scores);
}

/* ----------------------------------------------------------------------------------------------------------- positions
 */

static bool make_room(struct scope *s, struct places *p, size_t more)
{
    more += KERNEL_OVERWRITE;
    if (more <= p->room - p->count)
        return true;
    size_t room = 2 * p->room + more + 256;
    uint32_t *at = arena_alloc_unset(p->arena, room * sizeof *at); /* it would be zeroed where it grew */
    if (!at) {
        scope_fail(s, ERR_FULL, NULL);
        return false;
    }
    if (p->count > 0)
        memcpy(at, p->at, p->count * sizeof *at);
    p->at = at;
    p->room = room;
    return true;
}

/* Of postings of the block in hand; where they are, even if they could not be read. */
static void append_positions(struct scored_list *l, const uint32_t *which, size_t count, struct places *places,
                             uint32_t *starts, uint32_t *counts)
{
    struct posting_block *b = &l->block;
    int damaged = block_values(b), err = damaged ? damaged : block_starts(&l->list, b);
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        starts[i] = (uint32_t)(places->count + total);
        counts[i] = err ? 0 : b->starts[which[i] + 1] - b->starts[which[i]];
        total += counts[i];
    }
    if (!err && !make_room(l->scope, places, total))
        return;
    if (!err)
        err = block_positions_of(&l->list, b, which, count, l->place_base, places->at + places->count);
    if (err)
        scope_fail(l->scope, err, damaged ? "postings" : "positions");
    places->count += err ? 0 : total;
}

void scored_positions_of(struct scored_list *l, const uint32_t *ordinals, size_t count, struct places *places,
                         uint32_t *starts, uint32_t *counts)
{
    uint32_t which[POSTING_BLOCK];
    for (size_t from = 0, n; from < count && !l->scope->err; from += n) {
        uint32_t block = ordinals[from] / POSTING_BLOCK;
        for (n = 0; from + n < count && ordinals[from + n] / POSTING_BLOCK == block; n++)
            which[n] = ordinals[from + n] % POSTING_BLOCK;
        if (scored_enter_as_it_is(l, block))
            append_positions(l, which, n, places, starts + from, counts + from);
    }
}

uint32_t scored_positions(struct scored_list *l, uint32_t ordinal, struct places *places)
{
    uint32_t start, count = 0;
    scored_positions_of(l, &ordinal, 1, places, &start, &count);
    return l->scope->err ? 0 : count;
}

/* Of the matches that are not hopeless by what was found. */
static void read_places(struct scored_list *l, const struct candidates *c, const struct matches *m)
{
    uint32_t which[POSTING_BLOCK], kept[POSTING_BLOCK], starts[POSTING_BLOCK], counts[POSTING_BLOCK];
    size_t count = 0;
    for (size_t i = 0; i < m->count; i++) {
        uint32_t k = m->candidates[i];
        bool is_hopeless = c->scores && c->scores[k] + c->out[k] < c->least;
        c->out[k] = is_hopeless ? HOPELESS : c->out[k];
        which[count] = m->places[i];
        kept[count] = k;
        count += !is_hopeless;
    }
    append_positions(l, which, count, c->places, starts, counts);
    for (size_t i = 0; i < count; i++) {
        c->place_starts[kept[i]] = starts[i];
        c->place_counts[kept[i]] = counts[i];
    }
}

static void fill(int32_t *out, size_t count, int32_t value)
{
    for (size_t i = 0; i < count; i++)
        out[i] = value;
}

static bool any_hope(const int32_t *scores, size_t count, int32_t bound, int32_t least)
{
    for (size_t i = 0; i < count; i++) {
        if (scores[i] + bound >= least)
            return true;
    }
    return false;
}

/* How many of the candidates the block may have: a few at a time. */
static size_t within(const uint32_t *documents, size_t count, uint32_t last)
{
    size_t most = count < POSTING_BLOCK ? count : POSTING_BLOCK;
    return documents[most - 1] <= last ? most : 1 + kernel_below(documents + 1, most - 1, last + 1);
}

static void look_up_in_block(struct scored_list *l, const struct candidates *c, uint32_t block)
{
    struct matches m;
    if (!c->raises)
        fill(c->out, c->count, ABSENT);
    if (c->scores && !any_hope(c->scores, c->count, scored_block_bound(l, block), c->least)) {
        fill(c->out, c->count, HOPELESS);
        return;
    }
    if (!scored_enter_as_it_is(l, block))
        return;
    match(l, c->documents, c->count, &m);
    score_matches(l, c, &m);
    for (size_t i = 0; c->ordinals && i < m.count; i++)
        c->ordinals[m.candidates[i]] = block * POSTING_BLOCK + m.places[i];
    if (c->places)
        read_places(l, c, &m);
}

static void ask_for_blocks(const struct scored_list *l, const struct candidates *c)
{
    struct page_ranges r;
    page_ranges_init(&r);
    will_need_blocks(&l->list, c->documents, c->count, c->places, &r);
    page_ranges_ask(&r);
}

void scored_look_up(struct scored_list *l, const struct candidates *all)
{
    struct candidates c = *all;
    if (l->scope->asks && l->list.blocks > 1)
        ask_for_blocks(l, all);
    uint32_t block = l->block.number == NO_BLOCK ? 0 : l->block.number;
    for (size_t left = all->count; left > 0; left -= c.count) {
        block = list_find(&l->list, block, c.documents[0]);
        if (block == l->list.blocks || l->scope->err) {
            if (!c.raises)
                fill(c.out, left, ABSENT);
            return;
        }
        c.count = within(c.documents, left, list_last(&l->list, block));
        look_up_in_block(l, &c, block);
        c.documents += c.count;
        c.out += c.count;
        c.scores = c.scores ? c.scores + c.count : NULL;
        c.ordinals = c.ordinals ? c.ordinals + c.count : NULL;
        c.place_starts = c.places ? c.place_starts + c.count : NULL;
        c.place_counts = c.places ? c.place_counts + c.count : NULL;
    }
}
