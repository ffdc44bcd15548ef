#include "index/query.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "index/query_tree.h"

/* The candidates of one prefix in one segment: the first QUERY_CANDIDATES of its words by (length, key), in a heap
 * whose root is the last of them. What replaces the root is never longer than it, so it is written over it. */
struct shortlist {
    struct query_candidate *heap;
    char **buffers;
    size_t count;
    bool cut; /* there were more */
};

struct found {
    struct query_candidate candidate;
    bool is_word; /* in one segment at least; elsewhere it is only the stem of other words */
};

struct preparation {
    struct arena *arena;
    struct snapshot *snapshot;
    struct query_fault *fault;
    const struct tree_word *word;
    struct found *found; /* of all segments, then sorted and added up */
    size_t found_count, found_room;
    struct query_candidate *stems_end; /* per segment: the last of its bare stems that was taken, if there were more */
};

/* By (distance, length, key). */
static int candidate_order(const struct query_candidate *a, const struct query_candidate *b)
{
    if (a->distance != b->distance)
        return a->distance < b->distance ? -1 : 1;
    if (a->key.len != b->key.len)
        return a->key.len < b->key.len ? -1 : 1;
    return str_compare(a->key, b->key);
}

static int compare_found(const void *a, const void *b)
{
    return candidate_order(&((const struct found *)a)->candidate, &((const struct found *)b)->candidate);
}

static int failed(struct preparation *p, size_t segment, const char *part, int64_t err)
{
    *p->fault = (struct query_fault){.segment = segment, .part = part};
    return (int)err;
}

/* Live documents with the term in one segment: without deletions the dictionary has it. */
static int64_t live_frequency(struct snapshot_segment *s, const struct term *t)
{
    return s->core->deleted == 0 ? (int64_t)t->documents : snapshot_frequency(s, t->key);
}

/* -------------------------------------------------------------------------------------------------------- the word
 * itself */

static int add_found(struct preparation *p, struct query_candidate candidate, bool is_word)
{
    if (p->found_count == p->found_room) {
        size_t room = p->found_room ? 2 * p->found_room : 4;
        size_t size = sizeof *p->found;
        struct found *found = arena_grow(p->arena, p->found, p->found_room * size, room * size);
        if (!found)
            return ERR_FULL;
        p->found = found;
        p->found_room = room;
    }
    p->found[p->found_count++] = (struct found){candidate, is_word};
    return 0;
}

/* Live documents with a term in all segments. */
static int total_frequency(struct preparation *p, struct str key, uint64_t *out)
{
    uint64_t total = 0;
    for (size_t i = 0; i < p->snapshot->segment_count; i++) {
        int64_t live = snapshot_frequency(&p->snapshot->segments[i], key);
        if (live < 0)
            return failed(p, i, "postings", live);
        total += (uint64_t)live;
    }
    *out = total;
    return 0;
}

static int prepare_stem(struct preparation *p)
{
    struct query_candidate candidate = {.key = p->word->key};
    int err = total_frequency(p, candidate.key, &candidate.frequency);
    if (!err && candidate.frequency > 0)
        err = add_found(p, candidate, true);
    return err;
}

/* ---------------------------------------------------------------------------------------------------- words that begin
 * so */

static void swap(struct shortlist *l, size_t a, size_t b)
{
    struct query_candidate c = l->heap[a];
    char *buffer = l->buffers[a];
    l->heap[a] = l->heap[b];
    l->buffers[a] = l->buffers[b];
    l->heap[b] = c;
    l->buffers[b] = buffer;
}

static void sift_up(struct shortlist *l, size_t at)
{
    for (; at > 0 && candidate_order(&l->heap[at], &l->heap[(at - 1) / 2]) > 0; at = (at - 1) / 2)
        swap(l, at, (at - 1) / 2);
}

static void sift_down(struct shortlist *l)
{
    for (size_t at = 0;;) {
        size_t largest = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < l->count; child++) {
            if (candidate_order(&l->heap[child], &l->heap[largest]) > 0)
                largest = child;
        }
        if (largest == at)
            return;
        swap(l, at, largest);
        at = largest;
    }
}

static int shortlist_add(struct arena *a, struct shortlist *l, struct query_candidate c)
{
    bool replaces = l->count == QUERY_CANDIDATES;
    size_t at = replaces ? 0 : l->count;
    if (!replaces) {
        l->buffers[at] = arena_alloc(a, c.key.len);
        if (!l->buffers[at])
            return ERR_FULL;
        l->count++;
    }
    memcpy(l->buffers[at], c.key.ptr, c.key.len);
    c.key.ptr = l->buffers[at];
    l->heap[at] = c;
    if (replaces)
        sift_down(l);
    else
        sift_up(l, at);
    return 0;
}

static bool belongs(const struct shortlist *l, const struct query_candidate *c)
{
    return l->count < QUERY_CANDIDATES || candidate_order(c, &l->heap[0]) < 0;
}

/* The words of one segment, and apart from them stems that are no words there but may be so in another segment: then
 * their documents count. */
struct shortlists {
    struct shortlist words, stems;
};

static int list_term(struct preparation *p, size_t segment, const struct term *t, struct shortlists *both)
{
    bool is_word = t->key.ptr[0] == TERM_WORD || (t->flags & TERM_IS_WORD);
    struct shortlist *l = is_word ? &both->words : &both->stems;
    struct query_candidate c = {.key = t->key, .distance = 1};
    if (l->count == QUERY_CANDIDATES)
        l->cut = true;
    if (!belongs(l, &c))
        return 0;
    int64_t live = live_frequency(&p->snapshot->segments[segment], t);
    if (live < 0)
        return failed(p, segment, "postings", live);
    c.frequency = (uint64_t)live;
    return live > 0 ? shortlist_add(p->arena, l, c) : 0;
}

