#include "index/query.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "index/prefix.h"
#include "index/query_tree.h"
#include "index/typo.h"
#include "index/will_need.h"

/* The candidates of a word in one segment that are not the word itself: the first QUERY_CANDIDATES of them. Once there are
 * more, in a heap whose root is the last; what replaces the root is written over it. */
struct listed {
    struct query_candidate candidate;
    char *buffer; /* of its key */
    size_t room;
};

struct shortlist {
    struct listed *heap;
    size_t count;
};

struct preparation {
    struct arena *arena;
    struct snapshot *snapshot;
    struct query_fault *fault;
    struct tree_word *word;
    struct query_candidate *found; /* of all segments, then sorted and added up */
    size_t found_count, found_room;
};

/* By (edits, distance, length, key). */
static int candidate_order(const struct query_candidate *a, const struct query_candidate *b)
{
    if (a->edits != b->edits)
        return a->edits < b->edits ? -1 : 1;
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

/* Live documents with a term in all segments; it is kept where it was found, since round 2 needs it again. */
static int total_frequency(struct preparation *p, struct str key, uint64_t *out)
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
            return failed(p, i, "postings", live);
        *out += (uint64_t)live;
    }
    p->word->stems = stems;
    p->word->live = *out;
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

/* ---------------------------------------------------------------------------------------------------------- shortlist
 */

static int shortlist_init(struct arena *a, struct shortlist *l)
{
    *l = (struct shortlist){.heap = arena_new_array(a, QUERY_CANDIDATES, struct listed)};
    return l->heap ? 0 : ERR_FULL;
}

static bool is_before(const struct shortlist *l, size_t a, size_t b)
{
    return candidate_order(&l->heap[a].candidate, &l->heap[b].candidate) < 0;
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
    return l->count < QUERY_CANDIDATES || candidate_order(c, &l->heap[0].candidate) < 0;
}

/* A term of a segment, if a live document has it. */
static int list_term(struct preparation *p, size_t segment, const struct term *t, struct query_candidate c,
                     struct shortlist *l)
{
    c.key = t->key;
    if (!belongs(l, &c))
        return 0;
    int64_t live = snapshot_live(&p->snapshot->segments[segment], t);
    if (live < 0)
        return failed(p, segment, "postings", live);
    c.frequency = (uint64_t)live;
    return live > 0 ? shortlist_add(p->arena, l, c) : 0;
}

/* A segment's are all there: on to the next. A term among the first of all is among the first in each segment that has
 * it, so its frequencies are complete. */
static int end_segment(struct preparation *p, struct shortlist *l)
{
    int err = 0;
    for (size_t i = 0; i < l->count && !err; i++)
        err = add_found(p, l->heap[i].candidate);
    l->count = 0;
    return err;
}

/* ---------------------------------------------------------------------------------------------------- words that begin
 * so */

/* The first QUERY_CANDIDATES of all segments so far, in order: no later one is looked at. */
struct prefix_search {
    struct preparation *preparation;
    size_t segment;
    struct query_candidate *kept, *merged;
    size_t kept_count;
    struct query_candidate *items, *sorted; /* of the segment */
    size_t count;
    int err; /* other than of the dictionary */
};

enum { ENOUGH = 1 };
static_assert(TERM_STEM < TERM_WORD, "keys of a length rise as stems and then words do");

static int prefix_search_init(struct arena *a, struct prefix_search *s)
{
    struct query_candidate **arrays[] = {&s->kept, &s->merged, &s->items, &s->sorted};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        *arrays[i] = arena_alloc_unset(a, QUERY_CANDIDATES * sizeof **arrays[i]);
        if (!*arrays[i])
            return ERR_FULL;
    }
    return 0;
}

/* Itself the word is there through its stem. A stem that is no word counts as well: whether it is one would depend on
 * documents that are deleted but not yet gone. */
static bool is_typed(const struct tree_word *w, struct str key)
{
    return str_equal(key, w->key) || (key.ptr[0] == TERM_WORD && key.len == 1 + w->folded.len);
}

