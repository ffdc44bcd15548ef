#include "index/query_clause.h"

#include <string.h>

#include "index/query_phrase.h"

/* ------------------------------------------------------------------------------------------------------------- opening
 */

/* The members that the segment has. */
static void open_words(struct clause *c, const struct query_weights *weights)
{
    struct scope *s = c->scope;
    c->lists = scope_take(s, scored_array(s->arena, weights->term_count));
    for (size_t i = 0; i < weights->term_count && !s->err; i++) {
        struct scored_list *l = &c->lists[c->list_count];
        if (!scored_open(s, weights->terms[i].key, weights->terms[i].weight, l))
            continue;
        c->cost += l->list.documents;
        c->bound = l->bound > c->bound ? l->bound : c->bound;
        c->list_count++;
    }
    c->kind = c->list_count == 0 ? CLAUSE_NOTHING : c->list_count == 1 ? CLAUSE_WORD : CLAUSE_GROUP;
}

bool clause_may_be(struct scope *s, const struct tree_leaf *leaf)
{
    if (leaf->element_count > 1 || leaf->field.len > 0) {
        for (size_t i = 0; i < leaf->element_count; i++) {
            if (scored_documents(s, leaf->elements[i].key) == 0)
                return false;
        }
        return true;
    }
    const struct query_weights *w = &s->run->weights[leaf->elements[0].word];
    for (size_t i = 0; i < w->term_count; i++) {
        if (scored_documents(s, w->terms[i].key) > 0)
            return true;
    }
    return false;
}

void clause_open(struct scope *s, const struct tree_leaf *leaf, struct clause *out)
{
    *out = (struct clause){.scope = s, .leaf = leaf, .found_at = NO_WINDOW, .asked_at = NO_WINDOW};
    const struct tree_element *e = &leaf->elements[0];
    if (leaf->element_count == 1 && leaf->field.len == 0)
        open_words(out, &s->run->weights[e->word]);
    else
        phrase_open(out);
    if (s->err)
        out->kind = CLAUSE_NOTHING;
}

void clause_rewind(struct clause *c)
{
    for (size_t i = 0; i < c->list_count; i++)
        scored_rewind(&c->lists[i]);
    c->found_at = NO_WINDOW;
}

/* -------------------------------------------------------------------------------------------------------------- bounds
 */

int32_t clause_bound(struct clause *c, uint32_t from, uint32_t end)
{
    int32_t most = ABSENT, sum = 0;
    if (c->kind == CLAUSE_PHRASE && !phrase_may_be(c, from, end))
        return ABSENT;
    for (size_t i = 0; i < c->list_count; i++) {
        int32_t bound = scored_bound(&c->lists[i], from, end);
        most = bound > most ? bound : most;
        if (c->kind == CLAUSE_PHRASE && bound == ABSENT)
            return ABSENT;
        sum += bound;
    }
    return c->kind == CLAUSE_PHRASE ? sum : most;
}

static void phrase_window_bounds(struct clause *c, uint32_t first, uint32_t windows, int32_t *out)
{
    uint32_t documents = c->scope->documents;
    for (uint32_t i = 0; i < windows; i++) {
        uint32_t base = (first + i) * WINDOW, end = documents - base > WINDOW ? base + WINDOW : documents;
        out[i] = clause_bound(c, base, end);
    }
}

void clause_window_bounds(struct clause *c, uint32_t first, uint32_t windows, int32_t *out)
{
    if (c->kind == CLAUSE_PHRASE) {
        phrase_window_bounds(c, first, windows, out);
        return;
    }
    for (uint32_t i = 0; i < windows; i++)
        out[i] = ABSENT;
    for (size_t i = 0; i < c->list_count; i++)
        scored_window_bounds(&c->lists[i], first, windows, out);
}

uint32_t clause_reach(struct clause *c, uint32_t document)
{
    size_t lists = c->kind == CLAUSE_PHRASE ? 1 : c->list_count;
    uint32_t first = POSTINGS_END;
    for (size_t i = 0; i < lists && c->kind != CLAUSE_NOTHING; i++) {
        uint32_t at = scored_seek(&c->lists[i], document);
        first = at < first ? at : first;
    }
    return first;
}

/* ------------------------------------------------------------------------------------------------------------- windows
 */

/* The scored postings of the entered block below `end`, from the first that was not taken; true if the block has more. */
static bool add_block(struct scored_list *l, uint32_t base, uint32_t end, struct window *w)
{
    uint32_t i = l->next;
    scored_score_block(l);
    for (; i < l->block.count && l->block.documents[i] < end; i++) {
        uint32_t at = l->block.documents[i] - base;
        w->sums[at] += l->scores[i];
        w->seen[at / 64] |= UINT64_C(1) << at % 64;
    }
    l->next = i;
    return i < l->block.count;
}

/* The same where several lists are one: the largest counts, which `group` remembers. */
static bool raise_block(struct scored_list *l, uint32_t base, uint32_t end, struct window *w)
{
    uint32_t i = l->next;
    scored_score_block(l);
    for (; i < l->block.count && l->block.documents[i] < end; i++) {
        uint32_t at = l->block.documents[i] - base;
        int32_t more = l->scores[i] - w->group[at];
        w->sums[at] += more > 0 ? more : 0;
        w->group[at] += more > 0 ? more : 0;
        w->seen[at / 64] |= UINT64_C(1) << at % 64;
    }
    l->next = i;
    return i < l->block.count;
}

static void accumulate_list(struct scored_list *l, uint32_t base, uint32_t end, struct window *w,
                            bool (*add)(struct scored_list *, uint32_t, uint32_t, struct window *))
{
    uint32_t from = base;
    while (scored_seek(l, from) < end && !add(l, base, end, w) && !l->scope->err)
        from = l->block.documents[l->block.count - 1] + 1;
}

