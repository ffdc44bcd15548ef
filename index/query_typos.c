#include <string.h>

#include "common/err.h"
#include "index/query_candidates.h"
#include "index/typo.h"
#include "index/will_need.h"

/* The candidates of a word in one segment that are not the word itself: the first QUERY_CANDIDATES of them. Once there
 * are more, in a heap whose root is the last; what replaces the root is written over it. */
struct listed {
    struct query_candidate candidate;
    char *buffer; /* of its key */
    size_t room;
};

struct shortlist {
    struct listed *heap;
    size_t count;
};

static int shortlist_init(struct arena *a, struct shortlist *l)
{
    *l = (struct shortlist){.heap = arena_new_array(a, QUERY_CANDIDATES, struct listed)};
    return l->heap ? 0 : ERR_FULL;
}

static bool is_before(const struct shortlist *l, size_t a, size_t b)
{
    return query_candidate_order(&l->heap[a].candidate, &l->heap[b].candidate) < 0;
}

static void swap(struct shortlist *l, size_t a, size_t b)
{
    struct listed listed = l->heap[a];
    l->heap[a] = l->heap[b];
    l->heap[b] = listed;
}

static void sift_down(struct shortlist *l, size_t at)
{
    for (;;) {
        size_t largest = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < l->count; child++) {
            if (is_before(l, largest, child))
                largest = child;
        }
        if (largest == at)
            return;
        swap(l, at, largest);
        at = largest;
    }
}

static void make_heap(struct shortlist *l)
{
    for (size_t i = l->count / 2; i-- > 0;)
        sift_down(l, i);
}

static bool copy_key(struct arena *a, struct listed *to, struct query_candidate c)
{
    if (to->room < c.key.len) {
        to->buffer = arena_alloc(a, c.key.len);
        to->room = to->buffer ? c.key.len : 0;
        if (!to->buffer)
            return false;
    }
    memcpy(to->buffer, c.key.ptr, c.key.len);
    c.key.ptr = to->buffer;
    to->candidate = c;
    return true;
}

static int shortlist_add(struct arena *a, struct shortlist *l, struct query_candidate c)
{
    bool replaces = l->count == QUERY_CANDIDATES;
    if (!replaces)
        l->heap[l->count] = (struct listed){0}; /* keys of the segment before stay where they are */
    if (!copy_key(a, &l->heap[replaces ? 0 : l->count], c))
        return ERR_FULL;
    if (replaces)
        sift_down(l, 0);
    else if (++l->count == QUERY_CANDIDATES)
        make_heap(l);
    return 0;
}

static bool belongs(const struct shortlist *l, const struct query_candidate *c)
{
    return l->count < QUERY_CANDIDATES || query_candidate_order(c, &l->heap[0].candidate) < 0;
}

/* A term of a segment, if a live document has it. */
static int list_term(struct query_preparation *p, size_t segment, const struct term *t, struct query_candidate c,
                     struct shortlist *l)
{
    c.key = t->key;
    if (!belongs(l, &c))
        return 0;
    int64_t live = snapshot_live(&p->snapshot->segments[segment], t);
    if (live < 0)
        return query_prepare_failed(p, segment, "postings", live);
    c.frequency = (uint64_t)live;
    return live > 0 ? shortlist_add(p->arena, l, c) : 0;
}

/* A segment's are all there: on to the next. A term among the first of all is among the first in each segment that has
 * it, so its frequencies are complete. */
static int end_segment(struct query_preparation *p, struct shortlist *l)
{
    int err = 0;
    for (size_t i = 0; i < l->count && !err; i++)
        err = query_candidate_add(p, l->heap[i].candidate);
    l->count = 0;
    return err;
}

struct typo_search {
    struct query_preparation *preparation;
    struct shortlist list;
    size_t segment;
    int err; /* other than of the dictionary */
};

static int list_typo(void *context, const struct term *t, uint32_t edits)
{
    struct typo_search *s = context;
    s->err = list_term(s->preparation, s->segment, t, (struct query_candidate){.edits = edits}, &s->list);
    return s->err;
}

static void ask_for_dictionaries(const struct snapshot *s)
{
    struct page_ranges r;
    page_ranges_init(&r);
    for (size_t i = 0; i < s->segment_count; i++)
        if (!snapshot_is_dead(&s->segments[i]))
            will_need_dictionary(s->segments[i].segment, &r);
    page_ranges_ask(&r);
}

/* Any stem counts, as for prefixes. */
int query_prepare_typos(struct query_preparation *p)
{
    struct typo_word word;
    struct typo_search s = {.preparation = p};
    typo_word_init(&word, p->word->folded, typo_edits(p->word->folded));
    if (p->snapshot->asks)
        ask_for_dictionaries(p->snapshot);
    int err = shortlist_init(p->arena, &s.list);
    for (; s.segment < p->snapshot->segment_count && !err; s.segment++) {
        if (snapshot_is_dead(&p->snapshot->segments[s.segment]))
            continue;
        err = typo_scan(&word, p->snapshot->segments[s.segment].segment, list_typo, &s);
        if (err && !s.err)
            return query_prepare_failed(p, s.segment, "dictionary", err);
        if (!err)
            err = end_segment(p, &s.list);
    }
    return err;
}
