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
};

struct found {
    struct query_candidate candidate;
    size_t segments; /* that its frequency is the sum of */
};

struct preparation {
    struct arena *arena;
    struct snapshot *snapshot;
    struct query_fault *fault;
    const struct tree_word *word;
    struct found *found; /* of all segments, then sorted and added up */
    size_t found_count, found_room;
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

static int add_found(struct preparation *p, struct query_candidate candidate, size_t segments)
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
    p->found[p->found_count++] = (struct found){candidate, segments};
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
        err = add_found(p, candidate, p->snapshot->segment_count);
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

/* All terms of one kind that begin with the word as it was typed. The typed word itself is there through its stem. */
static int list_kind(struct preparation *p, size_t segment, enum term_kind kind, struct shortlist *l)
{
    struct snapshot_segment *s = &p->snapshot->segments[segment];
    struct str folded = p->word->folded;
    char from[1 + ANALYZER_MAX_WORD];
    size_t length = 1 + folded.len;
    from[0] = (char)kind;
    memcpy(from + 1, folded.ptr, folded.len);

    struct term_cursor cursor;
    struct term term;
    term_cursor_seek(&cursor, s->segment, (struct str){from, length});
    while (term_cursor_next(&cursor, &term)) {
        if (term.key.len < length || memcmp(term.key.ptr, from, length) != 0)
            break;
        bool is_word = kind == TERM_WORD || (term.flags & TERM_IS_WORD);
        if (!is_word || str_equal(term.key, p->word->key) || (kind == TERM_WORD && term.key.len == length))
            continue;
        struct query_candidate c = {.key = term.key, .distance = 1};
        if (!belongs(l, &c))
            continue;
        int64_t live = live_frequency(s, &term);
        if (live < 0)
            return failed(p, segment, "postings", live);
        c.frequency = (uint64_t)live;
        if (live > 0 && shortlist_add(p->arena, l, c))
            return ERR_FULL;
    }
    return cursor.err ? failed(p, segment, "dictionary", cursor.err) : 0;
}

static int list_segment(struct preparation *p, size_t segment, struct shortlist *l)
{
    l->count = 0;
    int err = list_kind(p, segment, TERM_STEM, l);
    if (!err)
        err = list_kind(p, segment, TERM_WORD, l);
    return err;
}

/* A word among the first of all is among the first in each segment that has it. */
static int prepare_prefix(struct preparation *p)
{
    size_t segments = p->snapshot->segment_count;
    for (size_t i = 0; i < segments; i++) {
        struct shortlist l = {
            .heap = arena_new_array(p->arena, QUERY_CANDIDATES, struct query_candidate),
            .buffers = arena_new_array(p->arena, QUERY_CANDIDATES, char *),
        };
        if (!l.heap || !l.buffers)
            return ERR_FULL;
        int err = list_segment(p, i, &l);
        for (size_t k = 0; k < l.count && !err; k++)
            err = add_found(p, l.heap[k], 1);
        if (err)
            return err;
    }
    return 0;
}

/* Sorts, and adds up the frequencies of equal terms. */
static void add_up(struct preparation *p)
{
    size_t kept = 0;
    if (p->found_count > 1)
        qsort(p->found, p->found_count, sizeof *p->found, compare_found);
    for (size_t i = 0; i < p->found_count; i++) {
        if (kept > 0 && compare_found(&p->found[i], &p->found[kept - 1]) == 0) {
            p->found[kept - 1].candidate.frequency += p->found[i].candidate.frequency;
            p->found[kept - 1].segments += p->found[i].segments;
        } else {
            p->found[kept++] = p->found[i];
        }
    }
    p->found_count = kept < QUERY_CANDIDATES ? kept : QUERY_CANDIDATES;
}

/* A stem is a word in some segments, and only the stem of others in the rest: those count, too. */
static int complete(struct preparation *p, struct found *f)
{
    if (f->candidate.key.ptr[0] == TERM_WORD || f->segments == p->snapshot->segment_count)
        return 0;
    return total_frequency(p, f->candidate.key, &f->candidate.frequency);
}

static int finish(struct preparation *p, struct query_word *out)
{
    add_up(p);
    struct query_candidate *candidates = arena_new_array(p->arena, p->found_count, struct query_candidate);
    if (!candidates)
        return ERR_FULL;
    for (size_t i = 0; i < p->found_count; i++) {
        int err = complete(p, &p->found[i]);
        if (err)
            return err;
        candidates[i] = p->found[i].candidate;
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