/* A term that begins with the word as it was typed, if a live document has it. */
static int take_prefixed(void *context, const struct term *t)
{
    struct prefix_search *s = context;
    struct preparation *p = s->preparation;
    struct query_candidate c = {.key = t->key, .distance = 1};
    bool is_full = s->kept_count == QUERY_CANDIDATES;
    if (is_typed(p->word, t->key) || (is_full && candidate_order(&c, &s->kept[s->kept_count - 1]) > 0))
        return 0;
    int64_t live = snapshot_live(&p->snapshot->segments[s->segment], t);
    if (live <= 0)
        return live < 0 ? s->err = failed(p, s->segment, "postings", live) : 0;
    c.frequency = (uint64_t)live;
    c.key = arena_copy(p->arena, t->key);
    if (!c.key.ptr)
        return s->err = ERR_FULL;
    s->items[s->count++] = c;
    return s->count == QUERY_CANDIDATES ? ENOUGH : 0;
}

/* How long keys may be so that those from `least` on are all wanted, or `least`, of which the first are. */
static uint32_t longest_wanted(const struct prefix_lengths *l, uint32_t least, size_t wanted)
{
    uint32_t most = least;
    size_t sum = l->counts[least];
    while (most < l->longest && sum + l->counts[most + 1] <= wanted)
        sum += l->counts[++most];
    return most;
}

static int take_lengths(struct prefix_search *s, const struct prefix_range ranges[2], uint32_t least, uint32_t most)
{
    int err = prefix_terms(&ranges[0], least, most, take_prefixed, s);
    return err ? err : prefix_terms(&ranges[1], least, most, take_prefixed, s);
}

/* The first of a segment, shorter keys before longer ones; those of several lengths are mixed. */
static int search_segment(struct prefix_search *s, const struct prefix_range ranges[2])
{
    bool is_full = s->kept_count == QUERY_CANDIDATES;
    uint32_t last = is_full ? (uint32_t)s->kept[s->kept_count - 1].key.len : MAX_KEY, most;
    uint32_t blocks = ranges[0].end - ranges[0].from + ranges[1].end - ranges[1].from;
    struct prefix_lengths lengths = {.longest = 0};
    if (blocks <= QUERY_CANDIDATES / TERMS_PER_BLOCK) /* none can be too many */
        return take_lengths(s, ranges, 1, last);
    int err = prefix_count(&ranges[0], &lengths);
    if (!err)
        err = prefix_count(&ranges[1], &lengths);
    for (uint32_t least = 1; !err && least <= last && least <= lengths.longest; least = most + 1) {
        most = longest_wanted(&lengths, least, QUERY_CANDIDATES - s->count);
        err = take_lengths(s, ranges, least, most);
    }
    return err == ENOUGH ? 0 : err;
}

/* A segment's are in the order of their keys where they have one length. */
static void sort_by_length(const struct query_candidate *items, size_t count, struct query_candidate *sorted)
{
    uint32_t starts[2 + MAX_KEY] = {0};
    for (size_t i = 0; i < count; i++)
        starts[items[i].key.len + 1]++;
    for (size_t length = 1; length < sizeof starts / sizeof *starts; length++)
        starts[length] += starts[length - 1];
    for (size_t i = 0; i < count; i++)
        sorted[starts[items[i].key.len]++] = items[i];
}

/* A term among the first of all is among the first in each segment that has it, so its frequencies are complete. */
static void merge_segment(struct prefix_search *s)
{
    size_t i = 0, k = 0, n = 0;
    sort_by_length(s->items, s->count, s->sorted);
    while (n < QUERY_CANDIDATES && (i < s->kept_count || k < s->count)) {
        int order = i == s->kept_count ? 1 : k == s->count ? -1 : candidate_order(&s->kept[i], &s->sorted[k]);
        s->merged[n] = order <= 0 ? s->kept[i] : s->sorted[k];
        if (order == 0)
            s->merged[n].frequency += s->sorted[k].frequency;
        i += order <= 0;
        k += order >= 0;
        n++;
    }
    struct query_candidate *kept = s->kept;
    s->kept = s->merged;
    s->merged = kept;
    s->kept_count = n;
    s->count = 0;
}

