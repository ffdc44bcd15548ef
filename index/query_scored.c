#include "index/query_scored.h"

#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "index/score.h"
#include "index/will_need.h"

/* -------------------------------------------------------------------------------------------------------------- bounds
 */

static int32_t bound_of(const struct scored_list *l, const uint8_t *maxima)
{
    return l->scope->kernels->bound(l->weight, l->scope->run->norms, maxima);
}

static int32_t largest(const int32_t *values, size_t count)
{
    int32_t most = ABSENT;
    for (size_t i = 0; i < count; i++)
        most = values[i] > most ? values[i] : most;
    return most;
}

/* Those of the groups at once; those of a group's blocks when they are asked for. */
static bool open_bounds(struct scored_list *l)
{
    struct arena *a = l->scope->arena;
    uint32_t groups = (l->list.blocks + GROUP_BLOCKS - 1) / GROUP_BLOCKS;
    l->bounds = arena_new_array(a, l->list.blocks, int32_t);
    l->group_bounds = arena_new_array(a, groups, int32_t);
    l->groups_known = arena_new_array(a, groups / 64 + 1, uint64_t);
    if (!l->bounds || !l->group_bounds || !l->groups_known) {
        scope_fail(l->scope, ERR_FULL, NULL);
        return false;
    }
    for (uint32_t group = 0; group < groups; group++)
        l->group_bounds[group] = bound_of(l, list_group_maxima(&l->list, group));
    l->bound = largest(l->group_bounds, groups);
    return true;
}

static void know_group(struct scored_list *l, uint32_t group)
{
    uint32_t from = group * GROUP_BLOCKS, end = from + GROUP_BLOCKS;
    if (l->groups_known[group / 64] >> group % 64 & 1)
        return;
    for (uint32_t block = from; block < end && block < l->list.blocks; block++)
        l->bounds[block] = bound_of(l, list_maxima(&l->list, block));
    l->groups_known[group / 64] |= UINT64_C(1) << group % 64;
}

int32_t scored_block_bound(struct scored_list *l, uint32_t block)
{
    if (!l->bounds)
        return l->bound;
    know_group(l, block / GROUP_BLOCKS);
    return l->bounds[block];
}

/* Whole groups at once where the range has them. */
static int32_t bound_between(struct scored_list *l, uint32_t first, uint32_t last)
{
    int32_t most = ABSENT;
    for (uint32_t block = first; block <= last;) {
        bool whole = block % GROUP_BLOCKS == 0 && last - block >= GROUP_BLOCKS - 1;
        int32_t bound = whole ? l->group_bounds[block / GROUP_BLOCKS] : scored_block_bound(l, block);
        most = bound > most ? bound : most;
        block += whole ? GROUP_BLOCKS : 1;
    }
    return most;
}

int32_t scored_bound(struct scored_list *l, uint32_t from, uint32_t end)
{
    if (!l->bounds)
        return l->bound;
    uint32_t first = list_find(&l->list, l->bound_from, from);
    if (first == l->list.blocks)
        return ABSENT;
    l->bound_from = first;
    uint32_t last = list_find(&l->list, first, end - 1);
    return bound_between(l, first, last < l->list.blocks ? last : l->list.blocks - 1);
}

static void raise(int32_t *bound, int32_t to)
{
    *bound = to > *bound ? to : *bound;
}

/* A list of one block is scored: what it adds is known exactly. */
static void bound_postings(const struct scored_list *l, uint32_t first, uint32_t windows, int32_t *bounds)
{
    for (uint32_t i = 0; i < l->block.count; i++) {
        uint32_t window = l->block.documents[i] / WINDOW - first;
        if (window < windows)
            raise(&bounds[window], l->scores[i]);
    }
}

static void bound_blocks(struct scored_list *l, uint32_t first, uint32_t windows, int32_t *bounds)
{
    uint32_t block = list_find(&l->list, 0, first * WINDOW), end = first + windows;
    uint32_t from = block > 0 ? list_last(&l->list, block - 1) + 1 : 0;
    for (; block < l->list.blocks && from / WINDOW < end; block++) {
        uint32_t last = list_last(&l->list, block);
        int32_t bound = scored_block_bound(l, block);
        for (uint32_t w = from / WINDOW > first ? from / WINDOW : first; w <= last / WINDOW && w < end; w++)
            raise(&bounds[w - first], bound);
        from = last + 1;
    }
}

void scored_window_bounds(struct scored_list *l, uint32_t first, uint32_t windows, int32_t *bounds)
{
    if (l->bounds)
        bound_blocks(l, first, windows, bounds);
    else
        bound_postings(l, first, windows, bounds);
}

