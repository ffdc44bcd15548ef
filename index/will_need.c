#include "index/will_need.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include "index/dictionary.h"
#include "index/segment_parts.h"

enum {
    PAGE_SIZE_LEAST = 4096,
    QUIET = 64,      /* queries without a wait, then none asks any more */
    LOOK_EVERY = 16, /* queries, while none asks */
    LIST_MOST = 1 << 20,
    POSITIONS_MOST = 256 << 10,
    RECORD = 64, /* bytes of an id with its head, about */
};

bool page_waits_ask(struct page_waits *w)
{
    struct rusage usage;
    bool asks = w->quiet < QUIET;
    if (!asks && ++w->skipped < LOOK_EVERY)
        return false;
    w->skipped = 0;
    if (getrusage(RUSAGE_THREAD, &usage) != 0)
        return false;
    bool waited = (uint64_t)usage.ru_majflt > w->seen;
    w->seen = (uint64_t)usage.ru_majflt;
    w->quiet = waited ? 0 : w->quiet + asks;
    return w->quiet < QUIET;
}

/* Only a hint: what it does not bring is waited for. */
static void ask(const struct extent *e, size_t offset, size_t size)
{
    if (offset >= e->size)
        return;
    uintptr_t from = (uintptr_t)(e->payload + offset), begin = from & ~(uintptr_t)(PAGE_SIZE_LEAST - 1);
    size_t most = e->size - offset;
    madvise((void *)begin, from - begin + (size < most ? size : most), MADV_WILLNEED);
}

static void ask_place(const struct parts *p, uint64_t place, size_t size)
{
    uint32_t part = (uint32_t)(place >> 32);
    if (part < p->count)
        ask(&p->extents[part], (uint32_t)place, size);
}

static void ask_element(const struct table *t, uint32_t at)
{
    uint32_t per = TABLE_PAYLOAD / t->width;
    if (at < t->count)
        ask(&t->parts.extents[at / per], (size_t)(at % per) * t->width, t->width);
}

void will_need_keys(const struct segment *s, const struct str *keys, size_t count)
{
    for (size_t i = 0; i < count && s->toc.blocks > 0; i++) {
        uint32_t below = segment_blocks_below(s, dictionary_prefix(keys[i])), block = below ? below - 1 : 0;
        ask_place(&s->dictionary, load_u64(segment_block_index(s, block)), PAGE_SIZE_LEAST);
    }
}

void will_need_list(const struct segment *s, const struct term *t, bool with_positions)
{
    if (t->inlined.len)
        return;
    ask_place(&s->postings, t->postings.place, t->postings.length < LIST_MOST ? t->postings.length : LIST_MOST);
    if (with_positions && t->positions.length < POSITIONS_MOST)
        ask_place(&s->positions, t->positions.place, t->positions.length);
}

static void ask_bodies(const struct segment *s, uint32_t document, bool blocks)
{
    uint64_t from = 0, end = 0;
    const uint8_t *entry;
    if (document && segment_element_u64(s, &s->body_ends, document - 1, &from))
        return;
    if (segment_element_u64(s, &s->body_ends, document, &end) || from >= end)
        return;
    uint64_t block = from / STORE_BLOCK, last = (end - 1) / STORE_BLOCK;
    for (; block <= last && block < s->body_blocks.count; block++) {
        if (!blocks)
            ask_element(&s->body_blocks, (uint32_t)block);
        else if (!segment_element(s, &s->body_blocks, (uint32_t)block, &entry))
            ask_place(&s->bodies, load_u64(entry), load_u32(entry + 8));
    }
}

void will_need_documents(const struct segment *s, const uint32_t *documents, size_t count, bool with_bodies)
{
    uint64_t place;
    for (size_t i = 0; i < count; i++) {
        ask_element(&s->id_places, documents[i]);
        if (with_bodies)
            ask_element(&s->body_ends, documents[i]);
    }
    for (size_t i = 0; i < count; i++) {
        if (documents[i] < s->toc.documents && !segment_element_u64(s, &s->id_places, documents[i], &place))
            ask_place(&s->ids, place, RECORD);
        if (with_bodies && documents[i] < s->toc.documents)
            ask_bodies(s, documents[i], false);
    }
    for (size_t i = 0; with_bodies && i < count; i++) {
        if (documents[i] < s->toc.documents)
            ask_bodies(s, documents[i], true);
    }
}