/* All terms of one kind that begin with the word as it was typed. The typed word itself is there through its stem. */
static int list_kind(struct preparation *p, size_t segment, enum term_kind kind, struct shortlists *both)
{
    struct str folded = p->word->folded;
    char from[1 + ANALYZER_MAX_WORD];
    size_t length = 1 + folded.len;
    from[0] = (char)kind;
    memcpy(from + 1, folded.ptr, folded.len);

    int err = 0;
    struct term term;
    struct term_cursor cursor;
    term_cursor_seek(&cursor, p->snapshot->segments[segment].segment, (struct str){from, length});
    while (!err && term_cursor_next(&cursor, &term)) {
        if (term.key.len < length || memcmp(term.key.ptr, from, length) != 0)
            break;
        bool typed = str_equal(term.key, p->word->key) || (kind == TERM_WORD && term.key.len == length);
        if (!typed)
            err = list_term(p, segment, &term, both);
    }
    if (!err && cursor.err)
        err = failed(p, segment, "dictionary", cursor.err);
    return err;
}

static int shortlist_init(struct arena *a, struct shortlist *l)
{
    l->heap = arena_new_array(a, QUERY_CANDIDATES, struct query_candidate);
    l->buffers = arena_new_array(a, QUERY_CANDIDATES, char *);
    return l->heap && l->buffers ? 0 : ERR_FULL;
}

/* For the next segment; keys stay where they are. */
static void shortlist_clear(struct shortlist *l)
{
    l->count = 0;
    l->cut = false;
}

static int add_list(struct preparation *p, const struct shortlist *l, bool words)
{
    int err = 0;
    for (size_t i = 0; i < l->count && !err; i++)
        err = add_found(p, l->heap[i], words);
    return err;
}

static int list_segment(struct preparation *p, size_t segment, struct shortlists *both)
{
    shortlist_clear(&both->words);
    shortlist_clear(&both->stems);
    int err = list_kind(p, segment, TERM_STEM, both);
    if (!err)
        err = list_kind(p, segment, TERM_WORD, both);
    if (!err)
        err = add_list(p, &both->words, true);
    if (!err)
        err = add_list(p, &both->stems, false);
    if (both->stems.cut)
        p->stems_end[segment] = both->stems.heap[0];
    return err;
}

/* A word among the first of all is among the first in each segment that has it. */
static int prepare_prefix(struct preparation *p)
{
    struct shortlists both = {0};
    p->stems_end = arena_new_array(p->arena, p->snapshot->segment_count, struct query_candidate);
    if (!p->stems_end || shortlist_init(p->arena, &both.words) || shortlist_init(p->arena, &both.stems))
        return ERR_FULL;
    int err = 0;
    for (size_t i = 0; i < p->snapshot->segment_count && !err; i++)
        err = list_segment(p, i, &both);
    return err;
}

/* Sorts, adds up the frequencies of equal terms, and leaves out those that are no words anywhere. */
static void add_up(struct preparation *p)
{
    size_t sums = 0, words = 0;
    if (p->found_count > 1)
        qsort(p->found, p->found_count, sizeof *p->found, compare_found);
    for (size_t i = 0; i < p->found_count; i++) {
        if (sums > 0 && compare_found(&p->found[i], &p->found[sums - 1]) == 0) {
            p->found[sums - 1].candidate.frequency += p->found[i].candidate.frequency;
            p->found[sums - 1].is_word |= p->found[i].is_word;
        } else {
            p->found[sums++] = p->found[i];
        }
    }
    for (size_t i = 0; i < sums && words < QUERY_CANDIDATES; i++) {
        if (p->found[i].is_word)
            p->found[words++] = p->found[i];
    }
    p->found_count = words;
}

/* Where a segment has more bare stems than were taken (one or two letters were typed), those that were left are looked
 * up. */
static int complete(struct preparation *p, struct query_candidate *c)
{
    if (!p->stems_end || c->distance == 0 || c->key.ptr[0] == TERM_WORD)
        return 0;
    for (size_t i = 0; i < p->snapshot->segment_count; i++) {
        struct term term;
        int err = 0;
        struct snapshot_segment *s = &p->snapshot->segments[i];
        if (!p->stems_end[i].key.ptr || candidate_order(c, &p->stems_end[i]) <= 0)
            continue;
        bool there = segment_find_term(s->segment, c->key, &term, &err);
        int64_t live = there && !(term.flags & TERM_IS_WORD) ? live_frequency(s, &term) : err;
        if (live < 0)
            return failed(p, i, "postings", live);
        c->frequency += (uint64_t)live;
    }
    return 0;
}

static int finish(struct preparation *p, struct query_word *out)
{
    add_up(p);
    struct query_candidate *candidates = arena_new_array(p->arena, p->found_count, struct query_candidate);
    if (!candidates)
        return ERR_FULL;
    for (size_t i = 0; i < p->found_count; i++) {
        candidates[i] = p->found[i].candidate;
        int err = complete(p, &candidates[i]);
        if (err)
            return err;
    }
    *out = (struct query_word){p->word->count, candidates, p->found_count};
    return 0;
}

int query_prepare(struct arena *a, const struct query *q, struct snapshot *s, struct query_word *out_words,
                  struct query_fault *fault)
{
    for (size_t i = 0; i < q->word_count; i++) {
        struct preparation p = {.arena = a, .snapshot = s, .fault = fault, .word = &q->words[i]};
        int err = prepare_stem(&p);
        if (!err && p.word->prefix && p.word->folded.len <= ANALYZER_MAX_WORD)
            err = prepare_prefix(&p);
        if (!err)
            err = finish(&p, &out_words[i]);
        if (err)
            return err;
    }
    return 0;
}
