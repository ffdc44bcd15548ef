#include "index/query_top.h"

#include <string.h>

#include "common/err.h"

int top_init(struct arena *a, size_t room, struct top *out)
{
    *out = (struct top){.room = room};
    if (room > 0)
        out->heap = arena_new_array(a, room, struct top_entry);
    return room > 0 && !out->heap ? ERR_FULL : 0;
}

static inline bool is_before(const struct top_entry *a, const struct top_entry *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->stamp < b->stamp;
}

static void sift_up(struct top *t, size_t at)
{
    struct top_entry entry = t->heap[at];
    for (; at > 0 && is_before(&t->heap[(at - 1) / 2], &entry); at = (at - 1) / 2)
        t->heap[at] = t->heap[(at - 1) / 2];
    t->heap[at] = entry;
}

static void replace_root(struct top *t, const struct top_entry *entry)
{
    size_t at = 0;
    for (size_t child = 1; child < t->count; child = 2 * at + 1) {
        if (child + 1 < t->count)
            child += is_before(&t->heap[child], &t->heap[child + 1]);
        if (!is_before(entry, &t->heap[child]))
            break;
        t->heap[at] = t->heap[child];
        at = child;
    }
    t->heap[at] = *entry;
}

void top_add(struct top *t, const struct top_entry *entry)
{
    if (t->count < t->room) {
        t->heap[t->count++] = *entry;
        sift_up(t, t->count - 1);
    } else if (t->room > 0 && is_before(entry, &t->heap[0])) {
        replace_root(t, entry);
    }
}

/* ------------------------------------------------------------------------------------------------------------- sorting
 */

enum { FEW = 32, KEY_BYTES = 16 };

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

int top_hits(struct top *t, struct arena *a, struct query_hit **out)
{
    struct query_hit *hits = arena_new_array(a, t->count, struct query_hit);
    struct top_entry *entries = t->heap, *other = NULL;
    if (t->count > FEW)
        other = arena_new_array(a, t->count, struct top_entry);
    if (!hits || (t->count > FEW && !other))
        return ERR_FULL;
    if (other)
        entries = sort_many(entries, t->count, other);
    else
        sort_few(entries, t->count);
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
