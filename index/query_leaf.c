#include "index/query_leaf.h"

#include <string.h>

#include "common/err.h"
#include "index/score.h"

/* ------------------------------------------------------------------------------------------------------------- opening
 */

/* Opens a term's postings: false if the segment has none. */
static bool open_term(struct scope *s, struct str key, uint32_t weight, struct leaf_term *out)
{
    struct term term;
    int err = 0;
    if (!segment_find_term(s->segment, key, &term, &err)) {
        if (err)
            scope_fail(s, err, "dictionary");
        return false;
    }
    *out = (struct leaf_term){.documents = term.documents, .weight = weight, .key = key, .positions_of = POSTINGS_END};
    postings_open(&out->postings, s->segment, &term);
    if (out->postings.err)
        scope_fail(s, out->postings.err, "postings");
    return !s->err && out->postings.document != POSTINGS_END;
}

static void settle_word(struct leaf_cursor *c)
{
    uint32_t first = POSTINGS_END;
    for (size_t i = 0; i < c->term_count; i++) {
        const struct postings *p = &c->terms[i].postings;
        if (p->err)
            scope_fail(c->scope, p->err, "postings");
        if (p->document < first)
            first = p->document;
    }
    c->document = c->scope->err ? POSTINGS_END : first;
}

static void open_word(struct leaf_cursor *c, const struct query_weights *weights)
{
    if (weights->term_count == 0)
        return;
    c->kind = LEAF_WORD;
    c->terms = scope_take(c->scope, arena_new_array(c->scope->arena, weights->term_count, struct leaf_term));
    if (!c->terms)
        return;
    for (size_t i = 0; i < weights->term_count; i++) {
        struct leaf_term *t = &c->terms[c->term_count];
        if (!open_term(c->scope, weights->terms[i].key, weights->terms[i].weight, t))
            continue;
        c->cost += t->documents;
        c->term_count++;
    }
    settle_word(c);
}

static uint32_t find_term(const struct leaf_cursor *c, struct str key)
{
    uint32_t i = 0;
    while (i < c->term_count && !str_equal(c->terms[i].key, key))
        i++;
    return i;
}

/* Each distinct word of the phrase, rarest first; false if one is not in the segment. */
static bool open_phrase_terms(struct leaf_cursor *c)
{
    const struct tree_leaf *leaf = c->leaf;
    for (size_t i = 0; i < leaf->element_count; i++) {
        const struct tree_element *e = &leaf->elements[i];
        if (find_term(c, e->key) < c->term_count)
            continue;
        struct leaf_term term;
        if (!open_term(c->scope, e->key, scope_element_weight(c->scope, e), &term))
            return false;
        size_t at = c->term_count++;
        for (; at > 0 && c->terms[at - 1].documents > term.documents; at--)
            c->terms[at] = c->terms[at - 1];
        c->terms[at] = term;
    }
    return true;
}

static void phrase_settle(struct leaf_cursor *c, uint32_t document);

static void open_phrase(struct leaf_cursor *c)
{
    size_t count = c->leaf->element_count;
    c->in_field = c->leaf->field.len > 0;
    if (c->in_field && !scope_find_field(c->scope, c->leaf->field, &c->field, &c->field_weight))
        return;
    c->terms = arena_new_array(c->scope->arena, count, struct leaf_term);
    c->element_terms = arena_new_array(c->scope->arena, count, uint32_t);
    c->element_at = arena_new_array(c->scope->arena, count, size_t);
    if (!c->terms || !c->element_terms || !c->element_at) {
        scope_fail(c->scope, ERR_FULL, NULL);
        return;
    }
    if (!open_phrase_terms(c))
        return;
    for (size_t i = 0; i < count; i++)
        c->element_terms[i] = find_term(c, c->leaf->elements[i].key);
    c->kind = LEAF_PHRASE;
    c->cost = c->terms[0].documents;
    phrase_settle(c, 0);
}

void leaf_open(struct scope *s, const struct tree_leaf *leaf, struct leaf_cursor *out)
{
    *out = (struct leaf_cursor){.scope = s, .leaf = leaf, .document = POSTINGS_END};
    const struct tree_element *e = &leaf->elements[0];
    struct query_term own = {.key = e->key};
    struct query_weights silent = {.terms = &own, .term_count = 1};
    if (leaf->element_count == 1 && leaf->field.len == 0)
        open_word(out, e->word == NO_WORD ? &silent : &s->run->weights[e->word]);
    else
        open_phrase(out);
}

