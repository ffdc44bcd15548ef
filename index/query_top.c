#include "index/query_top.h"

#include <string.h>

#include "common/err.h"

enum { HEAP_MOST = 64, BUCKETS = 256, FEW = 32, KEY_BYTES = 16, SPARED = 4096 };

/* More than are wanted, before the worst are left out: the more, the rarer that is, as far as it is no burden. */
static size_t capacity_for(size_t room)
{
    return room + (room < SPARED / 2 ? 2 * room : room / 2 > SPARED ? room / 2 : SPARED);
}

int top_init(struct arena *a, size_t room, struct top *out)
{
    bool is_heap = room <= HEAP_MOST;
    size_t capacity = is_heap ? room : capacity_for(room);
    *out = (struct top){.room = room, .capacity = capacity, .is_full = room == 0};
    if (room == 0)
        return 0;
    if (capacity < room || capacity > SIZE_MAX / sizeof *out->entries)
        return ERR_FULL;
    out->entries = arena_alloc_unset(a, capacity * sizeof *out->entries);
    out->spare = is_heap ? NULL : arena_alloc_unset(a, capacity * sizeof *out->spare);
    return out->entries && (is_heap || out->spare) ? 0 : ERR_FULL;
}

static inline bool is_before(const struct top_entry *a, const struct top_entry *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->stamp < b->stamp;
}

/* ---------------------------------------------------------------------------------------------------------------- heap
 */