/* ------------------------------------------------------------------------------------------------------------- opening
 */

/* A list of one block: it is read now, its largest contribution is known exactly. */
static bool open_block(struct scored_list *l)
{
    if (!scored_enter(l, 0))
        return false;
    scored_score_block(l);
    l->bound = largest(l->scores, l->block.count);
    return !l->scope->err;
}

/* Not zeroed: most of a list is room for a block. */
struct scored_list *scored_array(struct arena *a, size_t count)
{
    return count <= SIZE_MAX / sizeof(struct scored_list) ? arena_alloc_unset(a, count * sizeof(struct scored_list))
                                                          : NULL;
}

/* A word's own stem was looked up in round 1, if that was in this process: its key is the same one. */
static const struct term *known_term(const struct scope *s, struct str key)
{
    for (size_t i = 0; i < s->query->word_count; i++) {
        const struct tree_word *word = &s->query->words[i];
        if (word->key.ptr == key.ptr && word->stems)
            return &word->stems[s->number];
    }
    return NULL;
}

static bool find_term(struct scope *s, struct str key, struct term *out)
{
    const struct term *known = known_term(s, key);
    int err = 0;
    if (known) {
        *out = *known;
        return known->documents > 0;
    }
    bool found = segment_find_term(s->segment, key, out, &err);
    if (err)
        scope_fail(s, err, "dictionary");
    return found;
}

bool scored_is_there(struct scope *s, struct str key)
{
    struct term term;
    return find_term(s, key, &term);
}

bool scored_open(struct scope *s, struct str key, uint32_t weight, struct scored_list *out)
{
    struct term term;
    if (!find_term(s, key, &term))
        return false;
    out->scope = s;
    out->key = key;
    out->weight = weight;
    out->bound_from = out->next = out->place_base = 0;
    out->bounds = out->group_bounds = NULL;
    out->groups_known = NULL;
    out->is_block_scored = false;
    out->block.number = NO_BLOCK;
    int err = list_open(&out->list, s->segment, &term, s->kernels);
    if (err) {
        scope_fail(s, err, "postings");
        return false;
    }
    return out->list.blocks == 1 ? open_block(out) : open_bounds(out);
}

/* -------------------------------------------------------------------------------------------------------------- blocks
 */

static bool enter(struct scored_list *l, uint32_t block)
{
    if (l->block.number == block)
        return true;
    int err = l->scope->err ? l->scope->err : block_enter(&l->list, block, &l->block);
    l->next = 0;
    l->is_block_scored = false;
    if (err) {
        scope_fail(l->scope, err, "postings");
        l->block.number = NO_BLOCK;
    }
    return !err;
}

bool scored_enter(struct scored_list *l, uint32_t block)
{
    if (!enter(l, block))
        return false;
    if (!l->block.has_documents)
        block_documents(&l->list, &l->block);
    return true;
}

void scored_score_block(struct scored_list *l)
{
    if (l->is_block_scored)
        return;
    int err = l->block.has_t ? 0 : block_frequencies(&l->list, &l->block);
    if (err) {
        scope_fail(l->scope, err, "postings");
        l->block.count = 0;
    }
    const struct scope *s = l->scope;
    s->kernels->score(l->weight, s->run->norms, s->length_codes, l->block.documents, l->block.t, l->block.count,
                      l->scores);
    l->is_block_scored = true;
}

void scored_rewind(struct scored_list *l)
{
    l->bound_from = l->next = 0;
    if (l->list.blocks > 1)
        l->block.number = NO_BLOCK;
}

uint32_t scored_seek(struct scored_list *l, uint32_t document)
{
    uint32_t from = l->block.number == NO_BLOCK ? 0 : l->block.number;
    uint32_t block = list_find(&l->list, from, document);
    if (block == l->list.blocks || !scored_enter(l, block))
        return POSTINGS_END;
    while (l->next < l->block.count && l->block.documents[l->next] < document)
        l->next++;
    return l->next < l->block.count ? l->block.documents[l->next] : POSTINGS_END; /* the latter: its only block is over */
}

/* The words of a bitset that lie in the window are whole words of it. */
static void mark_bits(const struct posting_block *b, uint32_t base, uint32_t end, uint64_t *seen)
{
    uint32_t from = b->base < base ? (base - b->base) / 64 : 0;
    for (uint32_t word = from; word < b->words && b->base + 64 * word < end; word++)
        seen[(b->base + 64 * word - base) / 64] |= load_u64(b->bits + 8 * (size_t)word);
}