/* ------------------------------------------------------------------------------------------------------------- phrases
 */

static bool read_positions(struct scope *s, struct leaf_term *t)
{
    struct postings *p = &t->postings;
    if (t->positions_of == p->document)
        return true;
    if (t->position_room < p->count) {
        size_t room = 2 * t->position_room > p->count ? 2 * t->position_room : p->count;
        t->positions = arena_new_array(s->arena, room, uint32_t);
        t->position_room = t->positions ? room : 0;
        if (!t->positions) {
            scope_fail(s, ERR_FULL, NULL);
            return false;
        }
    }
    if (!postings_positions(p, t->positions)) {
        scope_fail(s, p->err ? p->err : ERR_CORRUPT, "positions");
        return false;
    }
    t->positions_of = p->document;
    return true;
}

/* Goes on in an element's positions to `at`; whether it stands there. */
static bool element_reaches(struct leaf_cursor *c, size_t element, uint32_t at)
{
    const struct leaf_term *t = &c->terms[c->element_terms[element]];
    size_t i = c->element_at[element];
    while (i < t->postings.count && t->positions[i] < at)
        i++;
    c->element_at[element] = i;
    return i < t->postings.count && t->positions[i] == at;
}

/* Where fields lie is asked for once a document, where it matters. */
static bool read_ranges(struct leaf_cursor *c, uint32_t document)
{
    int err = c->in_field ? segment_field_ranges(c->scope->segment, document, &c->ranges) : 0;
    if (err)
        scope_fail(c->scope, err, "records");
    return !err;
}

/* Whether the words stand side by side, all in the field where there is one: then the first of them tells, since no
 * phrase reaches over the gap between fields. */
static bool phrase_stands(struct leaf_cursor *c)
{
    size_t count = c->leaf->element_count;
    for (size_t i = 0; i < c->term_count; i++) {
        if (!read_positions(c->scope, &c->terms[i]))
            return false;
    }
    if (!read_ranges(c, c->terms[0].postings.document))
        return false;
    struct field_ranges ranges = c->ranges;
    memset(c->element_at, 0, count * sizeof *c->element_at);
    const struct leaf_term *first = &c->terms[c->element_terms[0]];
    for (size_t i = 0; i < first->postings.count; i++) {
        if (c->in_field && field_ranges_find(&ranges, first->positions[i]) != c->field)
            continue;
        size_t k = 1;
        while (k < count && element_reaches(c, k, first->positions[i] + c->leaf->elements[k].offset))
            k++;
        if (k == count)
            return true;
    }
    return false;
}

/* The first document at or after `document` that has all terms, or POSTINGS_END. */
static uint32_t align_terms(struct leaf_cursor *c, uint32_t document)
{
    for (size_t i = 0; i < c->term_count;) {
        struct postings *p = &c->terms[i].postings;
        if (p->document < document)
            postings_seek(p, document);
        if (p->err)
            scope_fail(c->scope, p->err, "postings");
        if (p->document == POSTINGS_END || c->scope->err)
            return POSTINGS_END;
        i = p->document == document || i == 0 ? i + 1 : 0;
        document = p->document;
    }
    return document;
}

static void phrase_settle(struct leaf_cursor *c, uint32_t document)
{
    for (;; document++) {
        document = align_terms(c, document);
        if (document == POSTINGS_END || scope_is_over(c->scope)) {
            c->document = POSTINGS_END;
            return;
        }
        if (phrase_stands(c)) {
            c->document = document;
            return;
        }
    }
}

/* -------------------------------------------------------------------------------------------------------------
 * stepping */

static void word_seek(struct leaf_cursor *c, uint32_t document)
{
    for (size_t i = 0; i < c->term_count; i++) {
        if (c->terms[i].postings.document < document)
            postings_seek(&c->terms[i].postings, document);
    }
    settle_word(c);
}

void leaf_seek(struct leaf_cursor *c, uint32_t document)
{
    if (c->document >= document)
        return;
    if (c->kind == LEAF_WORD)
        word_seek(c, document);
    else
        phrase_settle(c, document);
}