static void sift_up(struct top *t, size_t at)
{
    struct top_entry *heap = t->entries, entry = heap[at];
    for (; at > 0 && is_before(&heap[(at - 1) / 2], &entry); at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = entry;
}

static void replace_root(struct top *t, const struct top_entry *entry)
{
    struct top_entry *heap = t->entries;
    size_t at = 0;
    for (size_t child = 1; child < t->count; child = 2 * at + 1) {
        if (child + 1 < t->count)
            child += is_before(&heap[child], &heap[child + 1]);
        if (!is_before(entry, &heap[child]))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = *entry;
}

static void add_to_heap(struct top *t, const struct top_entry *entry)
{
    if (t->is_full) {
        replace_root(t, entry);
    } else {
        t->entries[t->count++] = *entry;
        sift_up(t, t->count - 1);
        t->is_full = t->count == t->room;
    }
    t->worst = t->entries[0];
}

/* ------------------------------------------------------------------------------------------------------------- sorting
 */

static void sort_few(struct top_entry *entries, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct top_entry entry = entries[i];
        size_t at = i;
        for (; at > 0 && is_before(&entry, &entries[at - 1]); at--)
            entries[at] = entries[at - 1];
        entries[at] = entry;
    }
}

/* From the least significant byte of the stamp to the most significant of the rank. */
static unsigned key_byte(const struct top_entry *e, unsigned byte)
{
    return (unsigned)((byte < 8 ? e->stamp : e->rank) >> byte % 8 * 8) & 0xff;
}

static void sort_by_byte(const struct top_entry *from, size_t count, unsigned byte, struct top_entry *to)
{
    uint32_t starts[256] = {0};
    for (size_t i = 0; i < count; i++)
        starts[key_byte(&from[i], byte)]++;
    for (uint32_t value = 0, sum = 0, n; value < 256; value++, sum += n) {
        n = starts[value];
        starts[value] = sum;
    }
    for (size_t i = 0; i < count; i++)
        to[starts[key_byte(&from[i], byte)]++] = from[i];
}

/* By one byte after the other, the last first, those that all have in common left out. Which of the two has them. */
static struct top_entry *sort_many(struct top_entry *entries, size_t count, struct top_entry *other)
{
    struct top_entry differ = {0};
    for (size_t i = 1; i < count; i++) {
        differ.rank |= entries[i].rank ^ entries[0].rank;
        differ.stamp |= entries[i].stamp ^ entries[0].stamp;
    }
    for (unsigned byte = 0; byte < KEY_BYTES; byte++) {
        if (key_byte(&differ, byte) == 0)
            continue;
        sort_by_byte(entries, count, byte, other);
        struct top_entry *sorted = other;
        other = entries;
        entries = sorted;
    }
    return entries;
}

/* Best first; which of the two has them then. */
static struct top_entry *sort_entries(struct top_entry *entries, size_t count, struct top_entry *other)
{
    if (count > FEW)
        return sort_many(entries, count, other);
    sort_few(entries, count);
    return entries;
}

/* ----------------------------------------------------------------------------------------------------------- selection
 */

static struct top_entry worst_of(const struct top_entry *entries, size_t count)
{
    struct top_entry worst = entries[0];
    for (size_t i = 1; i < count; i++)
        worst = is_before(&worst, &entries[i]) ? entries[i] : worst;
    return worst;
}

/* Ranks fall into buckets of equal width. */
struct buckets {
    uint64_t lowest;
    unsigned shift;
    uint32_t counts[BUCKETS];
};

static size_t bucket_of(const struct buckets *b, const struct top_entry *e)
{
    return (size_t)((e->rank - b->lowest) >> b->shift);
}

static void fill_buckets(const struct top *t, struct buckets *b)
{
    uint64_t lowest = UINT64_MAX, highest = 0;
    for (size_t i = 0; i < t->count; i++) {
        uint64_t rank = t->entries[i].rank;
        lowest = rank < lowest ? rank : lowest;
        highest = rank > highest ? rank : highest;
    }
    *b = (struct buckets){.lowest = lowest};
    while ((highest - lowest) >> b->shift >= BUCKETS)
        b->shift++;
    for (size_t i = 0; i < t->count; i++)
        b->counts[bucket_of(b, &t->entries[i])]++;
}

/* Leaves the best `room` ones: whole buckets first, and of the last one the best. Those of it are sorted at the end of
 * `spare`, while sorting needs as much room in front of them or behind the ones that stay. */
static void leave_out_the_worst(struct top *t)
{
    struct buckets b;
    size_t last = 0, below = 0, kept = 0, edge = 0;
    fill_buckets(t, &b);
    for (; below + b.counts[last] < t->room; last++)
        below += b.counts[last];
    for (size_t i = 0; i < t->count; i++) {
        const struct top_entry e = t->entries[i];
        size_t bucket = bucket_of(&b, &e);
        t->entries[kept] = t->spare[edge] = e; /* without branches, which nobody can foresee */
        kept += bucket < last;
        edge += bucket == last;
    }
    struct top_entry *sorted = sort_entries(t->spare, edge, t->entries + kept);
    memmove(t->entries + kept, sorted, (t->room - kept) * sizeof *sorted);
    t->count = t->room;
}

static void collect(struct top *t, const struct top_entry *entry)
{
    t->entries[t->count++] = *entry;
    if (t->count == t->capacity)
        leave_out_the_worst(t);
    else if (t->is_full || t->count < t->room)
        return;
    t->worst = worst_of(t->entries, t->count);
    t->is_full = true;
}

void top_add(struct top *t, const struct top_entry *entry)
{
    if (t->room == 0 || (t->is_full && !is_before(entry, &t->worst)))
        return;
    if (t->spare)
        collect(t, entry);
    else
        add_to_heap(t, entry);
}

int top_hits(struct top *t, struct arena *a, struct query_hit **out)
{
    if (t->count > t->room)
        leave_out_the_worst(t);
    struct query_hit *hits = arena_new_array(a, t->count, struct query_hit);
    struct top_entry *other = t->spare ? t->spare : arena_new_array(a, t->count, struct top_entry);
    if (!hits || !other)
        return ERR_FULL;
    const struct top_entry *entries = sort_entries(t->entries, t->count, other);
    for (size_t i = 0; i < t->count; i++) {
        const struct top_entry *e = &entries[i];
        hits[i] = (struct query_hit){
            .dropped = (uint32_t)(e->rank >> TOP_SCORE_BITS),
            .score = TOP_MOST_SCORE - (e->rank & TOP_MOST_SCORE),
            .stamp = e->stamp,
            .segment = e->segment,
            .document = e->document,
        };
    }
    *out = hits;
    return 0;
}
