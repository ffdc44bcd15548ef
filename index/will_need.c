#include "index/will_need.h"

#include <sys/resource.h>

#include "index/dictionary.h"
#include "index/pairs.h"
#include "index/segment_parts.h"

enum {
    QUIET = 64,      /* queries for which nothing was read, then none asks any more */
    CALM = 8,        /* queries that did not wait, then none asks for all */
    LOOK_EVERY = 16, /* queries, while none asks */
    INDEX_PARTS_MOST = 2,
    KEYS_MOST = 64, /* dictionary blocks of a prefix */
    LIST_MOST = 1 << 20,
    POSITIONS_MOST = 64 << 10,
    COLUMN_MOST = 2 << 20,
    RECORD = 64, /* bytes of an id with its head, about */
};

enum asks page_waits_ask(struct page_waits *w)
{
    struct rusage usage;
    bool asks = w->quiet < QUIET;
    if (!asks && ++w->skipped < LOOK_EVERY)
        return ASKS_NOTHING;
    w->skipped = 0;
    if (getrusage(RUSAGE_THREAD, &usage) != 0)
        return ASKS_NOTHING;
    uint64_t waited = (uint64_t)usage.ru_majflt, read = (uint64_t)usage.ru_inblock + waited;
    w->quiet = read > w->read ? 0 : w->quiet + asks;
    w->calm = waited > w->waited ? 0 : w->calm + 1;
    w->read = read;
    w->waited = waited;
    return w->quiet >= QUIET ? ASKS_NOTHING : w->calm >= CALM ? ASKS_LISTS : ASKS_ALL;
}

static void need_place(const struct segment *s, const struct parts *p, uint64_t place, uint64_t size,
                       struct page_ranges *r)
{
    uint32_t part = (uint32_t)(place >> 32);
    if (part < p->count)
        store_need(s->store, &p->extents[part], (uint32_t)place, size, r);
}

static void need_element(const struct segment *s, const struct table *t, uint32_t at, struct page_ranges *r)
{
    uint32_t per = TABLE_PAYLOAD / t->width;
    if (at < t->count)
        store_need(s->store, &t->parts.extents[at / per], (uint64_t)(at % per) * t->width, t->width, r);
}

/* ---------------------------------------------------------------------------------------------------------- dictionary
 */

static void need_block(const struct segment *s, uint32_t block, struct page_ranges *r)
{
    uint64_t place = load_u64(segment_block_index(s, block)), size = EXTENT_PAYLOAD;
    uint64_t next = block + 1 < s->toc.blocks ? load_u64(segment_block_index(s, block + 1)) : 0;
    if (next >> 32 == place >> 32 && next > place)
        size = next - place;
    need_place(s, &s->dictionary, place, size, r);
}

void will_need_key(const struct segment *s, struct str key, bool is_prefix, struct page_ranges *r)
{
    if (s->toc.blocks == 0)
        return;
    uint64_t prefix = dictionary_prefix(key), rest = key.len < 8 ? UINT64_MAX >> 8 * key.len : 0;
    uint64_t last = is_prefix ? prefix | rest : prefix;
    uint32_t below = segment_blocks_below(s, prefix), from = below ? below - 1 : 0;
    uint32_t end = last == UINT64_MAX ? s->toc.blocks : segment_blocks_below(s, last + 1);
    for (uint32_t block = from; block < (end > from ? end : from + 1) && block < from + KEYS_MOST; block++)
        need_block(s, block, r);
}

void will_need_index(const struct segment *s, struct page_ranges *r)
{
    for (uint32_t i = 0; s->blocks.parts.count <= INDEX_PARTS_MOST && i < s->blocks.parts.count; i++)
        store_need(s->store, &s->blocks.parts.extents[i], 0, s->blocks.parts.extents[i].size, r);
}

void will_need_dictionary(const struct segment *s, struct page_ranges *r)
{
    for (uint32_t i = 0; i < s->dictionary.count; i++)
        store_need(s->store, &s->dictionary.extents[i], 0, s->dictionary.extents[i].size, r);
}

/* ------------------------------------------------------------------------------------------------------------ postings
 */

void will_need_list(const struct segment *s, const struct term *t, uint64_t documents, bool with_positions,
                    struct page_ranges *r)
{
    if (t->inlined.len)
        return;
    uint64_t length = t->postings.length, front = list_front(t);
    bool by_page = documents < length / PAGE_LEAST || length > LIST_MOST;
    need_place(s, &s->postings, t->postings.place, by_page && front > 0 ? front : length, r);
    if (with_positions && t->positions.length < POSITIONS_MOST)
        need_place(s, &s->positions, t->positions.place, t->positions.length, r);
}

