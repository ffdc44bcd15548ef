/* What the postings of a list add at most: of each group of blocks from the beginning, of a group's blocks when it is
 * asked for. Of a list of one block it is known exactly. */
#include "index/query_scored.h"

#include "common/err.h"

static int32_t bound_of(const struct scored_list *l, const uint8_t *maxima)
{
    return l->scope->kernels->bound(l->weight, l->scope->run->norms, maxima);
}

static int32_t largest(const int32_t *values, size_t count)
{
    int32_t most = ABSENT;
    for (size_t i = 0; i < count; i++)
        most = values[i] > most ? values[i] : most;
    return most;
}

bool scored_open_bounds(struct scored_list *l)
{
    if (l->list.blocks == 1) {
        l->bound = largest(l->scores, l->block.count);
        return true;
    }
    struct arena *a = l->scope->arena;
    uint32_t groups = (l->list.blocks + GROUP_BLOCKS - 1) / GROUP_BLOCKS;
    l->bounds = arena_new_array(a, l->list.blocks, int32_t);
    l->group_bounds = arena_new_array(a, groups, int32_t);
    l->groups_known = arena_new_array(a, groups / 64 + 1, uint64_t);
    if (!l->bounds || !l->group_bounds || !l->groups_known) {
        scope_fail(l->scope, ERR_FULL, NULL);
        return false;
    }
    for (uint32_t group = 0; group < groups; group++)
        l->group_bounds[group] = bound_of(l, list_group_maxima(&l->list, group));
    l->bound = largest(l->group_bounds, groups);
    return true;
}

static void know_group(struct scored_list *l, uint32_t group)
{
    uint32_t from = group * GROUP_BLOCKS, end = from + GROUP_BLOCKS;
    if (l->groups_known[group / 64] >> group % 64 & 1)
        return;
    for (uint32_t block = from; block < end && block < l->list.blocks; block++)
        l->bounds[block] = bound_of(l, list_maxima(&l->list, block));
    l->groups_known[group / 64] |= UINT64_C(1) << group % 64;
}

int32_t scored_block_bound(struct scored_list *l, uint32_t block)
{
    if (!l->bounds)
        return l->bound;
    know_group(l, block / GROUP_BLOCKS);
    return l->bounds[block];
}

/* Whole groups at once where the range has them. */
static int32_t bound_between(struct scored_list *l, uint32_t first, uint32_t last)
{
    int32_t most = ABSENT;
    for (uint32_t block = first; block <= last;) {
        bool whole = block % GROUP_BLOCKS == 0 && last - block >= GROUP_BLOCKS - 1;
        int32_t bound = whole ? l->group_bounds[block / GROUP_BLOCKS] : scored_block_bound(l, block);
        most = bound > most ? bound : most;
        block += whole ? GROUP_BLOCKS : 1;
    }
    return most;
}

int32_t scored_bound(struct scored_list *l, uint32_t from, uint32_t end)
{
    if (!l->bounds)
        return l->bound;
    uint32_t first = list_find(&l->list, l->bound_from, from);
    if (first == l->list.blocks)
        return ABSENT;
    l->bound_from = first;
    uint32_t last = list_find(&l->list, first, end - 1);
    return bound_between(l, first, last < l->list.blocks ? last : l->list.blocks - 1);
}

static void raise(int32_t *bound, int32_t to)
{
    *bound = to > *bound ? to : *bound;
}

/* A list of one block is scored: what it adds is known exactly. */
static void bound_postings(const struct scored_list *l, uint32_t first, uint32_t windows, int32_t *bounds)
{
    for (uint32_t i = 0; i < l->block.count; i++) {
        uint32_t window = l->block.documents[i] / WINDOW - first;
        if (window < windows)
            raise(&bounds[window], l->scores[i]);
    }
}

static void bound_blocks(struct scored_list *l, uint32_t first, uint32_t windows, int32_t *bounds)
{
    uint32_t block = list_find(&l->list, 0, first * WINDOW), end = first + windows;
    uint32_t from = block > 0 ? list_last(&l->list, block - 1) + 1 : 0;
    for (; block < l->list.blocks && from / WINDOW < end; block++) {
        uint32_t last = list_last(&l->list, block);
        int32_t bound = scored_block_bound(l, block);
        for (uint32_t w = from / WINDOW > first ? from / WINDOW : first; w <= last / WINDOW && w < end; w++)
            raise(&bounds[w - first], bound);
        from = last + 1;
    }
}

void scored_window_bounds(struct scored_list *l, uint32_t first, uint32_t windows, int32_t *bounds)
{
    if (l->bounds)
        bound_blocks(l, first, windows, bounds);
    else
        bound_postings(l, first, windows, bounds);
}