/* From `from` on, as many as are at hand, at most a block of them: of what may be the phrase's, or of its rarest word. */
static size_t take_candidates(struct clause *c, uint32_t from, uint32_t end, uint32_t *out)
{
    struct scored_list *rarest = &c->lists[0];
    const uint32_t *documents;
    size_t count = 0, left;
    if (phrase_leads(c)) {
        left = phrase_documents(c, from, &documents);
    } else {
        left = scored_seek(rarest, from) == POSTINGS_END ? 0 : rarest->block.count - rarest->next;
        documents = rarest->block.documents + rarest->next;
    }
    for (; count < left && count < POSTING_BLOCK && documents[count] < end; count++)
        out[count] = documents[count];
    return count;
}

static void accumulate_phrase(struct clause *c, uint32_t base, uint32_t end, struct window *w)
{
    uint32_t documents[POSTING_BLOCK + KERNEL_OVERWRITE];
    int32_t out[POSTING_BLOCK];
    struct candidates found = {.documents = documents, .out = out};
    for (uint32_t from = base; (found.count = take_candidates(c, from, end, documents)) > 0;) {
        from = documents[found.count - 1] + 1;
        phrase_look_up(c, &found);
        for (size_t i = 0; i < found.count; i++) {
            uint32_t at = documents[i] - base;
            if (out[i] == ABSENT)
                continue;
            w->sums[at] += out[i];
            w->seen[at / 64] |= UINT64_C(1) << at % 64;
        }
    }
}

void clause_accumulate(struct clause *c, uint32_t base, uint32_t end, struct window *w)
{
    if (c->kind == CLAUSE_PHRASE) {
        accumulate_phrase(c, base, end, w);
        return;
    }
    if (c->kind == CLAUSE_GROUP)
        memset(w->group, 0, (end - base) * sizeof *w->group);
    for (size_t i = 0; i < c->list_count; i++)
        accumulate_list(&c->lists[i], base, end, w, c->kind == CLAUSE_WORD ? add_block : raise_block);
}

void clause_mark(struct clause *c, uint32_t base, uint32_t end, uint64_t *seen)
{
    size_t lists = c->kind == CLAUSE_PHRASE ? 1 : c->list_count;
    for (size_t i = 0; i < lists; i++)
        scored_mark(&c->lists[i], base, end, seen);
}

/* ------------------------------------------------------------------------------------------------------------ look-ups
 */

/* Each list after the other. */
static void look_up_lists(struct clause *c, struct candidates one)
{
    one.scores = NULL;
    one.raises = true;
    for (size_t k = 0; k < one.count; k++)
        one.out[k] = ABSENT;
    for (size_t i = 0; i < c->list_count; i++)
        scored_look_up(&c->lists[i], &one);
}

/* Whether to go through the lists once, as far as the window goes, is less than it is to look up these candidates and those
 * before them in each: then there will be as many again. By posting and by candidate that costs about the same, by list as
 * much as a few of them. */
static bool is_worth_it(struct clause *c, uint32_t base, uint64_t candidates)
{
    enum { A_LIST = 4, A_WINDOW = 200 };
    const struct scope *s = c->scope;
    uint64_t documents = s->documents > WINDOW ? s->documents : (uint64_t)WINDOW;
    uint64_t postings = c->cost * WINDOW / documents;
    c->asked = c->asked_at == base ? c->asked + candidates : candidates;
    c->asked_at = base;
    return !s->unscored && !s->asks && c->asked * c->list_count > postings + A_LIST * c->list_count + A_WINDOW;
}

/* What the group adds in a window, from where its lists are. */
static bool find_in_window(struct clause *c, uint32_t base, uint32_t end)
{
    if (c->found)
        memset(c->found, 0, sizeof *c->found);
    else
        c->found = scope_take(c->scope, arena_new(c->scope->arena, struct window));
    for (size_t i = 0; c->found && i < c->list_count; i++)
        accumulate_list(&c->lists[i], base, end, c->found, raise_block);
    c->found_at = c->found ? base : (uint32_t)NO_WINDOW;
    return !c->scope->err;
}

/* Candidates of one window after the other, as long as that is worth it, and all that are left. */
static void look_up_group(struct clause *c, const struct candidates *all)
{
    uint32_t documents = c->scope->documents;
    struct candidates left = *all;
    while (left.count > 0) {
        uint32_t base = left.documents[0] & ~(uint32_t)(WINDOW - 1);
        uint32_t end = documents - base > WINDOW ? base + WINDOW : documents;
        size_t here = kernel_below(left.documents, left.count, end);
        if (c->found_at != base && (!is_worth_it(c, base, here) || !find_in_window(c, base, end)))
            break;
        for (size_t i = 0; i < here; i++) {
            uint32_t at = left.documents[i] - base;
            left.out[i] = c->found->seen[at / 64] >> at % 64 & 1 ? c->found->sums[at] : ABSENT;
        }
        left.documents += here;
        left.out += here;
        left.count -= here;
    }
    if (left.count > 0)
        look_up_lists(c, left);
}

void clause_look_up(struct clause *c, const struct candidates *candidates)
{
    if (c->kind == CLAUSE_WORD)
        scored_look_up(&c->lists[0], candidates);
    else if (c->kind == CLAUSE_GROUP)
        look_up_group(c, candidates);
    else if (c->kind == CLAUSE_PHRASE)
        phrase_look_up(c, candidates);
    else
        for (size_t i = 0; i < candidates->count; i++)
            candidates->out[i] = ABSENT;
}
