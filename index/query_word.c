/* The best documents with one word. Nothing else bounds them, so that the blocks may be taken in any order: first the
 * group that promises most, then the others, as far as they can still compete. */
#include "index/query_prune.h"

struct walk {
    struct scan *s;
    struct scored_list *list;
    struct matcher **excluded;
    uint64_t counted;
    bool pruned; /* not all was counted */
};

static bool take_block(struct walk *w, uint32_t block, int32_t least)
{
    struct scan *s = w->s;
    struct scored_list *l = w->list;
    struct batch *b = &s->prune->batch;
    if (!scored_enter(l, block))
        return false;
    scored_score_block(l);
    b->count = s->scope.kernels->keep_scores(l->block.documents, l->scores, l->block.count, least, b->documents,
                                             b->scores);
    prune_exclude(s, b, w->excluded);
    w->counted += b->count;
    prune_offer(s, b);
    return !s->scope.err;
}

/* The first document that a block may have. */
static uint32_t block_begin(const struct scored_list *l, uint32_t block)
{
    return block > 0 ? list_last(&l->list, block - 1) + 1 : 0;
}

static void take_group(struct walk *w, uint32_t group)
{
    struct scored_list *l = w->list;
    uint32_t block = group * GROUP_BLOCKS, end = block + GROUP_BLOCKS;
    int32_t least = prune_least(w->s, block_begin(l, block));
    if (l->group_bounds && l->group_bounds[group] < least)
        block = end;
    for (; block < end && block < l->list.blocks; block++) {
        least = prune_least(w->s, block_begin(l, block));
        w->pruned |= least > 0;
        if (scored_block_bound(l, block) >= least && !take_block(w, block, least))
            return;
    }
    w->pruned |= least > 0;
}

static uint32_t best_group(const struct scored_list *l, uint32_t groups)
{
    uint32_t best = 0;
    for (uint32_t group = 1; l->group_bounds && group < groups; group++)
        best = l->group_bounds[group] > l->group_bounds[best] ? group : best;
    return best;
}

void prune_word(struct scan *s, struct clause *c)
{
    struct walk w = {.s = s, .list = &c->lists[0]};
    uint32_t groups = (w.list->list.blocks + GROUP_BLOCKS - 1) / GROUP_BLOCKS, best = groups;
    w.excluded = scan_matchers(s, s->plan->excluded, s->plan->excluded_count);
    if (groups > 1 && s->plan->excluded_count == 0) { /* matchers of what is excluded only go forwards */
        best = best_group(w.list, groups);
        take_group(&w, best);
    }
    for (uint32_t group = 0; group < groups && !scope_is_over_now(&s->scope); group++) {
        if (group != best)
            take_group(&w, group);
    }
    s->counts[0] += w.pruned ? prune_estimate(s, w.list->list.documents, w.counted) : w.counted;
}