static void need_positions(const struct posting_list *l, uint32_t block, struct page_ranges *r)
{
    uint64_t from = block > 0 ? list_positions_end(l, block - 1) : 0, end = list_positions_end(l, block);
    uint64_t place = l->positions.place;
    if ((uint32_t)place + end > EXTENT_PAYLOAD) { /* a run of extents */
        place += from / EXTENT_PAYLOAD << 32;
        end -= from - from % EXTENT_PAYLOAD;
        from %= EXTENT_PAYLOAD;
    }
    if (from < end)
        need_place(l->segment, &l->segment->positions, place + from, end - from, r);
}

void will_need_pair_words(const struct segment *s, struct str first, struct str second, struct page_ranges *r)
{
    (void)first; /* they are few, and looked through by halves */
    (void)second;
    need_place(s, &s->pair_words.parts, 0, (uint64_t)s->toc.pair_words * PAIR_WORD, r);
}

void will_need_pair_row(const struct segment *s, struct str first, struct str second, struct page_ranges *r)
{
    struct pair_place groups;
    (void)second;
    if (segment_pair_row(s, first, &groups))
        need_place(s, &s->pairs, groups.place, groups.size, r);
}

void will_need_pair(const struct segment *s, struct str first, struct str second, struct page_ranges *r)
{
    struct pair_place entries;
    if (segment_pair_entries(s, first, second, &entries))
        need_place(s, &s->pairs, entries.place, entries.size, r);
}

void will_need_blocks(const struct posting_list *l, const uint32_t *documents, size_t count, bool with_positions,
                      struct page_ranges *r)
{
    uint32_t block = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && list_last(l, block) >= documents[i])
            continue;
        block = list_find(l, block, documents[i]);
        if (block == l->blocks)
            return;
        uint64_t from = l->blocks > 1 && block > 0 ? load_u32(l->ends + 4 * ((size_t)block - 1)) : 0;
        uint64_t end = l->blocks > 1 ? load_u32(l->ends + 4 * (size_t)block) : l->size;
        if (from < end && end <= l->size)
            need_place(l->segment, &l->segment->postings, l->place + from, end - from, r);
        if (with_positions)
            need_positions(l, block, r);
    }
}

void will_need_columns(const struct segment *s, struct page_ranges *r)
{
    if (s->lengths.size <= COLUMN_MOST)
        store_need(s->store, &s->lengths, 0, s->lengths.size, r);
    if (s->stamps.size <= COLUMN_MOST)
        store_need(s->store, &s->stamps, 0, s->stamps.size, r);
}

/* ----------------------------------------------------------------------------------------------------------- documents
 */

/* What tells where they are. */
static void need_places(const struct segment *s, uint32_t document, bool with_bodies, struct page_ranges *r)
{
    need_element(s, &s->id_places, document, r);
    if (!with_bodies)
        return;
    need_element(s, &s->body_ends, document, r);
    if (document > 0)
        need_element(s, &s->body_ends, document - 1, r);
}

static void need_id(const struct segment *s, uint32_t document, struct page_ranges *r)
{
    uint64_t place;
    if (!segment_element_u64(s, &s->id_places, document, &place))
        need_place(s, &s->ids, place, RECORD, r);
}

typedef int find_block(const struct segment *s, uint64_t at, uint32_t *out_block);

/* Which blocks hold it; false: none. */
static bool body_blocks(const struct segment *s, uint32_t document, find_block *find, uint32_t *out_first, uint32_t *out_last)
{
    uint64_t from = 0, end;
    if (document >= s->toc.documents || (document && segment_element_u64(s, &s->body_ends, document - 1, &from)))
        return false;
    if (segment_element_u64(s, &s->body_ends, document, &end) || from >= end)
        return false;
    return !find(s, from, out_first) && !find(s, end - 1, out_last);
}

static void need_body_entries(const struct segment *s, uint32_t document, struct page_ranges *r)
{
    uint32_t block, last;
    if (!body_blocks(s, document, segment_body_block_guess, &block, &last))
        return;
    for (; block <= last; block++)
        need_element(s, &s->body_blocks, block, r);
}

static void need_body(const struct segment *s, uint32_t document, struct page_ranges *r)
{
    uint32_t block, last;
    struct body_block b;
    if (!body_blocks(s, document, segment_body_block_of, &block, &last))
        return;
    for (; block <= last && !segment_body_block(s, block, &b); block++)
        need_place(s, &s->bodies, b.place, b.size, r);
}

void will_need_documents(const struct needed_document *documents, size_t count, bool with_bodies, struct page_ranges *r)
{
    for (size_t i = 0; i < count; i++)
        need_places(documents[i].segment, documents[i].document, with_bodies, r);
    page_ranges_ask(r);
    for (size_t i = 0; i < count; i++) {
        need_id(documents[i].segment, documents[i].document, r);
        if (with_bodies)
            need_body_entries(documents[i].segment, documents[i].document, r);
    }
    if (!with_bodies)
        return;
    page_ranges_ask(r);
    for (size_t i = 0; i < count; i++)
        need_body(documents[i].segment, documents[i].document, r);
}
