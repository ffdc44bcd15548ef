#include "coordinator/ranges.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"

/* The first range that ends at or after `n`: the only one that could hold or touch it. */
static size_t find(const struct ranges *r, uint64_t n)
{
    size_t low = 0, high = r->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->at[middle].end < n)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void insert(struct ranges *r, size_t at, struct range one)
{
    struct range *grown = realloc(r->at, (r->count + 1) * sizeof *grown);
    require(grown);
    r->at = grown;
    memmove(&grown[at + 1], &grown[at], (r->count - at) * sizeof *grown);
    grown[at] = one;
    r->count++;
}

static void take_out(struct ranges *r, size_t at, size_t count)
{
    if (count)
        memmove(&r->at[at], &r->at[at + count], (r->count - at - count) * sizeof *r->at);
    r->count -= count;
}

void ranges_add(struct ranges *r, uint64_t first, uint64_t end)
{
    if (end <= first)
        return;
    size_t at = find(r, first), past = at;
    struct range whole = {.first = first, .end = end};
    while (past < r->count && r->at[past].first <= end) {
        if (r->at[past].first < whole.first)
            whole.first = r->at[past].first;
        if (r->at[past].end > whole.end)
            whole.end = r->at[past].end;
        past++;
    }
    take_out(r, at, past - at);
    insert(r, at, whole);
}

void ranges_add_all(struct ranges *r, const struct ranges *other)
{
    for (size_t i = 0; i < other->count; i++)
        ranges_add(r, other->at[i].first, other->at[i].end);
}

bool ranges_has(const struct ranges *r, uint64_t n)
{
    size_t at = find(r, n + 1);
    return at < r->count && r->at[at].first <= n && n < r->at[at].end;
}

void ranges_cut(struct ranges *r, uint64_t below)
{
    size_t gone = 0;
    while (gone < r->count && r->at[gone].end <= below)
        gone++;
    take_out(r, 0, gone);
    if (r->count && r->at[0].first < below)
        r->at[0].first = below;
}

bool ranges_gap(const struct ranges *r, uint64_t first, uint64_t end, struct range *out)
{
    size_t at = find(r, first + 1);
    if (at < r->count && r->at[at].first <= first)
        first = r->at[at++].end;
    if (first >= end)
        return false;
    *out = (struct range){first, at < r->count && r->at[at].first < end ? r->at[at].first : end};
    return true;
}

void ranges_finish(struct ranges *r)
{
    free(r->at);
    *r = (struct ranges){.at = NULL};
}
