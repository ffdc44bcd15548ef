#include "index/query_top.h"

#include <stdlib.h>

#include "common/err.h"

int top_init(struct arena *a, size_t room, struct top *out)
{
    *out = (struct top){.room = room};
    if (room > 0)
        out->heap = arena_new_array(a, room, struct query_hit);
    return room > 0 && !out->heap ? ERR_FULL : 0;
}

static void sift_up(struct top *t, size_t at)
{
    struct query_hit hit = t->heap[at];
    for (; at > 0 && hit_is_before(&t->heap[(at - 1) / 2], &hit); at = (at - 1) / 2)
        t->heap[at] = t->heap[(at - 1) / 2];
    t->heap[at] = hit;
}

static void replace_root(struct top *t, const struct query_hit *hit)
{
    size_t at = 0;
    for (size_t child = 1; child < t->count; child = 2 * at + 1) {
        if (child + 1 < t->count && hit_is_before(&t->heap[child], &t->heap[child + 1]))
            child++;
        if (!hit_is_before(hit, &t->heap[child]))
            break;
        t->heap[at] = t->heap[child];
        at = child;
    }
    t->heap[at] = *hit;
}

void top_add(struct top *t, const struct query_hit *hit)
{
    if (t->count < t->room) {
        t->heap[t->count++] = *hit;
        sift_up(t, t->count - 1);
    } else if (t->room > 0 && hit_is_before(hit, &t->heap[0])) {
        replace_root(t, hit);
    }
}

static int compare(const void *a, const void *b)
{
    return hit_is_before(a, b) ? -1 : hit_is_before(b, a);
}

void top_sort(struct top *t)
{
    if (t->count > 1)
        qsort(t->heap, t->count, sizeof *t->heap, compare);
}
