#include <assert.h>
#include <string.h>

#include "common/err.h"
#include "index/prefix.h"
#include "index/query_candidates.h"

/* The first QUERY_CANDIDATES of all segments so far, in order: no later one is looked at. */
struct prefix_search {
    struct query_preparation *preparation;
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
    struct query_preparation *p = s->preparation;
    struct query_candidate c = {.key = t->key, .distance = 1};
    bool is_full = s->kept_count == QUERY_CANDIDATES;
    if (is_typed(p->word, t->key) || (is_full && query_candidate_order(&c, &s->kept[s->kept_count - 1]) > 0))
        return 0;
    int64_t live = snapshot_live(&p->snapshot->segments[s->segment], t);
    if (live <= 0)
        return live < 0 ? s->err = query_prepare_failed(p, s->segment, "postings", live) : 0;
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
        int order = i == s->kept_count ? 1 : k == s->count ? -1 : query_candidate_order(&s->kept[i], &s->sorted[k]);
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
    const struct query_preparation *p = s->preparation;
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

int query_prepare_prefix(struct query_preparation *p)
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
            return query_prepare_failed(p, s.segment, "dictionary", err);
        if (s.count > 0)
            merge_segment(&s);
    }
    for (size_t i = 0; i < s.kept_count && !err; i++)
        err = query_candidate_add(p, s.kept[i]);
    return err;
}