/* ------------------------------------------------------------------------------------------------------------- scoring
 */

static float norm_of(const struct scope *s, uint32_t document)
{
    return s->run->norms[s->length_codes[document]];
}

static uint32_t t_in_field(const struct leaf_cursor *c, const struct leaf_term *term)
{
    uint32_t n = 0;
    struct field_ranges ranges = c->ranges;
    for (size_t i = 0; i < term->postings.count; i++)
        n += field_ranges_find(&ranges, term->positions[i]) == c->field;
    return n * c->field_weight;
}

static int64_t word_score(const struct leaf_cursor *c, float norm)
{
    int32_t largest = 0;
    for (size_t i = 0; i < c->term_count; i++) {
        const struct leaf_term *t = &c->terms[i];
        if (t->postings.document != c->document)
            continue;
        int32_t contribution = score_contribution(t->weight, t->postings.t, norm);
        if (contribution > largest)
            largest = contribution;
    }
    return largest;
}

static int64_t phrase_score(const struct leaf_cursor *c, float norm)
{
    int64_t sum = 0;
    for (size_t i = 0; i < c->term_count; i++) {
        const struct leaf_term *t = &c->terms[i];
        sum += score_contribution(t->weight, c->in_field ? t_in_field(c, t) : t->postings.t, norm);
    }
    return sum;
}

int64_t leaf_score(struct leaf_cursor *c)
{
    float norm = norm_of(c->scope, c->document);
    return c->kind == LEAF_WORD ? word_score(c, norm) : phrase_score(c, norm);
}

/* ---------------------------------------------------------------------------------------------------------
 * accumulating */

static void mark(uint64_t *seen, uint32_t at)
{
    if (seen)
        seen[at / 64] |= UINT64_C(1) << (at % 64);
}

static void accumulate_term(struct leaf_cursor *c, uint32_t base, uint32_t end, int64_t *sums, uint64_t *seen)
{
    struct leaf_term *t = &c->terms[0];
    for (; t->postings.document < end; postings_next(&t->postings)) {
        uint32_t at = t->postings.document - base;
        sums[at] += score_contribution(t->weight, t->postings.t, norm_of(c->scope, t->postings.document));
        mark(seen, at);
    }
    settle_word(c);
}

/* The largest contribution of the group's terms per document, in `scratch`. */
static void accumulate_group(struct leaf_cursor *c, uint32_t base, uint32_t end, int64_t *sums, uint64_t *seen,
                             int32_t *scratch)
{
    for (size_t i = 0; i < c->term_count; i++) {
        struct leaf_term *t = &c->terms[i];
        for (; t->postings.document < end; postings_next(&t->postings)) {
            uint32_t at = t->postings.document - base;
            int32_t contribution = score_contribution(t->weight, t->postings.t, norm_of(c->scope, base + at));
            if (contribution > scratch[at]) {
                sums[at] += contribution - scratch[at];
                scratch[at] = contribution;
            }
            mark(seen, at);
        }
    }
    memset(scratch, 0, (end - base) * sizeof *scratch);
    settle_word(c);
}

void leaf_accumulate(struct leaf_cursor *c, uint32_t base, uint32_t end, int64_t *sums, uint64_t *seen,
                     int32_t *scratch)
{
    if (c->kind == LEAF_WORD && c->term_count == 1) {
        accumulate_term(c, base, end, sums, seen);
    } else if (c->kind == LEAF_WORD) {
        accumulate_group(c, base, end, sums, seen, scratch);
    } else {
        for (; c->document < end; leaf_seek(c, c->document + 1)) {
            sums[c->document - base] += leaf_score(c);
            mark(seen, c->document - base);
        }
    }
}

void leaf_mark(struct leaf_cursor *c, uint32_t base, uint32_t end, uint64_t *seen)
{
    if (c->kind != LEAF_WORD) {
        for (; c->document < end; leaf_seek(c, c->document + 1))
            mark(seen, c->document - base);
        return;
    }
    for (size_t i = 0; i < c->term_count; i++) {
        struct postings *p = &c->terms[i].postings;
        for (; p->document < end; postings_next(p))
            mark(seen, p->document - base);
    }
    settle_word(c);
}
