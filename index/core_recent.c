#include "index/core_recent.h"

#include <stdbool.h>
#include <string.h>

#include "common/err.h"

struct recent_run recents_of_segment(const struct core_recents *r, uint64_t segment)
{
    size_t first = 0, end;
    while (first < r->count && r->items[first].segment < segment)
        first++;
    for (end = first; end < r->count && r->items[end].segment == segment;)
        end++;
    return (struct recent_run){r->items + first, end - first};
}

struct recent_run recents_of_chunk(const struct recent_run *of_segment, size_t chunk)
{
    size_t first = 0, end;
    while (first < of_segment->count && of_segment->at[first].document / CHUNK_DOCUMENTS < chunk)
        first++;
    for (end = first; end < of_segment->count && of_segment->at[end].document / CHUNK_DOCUMENTS == chunk;)
        end++;
    return (struct recent_run){of_segment->at + first, end - first};
}

uint64_t recent_newest(const struct recent_run *run, uint64_t generation)
{
    for (size_t i = 0; i < run->count; i++)
        if (run->at[i].generation > generation)
            generation = run->at[i].generation;
    return generation;
}

int recent_count(const struct recent_run *of_segment, struct core_segment *s)
{
    for (size_t i = 0; i < of_segment->count; i++) {
        const struct core_recent *m = &of_segment->at[i];
        if (m->document >= s->documents || s->deleted == s->documents || s->live_length < m->length)
            return ERR_CORRUPT;
        s->deleted++;
        s->live_length -= m->length;
    }
    s->generation = recent_newest(of_segment, s->generation);
    return 0;
}

int recent_mark(const struct recent_run *of_chunk, struct deletion_chunk *chunk)
{
    for (size_t i = 0; i < of_chunk->count; i++) {
        uint32_t at = of_chunk->at[i].document % CHUNK_DOCUMENTS;
        uint64_t bit = UINT64_C(1) << at % 64;
        if (chunk->bits[at / 64] & bit)
            return ERR_CORRUPT;
        chunk->bits[at / 64] |= bit;
        chunk->count++;
    }
    chunk->generation = recent_newest(of_chunk, chunk->generation);
    return 0;
}

static bool is_before(const struct core_recent *a, const struct core_recent *b)
{
    return a->segment != b->segment ? a->segment < b->segment : a->document < b->document;
}

void recents_add(struct core_recents *r, const struct core_recent *mark)
{
    size_t at = r->count;
    while (at > 0 && !is_before(&r->items[at - 1], mark))
        at--;
    bool is_there = at < r->count && !is_before(mark, &r->items[at]);
    if (is_there)
        return;
    memmove(r->items + at + 1, r->items + at, (r->count - at) * sizeof *r->items);
    r->items[at] = *mark;
    r->count++;
}

void recents_drop(struct core_recents *r, uint64_t segment)
{
    struct recent_run gone = recents_of_segment(r, segment);
    size_t at = (size_t)(gone.at - r->items);
    memmove(r->items + at, r->items + at + gone.count, (r->count - at - gone.count) * sizeof *r->items);
    r->count -= gone.count;
}