static void find_ranges(const struct prefix_search *s, char keys[2][1 + ANALYZER_MAX_WORD], struct prefix_range out[2])
{
    static const enum term_kind kinds[] = {TERM_STEM, TERM_WORD};
    const struct preparation *p = s->preparation;
    struct str folded = p->word->folded;
    for (size_t i = 0; i < 2; i++) {
        keys[i][0] = (char)kinds[i];
        memcpy(keys[i] + 1, folded.ptr, folded.len);
        prefix_range_find(&out[i], p->snapshot->segments[s->segment].segment, (struct str){keys[i], 1 + folded.len});
    }
}

/* Those with the most live documents first: the sooner the first terms of all are known, the less is looked at of the
 * others, and of terms whose documents are nearly all deleted the most is looked at in vain. */
static size_t order_by_live(const struct snapshot *s, uint32_t *out)
{
    size_t count = 0;
    for (uint32_t i = 0; i < s->segment_count; i++) {
        uint32_t live = s->segments[i].core->documents - s->segments[i].core->deleted;
        if (live == 0)
            continue;
        size_t at = count++;
        for (; at > 0 && s->segments[out[at - 1]].core->documents - s->segments[out[at - 1]].core->deleted < live; at--)
            out[at] = out[at - 1];
        out[at] = i;
    }
    return count;
}

static int prepare_prefix(struct preparation *p)
{
    struct prefix_search s = {.preparation = p};
    char keys[2][1 + ANALYZER_MAX_WORD];
    struct prefix_range ranges[2];
    uint32_t *order = arena_new_array(p->arena, p->snapshot->segment_count, uint32_t);
    if (!order)
        return ERR_FULL;
    int err = prefix_search_init(p->arena, &s);
    size_t count = order_by_live(p->snapshot, order);
    for (size_t i = 0; !err && i < count; i++) {
        s.segment = order[i];
        find_ranges(&s, keys, ranges);
        err = search_segment(&s, ranges);
        if (err && !s.err)
            return failed(p, s.segment, "dictionary", err);
        if (s.count > 0)
            merge_segment(&s);
    }
    for (size_t i = 0; i < s.kept_count && !err; i++)
        err = add_found(p, s.kept[i]);
    return err;
}

/* ----------------------------------------------------------------------------------------------------- misspelt words
 */

struct typo_search {
    struct preparation *preparation;
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
static int prepare_typos(struct preparation *p)
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
            return failed(p, s.segment, "dictionary", err);
        if (!err)
            err = end_segment(p, &s.list);
    }
    return err;
}

/* --------------------------------------------------------------------------------------------------------- all of them
 */

static bool is_sorted(const struct query_candidate *c, size_t count)
{
    size_t i = 1;
    while (i < count && candidate_order(&c[i - 1], &c[i]) <= 0)
        i++;
    return i >= count;
}

static void sort_found(struct preparation *p)
{
    if (!is_sorted(p->found, p->found_count)) /* those of a prefix are */
        qsort(p->found, p->found_count, sizeof *p->found, compare_found);
}

/* Sorts, and adds up the frequencies of equal terms. */
static void add_up(struct preparation *p, struct query_word *out)
{
    size_t kept = 0;
    sort_found(p);
    for (size_t i = 0; i < p->found_count; i++) {
        if (kept > 0 && candidate_order(&p->found[i], &p->found[kept - 1]) == 0)
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
        struct preparation p = {.arena = a, .snapshot = s, .fault = fault, .word = &q->words[i]};
        int err = prepare_stem(&p);
        if (!err && p.word->prefix && p.word->folded.len <= ANALYZER_MAX_WORD)
            err = prepare_prefix(&p);
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
    struct preparation p = {.arena = a, .snapshot = s, .fault = fault, .word = &q->words[which]};
    int err = prepare_typos(&p);
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
