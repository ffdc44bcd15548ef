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

struct preparation {
    struct arena *arena;
    struct snapshot *snapshot;
    struct query_fault *fault;
    const struct tree_word *word;
    struct query_candidate *found; /* of all segments, then sorted and added up */
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
    return candidate_order(a, b);
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

static int add_found(struct preparation *p, struct query_candidate candidate)
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
        err = add_found(p, candidate);
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

static int list_term(struct preparation *p, size_t segment, const struct term *t, struct shortlist *l)
{
    struct query_candidate c = {.key = t->key, .distance = 1};
    if (!belongs(l, &c))
        return 0;
    int64_t live = live_frequency(&p->snapshot->segments[segment], t);
    if (live < 0)
        return failed(p, segment, "postings", live);
    c.frequency = (uint64_t)live;
    return live > 0 ? shortlist_add(p->arena, l, c) : 0;
}

/* All terms of one kind that begin with the word as it was typed; itself it is there through its stem. A stem that is
 * no word counts as well: whether it is one would depend on documents that are deleted but not yet gone. */
static int list_kind(struct preparation *p, size_t segment, enum term_kind kind, struct shortlist *l)
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
            err = list_term(p, segment, &term, l);
    }
    if (!err && cursor.err)
        err = failed(p, segment, "dictionary", cursor.err);
    return err;
}

static int list_segment(struct preparation *p, size_t segment, struct shortlist *l)
{
    l->count = 0; /* the keys of other segments stay where they are */
    int err = list_kind(p, segment, TERM_STEM, l);
    if (!err)
        err = list_kind(p, segment, TERM_WORD, l);
    for (size_t i = 0; i < l->count && !err; i++)
        err = add_found(p, l->heap[i]);
    return err;
}

/* A term among the first of all is among the first in each segment that has it, so its frequencies are complete. */
static int prepare_prefix(struct preparation *p)
{
    struct shortlist l = {
        .heap = arena_new_array(p->arena, QUERY_CANDIDATES, struct query_candidate),
        .buffers = arena_new_array(p->arena, QUERY_CANDIDATES, char *),
    };
    int err = l.heap && l.buffers ? 0 : ERR_FULL;
    for (size_t i = 0; i < p->snapshot->segment_count && !err; i++)
        err = list_segment(p, i, &l);
    return err;
}

/* Sorts, and adds up the frequencies of equal terms. */
static void add_up(struct preparation *p, struct query_word *out)
{
    size_t kept = 0;
    if (p->found_count > 1)
        qsort(p->found, p->found_count, sizeof *p->found, compare_found);
    for (size_t i = 0; i < p->found_count; i++) {
        if (kept > 0 && candidate_order(&p->found[i], &p->found[kept - 1]) == 0)
            p->found[kept - 1].frequency += p->found[i].frequency;
        else
            p->found[kept++] = p->found[i];
    }
    *out = (struct query_word){p->word->count, p->found, kept < QUERY_CANDIDATES ? kept : QUERY_CANDIDATES};
}

int query_prepare(struct arena *a, const struct query *q, struct snapshot *s, struct query_word *out_words,
                  struct query_fault *fault)
{
    for (size_t i = 0; i < q->word_count; i++) {
        struct preparation p = {.arena = a, .snapshot = s, .fault = fault, .word = &q->words[i]};
        int err = prepare_stem(&p);
        if (!err && p.word->prefix && p.word->folded.len <= ANALYZER_MAX_WORD)
            err = prepare_prefix(&p);
        if (err)
            return err;
        add_up(&p, &out_words[i]);
    }
    return 0;
}
