/* How many documents have both of two words: blocks against blocks, of which two bitsets are anded; or, where one list is
 * not much shorter than the other, its documents are marked, and the other's are counted that are. */
#include "index/query_prune.h"

#include <string.h>

enum {
    CLOCK_EVERY = 64,  /* pairs of blocks */
    FEW = 1024,        /* postings that marks are not worth it for */
    MUCH_SHORTER = 32,
};

/* The first document that a block may have. */
static uint32_t block_begin(const struct scored_list *l, uint32_t block)
{
    return block > 0 ? list_last(&l->list, block - 1) + 1 : 0;
}

static uint64_t count_bitsets(const struct kernels *k, const struct posting_block *a, const struct posting_block *b)
{
    uint32_t from = a->base > b->base ? a->base : b->base;
    uint32_t end_a = a->base + 64 * a->words, end_b = b->base + 64 * b->words, end = end_a < end_b ? end_a : end_b;
    if (from >= end)
        return 0;
    return k->count_both(a->bits + (from - a->base) / 8, b->bits + (from - b->base) / 8, (end - from) / 64);
}

/* The next documents of the block in hand, up to `end`. */
static size_t take_documents(struct scored_list *l, uint32_t end, const uint32_t **out)
{
    const struct posting_block *b = &l->block;
    uint32_t from = l->next;
    *out = b->documents + from;
    l->next += (uint32_t)kernel_below(b->documents + from, b->count - from, end + 1);
    return l->next - from;
}

static uint64_t count_in_bitset(struct scored_list *l, const struct posting_block *set, uint32_t end)
{
    const uint32_t *documents;
    size_t count = take_documents(l, end, &documents), i = 0;
    uint64_t n = 0;
    while (i < count && documents[i] < set->base)
        i++;
    for (; i < count; i++) {
        uint32_t at = documents[i] - set->base;
        n += set->bits[at / 8] >> at % 8 & 1;
    }
    return n;
}

static uint64_t count_common(const struct kernels *k, struct scored_list *a, struct scored_list *b, uint32_t end)
{
    uint32_t in_a[POSTING_BLOCK + KERNEL_OVERWRITE], in_b[POSTING_BLOCK + KERNEL_OVERWRITE];
    const uint32_t *of_a, *of_b;
    size_t count_a = take_documents(a, end, &of_a), count_b = take_documents(b, end, &of_b);
    return count_a < count_b ? k->intersect(of_a, count_a, of_b, count_b, in_a, in_b)
                             : k->intersect(of_b, count_b, of_a, count_a, in_b, in_a);
}

/* Of the blocks in hand, none of which has documents that were counted already, up to `end`. */
static uint64_t count_pair(struct scored_list *a, struct scored_list *b, uint32_t end)
{
    const struct kernels *k = a->scope->kernels;
    if (a->block.words > 0 && b->block.words > 0)
        return count_bitsets(k, &a->block, &b->block);
    if (a->block.words > 0)
        return count_in_bitset(b, &a->block, end);
    return b->block.words > 0 ? count_in_bitset(a, &b->block, end) : count_common(k, a, b, end);
}

static uint64_t count_by_blocks(struct scored_list *a, struct scored_list *b)
{
    uint64_t n = 0;
    uint32_t i = 0, j = 0, ticks = 0;
    while (i < a->list.blocks && j < b->list.blocks) {
        uint32_t end_a = list_last(&a->list, i), end_b = list_last(&b->list, j), end = end_a < end_b ? end_a : end_b;
        if (end_a < block_begin(b, j)) {
            i = list_find(&a->list, i, block_begin(b, j));
            continue;
        }
        if (end_b < block_begin(a, i)) {
            j = list_find(&b->list, j, block_begin(a, i));
            continue;
        }
        if (++ticks % CLOCK_EVERY == 0 && scope_is_over_now(a->scope))
            break;
        if (!scored_enter_as_it_is(a, i) || !scored_enter_as_it_is(b, j))
            break;
        n += count_pair(a, b, end);
        i += end_a == end;
        j += end_b == end;
    }
    return n;
}

static uint64_t count_by_marks(const struct scan *s, struct scored_list *marked, struct scored_list *counted)
{
    uint64_t n = 0, *seen = s->prune->seen;
    uint32_t documents = s->scope.documents;
    for (uint32_t base = 0; !scope_is_over_now(marked->scope); base += CHUNK_DOCUMENTS) {
        uint32_t end = documents - base > CHUNK_DOCUMENTS ? base + CHUNK_DOCUMENTS : documents;
        memset(seen, 0, sizeof s->prune->seen);
        scored_mark(marked, base, end, seen);
        n += scored_count_marked(counted, base, end, seen);
        if (end == documents)
            break;
    }
    return n;
}

uint64_t prune_count_both(const struct scan *s, struct scored_list *a, struct scored_list *b)
{
    struct scored_list *shorter = a->list.documents < b->list.documents ? a : b, *other = shorter == a ? b : a;
    uint32_t documents = shorter->list.documents;
    bool is_short = documents < FEW || documents < other->list.documents / MUCH_SHORTER;
    return is_short ? count_by_blocks(a, b) : count_by_marks(s, shorter, other);
}