static void mark_documents(struct scored_list *l, uint32_t base, uint32_t end, uint64_t *seen)
{
    const struct posting_block *b = &l->block;
    for (; l->next < b->count && b->documents[l->next] < base; l->next++)
        ;
    for (; l->next < b->count && b->documents[l->next] < end; l->next++) {
        uint32_t at = b->documents[l->next] - base;
        seen[at / 64] |= UINT64_C(1) << at % 64;
    }
}

void scored_mark(struct scored_list *l, uint32_t base, uint32_t end, uint64_t *seen)
{
    uint32_t block = list_find(&l->list, l->block.number == NO_BLOCK ? 0 : l->block.number, base);
    for (; block < l->list.blocks && enter(l, block); block++) {
        if (l->block.words > 0)
            mark_bits(&l->block, base, end, seen);
        else
            mark_documents(l, base, end, seen);
        if (block + 1 == l->list.blocks || list_last(&l->list, block) >= end - 1)
            return;
    }
}

/* Of the entered block what lies in [from, end). */
static size_t keep_in_block(struct scored_list *l, uint32_t from, uint32_t end, int32_t least, uint32_t *out_documents,
                            int32_t *out_scores, uint64_t *out_seen)
{
    const struct posting_block *b = &l->block;
    uint32_t first = 0, last = b->count;
    while (first < last && b->documents[first] < from)
        first++;
    while (last > first && b->documents[last - 1] >= end)
        last--;
    scored_score_block(l);
    *out_seen += last - first;
    return l->scope->kernels->keep_scores(b->documents + first, l->scores + first, last - first, least, out_documents,
                                          out_scores);
}

/* Documents rise from block to block, so that there is room for them, whatever the blocks say that are passed over. */
size_t scored_keep(struct scored_list *l, uint32_t from, uint32_t end, int32_t least, uint32_t *out_documents,
                   int32_t *out_scores, uint64_t *out_seen)
{
    size_t n = 0;
    uint32_t block = list_find(&l->list, l->block.number == NO_BLOCK ? 0 : l->block.number, from);
    for (; block < l->list.blocks; block++) {
        if (scored_block_bound(l, block) >= least) {
            if (!scored_enter(l, block))
                break;
            n += keep_in_block(l, from, end, least, out_documents + n, out_scores + n, out_seen);
            from = list_last(&l->list, block) + 1;
        }
        if (block + 1 == l->list.blocks || list_last(&l->list, block) >= end - 1)
            break;
    }
    return n;
}

/* ----------------------------------------------------------------------------------------------------------- look-ups
 */

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
    if (m->count >= ALL_AT_ONCE)
        block_frequencies(&l->list, &l->block);
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
    uint32_t *at = arena_grow(p->arena, p->at, p->room * sizeof *at, room * sizeof *at);
    if (!at) {
        scope_fail(s, ERR_FULL, NULL);
        return false;
    }
    p->at = at;
    p->room = room;
    return true;
}

uint32_t scored_positions(struct scored_list *l, uint32_t ordinal, struct places *places)
{
    uint32_t place = ordinal % POSTING_BLOCK;
    if (!enter(l, ordinal / POSTING_BLOCK))
        return 0;
    int err = l->block.has_starts ? 0 : block_starts(&l->list, &l->block);
    uint32_t count = err ? 0 : l->block.starts[place + 1] - l->block.starts[place];
    if (!err && !make_room(l->scope, places, count))
        return 0;
    if (!err)
        err = block_positions(&l->list, &l->block, place, l->place_base, places->at + places->count);
    if (err) {
        scope_fail(l->scope, err, "positions");
        return 0;
    }
    places->count += count;
    return count;
}

static void read_places(struct scored_list *l, const struct candidates *c, const struct matches *m, uint32_t block)
{
    for (size_t i = 0; i < m->count && !l->scope->err; i++) {
        uint32_t k = m->candidates[i];
        if (c->scores && c->scores[k] + c->out[k] < c->least) {
            c->out[k] = HOPELESS;
            continue;
        }
        c->place_starts[k] = (uint32_t)c->places->count;
        c->place_counts[k] = scored_positions(l, block * POSTING_BLOCK + m->places[i], c->places);
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
    size_t n = 1, most = count < POSTING_BLOCK ? count : POSTING_BLOCK;
    if (documents[most - 1] <= last)
        return most;
    while (n < most && documents[n] <= last)
        n++;
    return n;
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
    if (!enter(l, block))
        return;
    match(l, c->documents, c->count, &m);
    score_matches(l, c, &m);
    for (size_t i = 0; c->ordinals && i < m.count; i++)
        c->ordinals[m.candidates[i]] = block * POSTING_BLOCK + m.places[i];
    if (c->places)
        read_places(l, c, &m, block);
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
