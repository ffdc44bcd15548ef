/* An open list: its arrays, and the block a document may be in. */
#include "index/postings.h"

#include "common/err.h"
#include "index/segment_parts.h"

static bool has_positions(const struct term *t)
{
    return t->key.len > 0 && t->key.ptr[0] == TERM_STEM;
}

static uint64_t front_size(uint64_t blocks, bool with_positions)
{
    uint64_t groups = (blocks + GROUP_BLOCKS - 1) / GROUP_BLOCKS;
    return blocks > 1 ? blocks * (8u + (with_positions ? 4u : 0u) + MAXIMA) + groups * MAXIMA : 0;
}

static uint32_t blocks_of(const struct term *t)
{
    return (t->documents + POSTING_BLOCK - 1) / POSTING_BLOCK;
}

uint64_t list_front(const struct term *t)
{
    return front_size(blocks_of(t), has_positions(t));
}

static int open_arrays(struct posting_list *l, const struct list_view *v)
{
    uint64_t blocks = l->blocks, size = front_size(blocks, l->with_positions);
    if (size > v->length)
        return ERR_CORRUPT;
    int err = segment_view(l->segment, &l->segment->postings, v->place, (uint32_t)size, &l->last);
    if (err)
        return err;
    l->ends = l->last + 4 * blocks;
    l->position_ends = l->ends + 4 * blocks;
    l->maxima = l->position_ends + (l->with_positions ? 4 * blocks : 0u);
    l->group_maxima = l->maxima + MAXIMA * blocks;
    l->place = v->place + size;
    l->size = v->length - (uint32_t)size;
    return list_last(l, l->blocks - 1) < l->limit ? 0 : ERR_CORRUPT;
}

int list_open(struct posting_list *l, const struct segment *s, const struct term *t, const struct kernels *kernels)
{
    *l = (struct posting_list){
        .segment = s,
        .kernels = kernels,
        .documents = t->documents,
        .blocks = blocks_of(t),
        .limit = s->toc.documents,
        .with_positions = has_positions(t),
        .place = t->postings.place,
        .size = t->postings.length,
        .positions = t->positions,
        .inlined = t->inlined,
    };
    if (t->documents == 0 || t->documents > s->toc.documents || (l->inlined.len && t->documents > INLINED_DOCUMENTS))
        return ERR_CORRUPT;
    return l->blocks > 1 ? open_arrays(l, &t->postings) : 0;
}

uint32_t list_find(const struct posting_list *l, uint32_t from, uint32_t document)
{
    if (from >= l->blocks || list_last(l, from) >= document)
        return from;
    uint32_t step = 1, low = from; /* it ends below the document */
    while (low + step < l->blocks && list_last(l, low + step) < document) {
        low += step;
        step *= 2;
    }
    uint32_t high = low + step < l->blocks ? low + step : l->blocks;
    while (low + 1 < high) {
        uint32_t middle = low + (high - low) / 2;
        if (list_last(l, middle) < document)
            low = middle;
        else
            high = middle;
    }
    return high;
}
