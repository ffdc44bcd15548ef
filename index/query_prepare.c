#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "index/query_candidates.h"
#include "index/typo.h"
#include "index/will_need.h"

static int compare_found(const void *a, const void *b)
{
    return query_candidate_order(a, b);
}

int query_prepare_failed(struct query_preparation *p, size_t segment, const char *part, int64_t err)
{
    *p->fault = (struct query_fault){.segment = segment, .part = part};
    return (int)err;
}

int query_candidate_add(struct query_preparation *p, struct query_candidate candidate)
{
    if (p->found_count == p->found_room) {
        size_t room = p->found_room ? 2 * p->found_room : 4;
        size_t size = sizeof *p->found;
        struct query_candidate *found = arena_grow(p->arena, p->found, p->found_room * size, room * size);
        if (!found)
            return ERR_FULL;
        p->found = found;
        p->found_room = room;
    }
    p->found[p->found_count++] = candidate;
    return 0;
}

/* Live documents with a term in all segments; it is kept where it was found, since round 2 needs it again. */
static int total_frequency(struct query_preparation *p, struct str key, uint64_t *out)
{
    struct term *stems = arena_new_array(p->arena, p->snapshot->segment_count, struct term);
    if (!stems)
        return ERR_FULL;
    *out = 0;
    for (size_t i = 0; i < p->snapshot->segment_count; i++) {
        if (snapshot_is_dead(&p->snapshot->segments[i]))
            continue;
        int64_t live = snapshot_term(&p->snapshot->segments[i], key, &stems[i]);
        if (live < 0)
            return query_prepare_failed(p, i, "postings", live);
        *out += (uint64_t)live;
    }
    p->word->stems = stems;
    p->word->live = *out;
    return 0;
}

static int prepare_stem(struct query_preparation *p)
{
    struct query_candidate candidate = {.key = p->word->key};
    int err = total_frequency(p, candidate.key, &candidate.frequency);
    if (!err && candidate.frequency > 0)
        err = query_candidate_add(p, candidate);
    return err;
}

static bool is_sorted(const struct query_candidate *c, size_t count)
{
    size_t i = 1;
    while (i < count && query_candidate_order(&c[i - 1], &c[i]) <= 0)
        i++;
    return i >= count;
}

static void sort_found(struct query_preparation *p)
{
    if (!is_sorted(p->found, p->found_count)) /* those of a prefix are */
        qsort(p->found, p->found_count, sizeof *p->found, compare_found);
}

/* Sorts, and adds up the frequencies of equal terms. */
static void add_up(struct query_preparation *p, struct query_word *out)
{
    size_t kept = 0;
    sort_found(p);
    for (size_t i = 0; i < p->found_count; i++) {
        if (kept > 0 && query_candidate_order(&p->found[i], &p->found[kept - 1]) == 0)
            p->found[kept - 1].frequency += p->found[i].frequency;
        else
            p->found[kept++] = p->found[i];
    }
    *out = (struct query_word){.key = p->word->key,
                               .count = p->word->count,
                               .candidates = p->found,
                               .candidate_count = kept < QUERY_CANDIDATES ? kept : QUERY_CANDIDATES};
}

/* Where some of its documents are deleted, those of its terms are counted. */
static void ask_for_counts(const struct query *q, const struct snapshot_segment *s, struct page_ranges *r)
{
    struct term term;
    int err = 0; /* whoever reads it in earnest will meet it again */
    bool counts = s->core->deleted > 0 && !snapshot_is_dead(s);
    for (size_t k = 0; counts && k < q->word_count; k++) {
        if (segment_find_term(s->segment, q->words[k].key, &term, &err))
            will_need_list(s->segment, &term, UINT64_MAX, false, r);
    }
}

static void ask_for_word(const struct segment *s, const struct tree_word *word, struct page_ranges *r)
{
    static const enum term_kind kinds[] = {TERM_STEM, TERM_WORD};
    char from[1 + ANALYZER_MAX_WORD];
    will_need_key(s, word->key, false, r);
    if (!word->prefix || word->folded.len > ANALYZER_MAX_WORD)
        return;
    memcpy(from + 1, word->folded.ptr, word->folded.len);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        from[0] = (char)kinds[i];
        will_need_key(s, (struct str){from, 1 + word->folded.len}, true, r);
    }
}

/* The dictionaries' blocks of all words in all segments, and what will be counted. */
static void ask_for_words(const struct query *q, const struct snapshot *s)
{
    struct page_ranges r;
    page_ranges_init(&r);
    for (size_t i = 0; s->asks == ASKS_ALL && i < s->segment_count; i++)
        if (!snapshot_is_dead(&s->segments[i]))
            will_need_index(s->segments[i].segment, &r);
    page_ranges_ask(&r);
    for (size_t i = 0; i < s->segment_count; i++) {
        for (size_t k = 0; k < q->word_count && !snapshot_is_dead(&s->segments[i]); k++)
            ask_for_word(s->segments[i].segment, &q->words[k], &r);
    }
    page_ranges_ask(&r);
    for (size_t i = 0; i < s->segment_count; i++)
        ask_for_counts(q, &s->segments[i], &r);
    page_ranges_ask(&r);
}

int query_prepare(struct arena *a, const struct query *q, struct snapshot *s, struct query_word *out_words,
                  struct query_fault *fault)
{
    if (s->asks)
        ask_for_words(q, s);
    for (size_t i = 0; i < q->word_count; i++) {
        struct query_preparation p = {.arena = a, .snapshot = s, .fault = fault, .word = &q->words[i]};
        int err = prepare_stem(&p);
        if (!err && p.word->prefix && p.word->folded.len <= ANALYZER_MAX_WORD)
            err = query_prepare_prefix(&p);
        if (err)
            return err;
        add_up(&p, &out_words[i]);
        out_words[i].misspelt = p.found_count == 0 && p.word->typos && typo_edits(p.word->folded) > 0;
    }
    return 0;
}

int query_guess(struct arena *a, const struct query *q, struct snapshot *s, struct query_word *words, size_t which,
                struct query_fault *fault)
{
    struct query_preparation p = {.arena = a, .snapshot = s, .fault = fault, .word = &q->words[which]};
    int err = query_prepare_typos(&p);
    if (!err)
        add_up(&p, &words[which]);
    return err;
}

int query_prepare_alone(struct arena *a, const struct query *q, struct snapshot *s, struct query_word *out_words,
                        struct query_fault *fault)
{
    int err = query_prepare(a, q, s, out_words, fault);
    for (size_t i = 0; i < q->word_count && !err; i++) {
        if (out_words[i].misspelt)
            err = query_guess(a, q, s, out_words, i, fault);
    }
    return err;
}
