/* Finding terms in a segment's dictionary. */
#include "index/segment.h"

#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "index/dictionary_terms.h"
#include "index/segment_parts.h"

enum { LINE = 64, MOST_LINES = 32 };

/* A block is looked at here and there, and what stands where is told by what stands before: all of it is asked for at once. */
static void ask_for_lines(const uint8_t *at, size_t size)
{
    for (size_t i = 0; i < size && i < (size_t)LINE * MOST_LINES; i += LINE)
        __builtin_prefetch(at + i);
}

/* From a block's place to the end of its extent, or to where the next block of the same extent begins. */
static int view_block(const struct segment *s, uint32_t block, struct str *out)
{
    uint64_t place = load_u64(segment_block_index(s, block));
    uint64_t next = block + 1 < s->toc.blocks ? load_u64(segment_block_index(s, block + 1)) : UINT64_MAX;
    uint32_t part = (uint32_t)(place >> 32), offset = (uint32_t)place;
    if (part >= s->dictionary.count)
        return ERR_CORRUPT;
    uint32_t end = next >> 32 == part ? (uint32_t)next : s->dictionary.extents[part].size;
    const uint8_t *at;
    if (end <= offset)
        return ERR_CORRUPT;
    int err = segment_view(s, &s->dictionary, place, end - offset, &at);
    *out = (struct str){err ? NULL : (const char *)at, end - offset};
    return err;
}

int segment_block_glance(const struct segment *s, uint32_t block, struct dictionary_block *out)
{
    struct str v;
    int err = view_block(s, block, &v);
    const uint8_t *at = (const uint8_t *)v.ptr;
    return err ? err : dictionary_block_open(out, at, at + v.len) ? 0 : ERR_CORRUPT;
}

int segment_block(const struct segment *s, uint32_t block, struct dictionary_block *out)
{
    struct str v;
    int err = view_block(s, block, &v);
    if (err)
        return err;
    const uint8_t *at = (const uint8_t *)v.ptr;
    ask_for_lines(at, v.len);
    return dictionary_block_open(out, at, at + v.len) ? 0 : ERR_CORRUPT;
}

/* How many of the sampled blocks begin with a lower one: without branches, which nobody can foresee. */
static uint32_t sampled_below(const struct segment *s, uint64_t prefix)
{
    uint32_t low = 0, count = segment_sampled(s);
    for (; count > 1; count -= count / 2)
        low += count / 2 & -(uint32_t)(s->sampled[low + count / 2 - 1] < prefix);
    return low + (count == 1 && s->sampled[low] < prefix);
}

/* How many of the blocks from..end - 1, which lie in one extent, begin with a lower one: none waits for another. */
static uint32_t run_below(const struct segment *s, uint32_t from, uint32_t end, uint64_t prefix)
{
    const uint8_t *prefixes = segment_block_index(s, from) + 8;
    uint32_t n = 0;
    for (; from < end; from++, prefixes += DICTIONARY_INDEX)
        n += load_u64(prefixes) < prefix;
    return n;
}

uint32_t segment_blocks_below(const struct segment *s, uint64_t prefix)
{
    uint32_t below = sampled_below(s, prefix), from = below > 0 ? (below - 1) * SAMPLED_BLOCKS + 1 : 0;
    uint32_t left = s->toc.blocks - from, end = from + (left < SAMPLED_BLOCKS - 1 ? left : SAMPLED_BLOCKS - 1);
    uint32_t edge = (from / BLOCKS_PER_PART + 1) * BLOCKS_PER_PART, n = from;
    if (below == 0)
        return 0;
    for (; from < end; from = edge, edge = end)
        n += run_below(s, from, end < edge ? end : edge, prefix);
    return n;
}

/* The first key of a block, in `buffer`. */
static int first_key(const struct segment *s, uint32_t block, uint8_t buffer[DICTIONARY_KEY], struct str *out)
{
    struct dictionary_block b;
    int err = segment_block(s, block, &b);
    if (err)
        return err;
    *out = (struct str){(const char *)buffer, dictionary_key(&b, 0, buffer)};
    return out->len ? 0 : ERR_CORRUPT;
}

/* The last block whose first key is not above `key`; 0 if all are. By the index, but for blocks that begin alike. */
static int find_block(const struct segment *s, struct str key, uint32_t *out)
{
    uint64_t prefix = dictionary_prefix(key);
    uint32_t low = segment_blocks_below(s, prefix), high = low;
    if (low < s->toc.blocks && segment_block_prefix(s, low) == prefix)
        high = prefix == UINT64_MAX ? s->toc.blocks : segment_blocks_below(s, prefix + 1);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        uint8_t buffer[DICTIONARY_KEY];
        struct str first;
        int err = first_key(s, middle, buffer, &first);
        if (err)
            return err;
        if (str_compare(first, key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    *out = low ? low - 1 : 0;
    return 0;
}

struct term term_of(struct str key, const struct dictionary_entry *e)
{
    return (struct term){
        .key = key,
        .documents = e->documents,
        .postings = {e->postings.place, e->postings.length},
        .positions = {e->positions.place, e->positions.length},
        .inlined = e->inlined,
    };
}

static bool fail(struct term_cursor *c, int err)
{
    c->err = err;
    return false;
}

static bool read_next(struct term_cursor *c, struct term *out)
{
    if (c->err)
        return false;
    if (c->open.at == c->open.terms) {
        if (c->block >= c->segment->toc.blocks)
            return false;
        int err = segment_block(c->segment, c->block++, &c->open);
        if (err)
            return fail(c, err);
        c->key_length = 0;
    }
    struct dictionary_entry e;
    if (!dictionary_read(&c->open, c->key, &c->key_length, &e))
        return fail(c, ERR_CORRUPT);
    *out = term_of((struct str){c->key, c->key_length}, &e);
    return true;
}

void term_cursor_seek(struct term_cursor *c, const struct segment *s, struct str from)
{
    c->segment = s;
    c->open = (struct dictionary_block){0};
    c->block = 0;
    c->key_length = 0;
    c->has_pending = false;
    c->err = find_block(s, from, &c->block);
    while (read_next(c, &c->pending)) {
        if (str_compare(c->pending.key, from) >= 0) {
            c->has_pending = true;
            return;
        }
    }
}

bool term_cursor_next(struct term_cursor *c, struct term *out)
{
    if (!c->has_pending)
        return read_next(c, out);
    c->has_pending = false;
    *out = c->pending;
    return true;
}

/* ERR_*, or whether it is there. */
static int find_entry(const struct segment *s, struct str key, struct dictionary_entry *out)
{
    struct dictionary_block b;
    uint32_t block = 0, term;
    int err = find_block(s, key, &block);
    if (!err)
        err = segment_block(s, block, &b);
    if (err)
        return err;
    if (!dictionary_find(&b, key, &term))
        return ERR_CORRUPT;
    if (term == b.terms)
        return 0;
    return dictionary_entry(&b, term, out) ? 1 : ERR_CORRUPT;
}

bool segment_find_term(const struct segment *s, struct str key, struct term *out, int *err)
{
    struct dictionary_entry e;
    if (key.len < 2 || s->toc.blocks == 0)
        return false;
    int found = find_entry(s, key, &e);
    if (found > 0)
        *out = term_of(key, &e);
    else if (found < 0)
        *err = found;
    return found > 0;
}
