/* Finding terms in a segment's dictionary. */
#include "index/segment.h"

#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "index/dictionary.h"
#include "index/segment_parts.h"

/* From a block's place to the end of its extent, or to where the next block of the same extent begins. */
static int view_block(const struct segment *s, uint32_t block, const uint8_t **out_at, const uint8_t **out_end)
{
    uint64_t place = load_u64(s->blocks.payload + (size_t)block * 8);
    uint32_t part = (uint32_t)(place >> 32), offset = (uint32_t)place;
    if (part >= s->dictionary.count)
        return ERR_CORRUPT;
    uint32_t end = s->dictionary.extents[part].size;
    if (block + 1 < s->toc.blocks) {
        uint64_t next = load_u64(s->blocks.payload + ((size_t)block + 1) * 8);
        if (next >> 32 == part)
            end = (uint32_t)next;
    }
    if (end <= offset)
        return ERR_CORRUPT;
    int err = segment_view(s, &s->dictionary, place, end - offset, out_at);
    if (!err)
        *out_end = *out_at + (end - offset);
    return err;
}

/* The first key of a block, as a view into it. */
static int first_key(const struct segment *s, uint32_t block, struct str *out)
{
    const uint8_t *at, *end;
    uint64_t shared, length;
    int err = view_block(s, block, &at, &end);
    if (err)
        return err;
    at = varint_get(at, end, &shared);
    at = at ? varint_get(at, end, &length) : NULL;
    if (!at || shared != 0 || length > (uint64_t)(end - at))
        return ERR_CORRUPT;
    *out = (struct str){.ptr = (const char *)at, .len = length};
    return 0;
}

/* The last block whose first key is not above `key`; 0 if all are. */
static int find_block(const struct segment *s, struct str key, uint32_t *out)
{
    uint32_t low = 0, high = s->toc.blocks;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        struct str first;
        int err = first_key(s, middle, &first);
        if (err)
            return err;
        if (str_compare(first, key) <= 0)
            low = middle;
        else
            high = middle;
    }
    *out = low;
    return 0;
}

static bool fail(struct term_cursor *c, int err)
{
    c->err = err;
    return false;
}

static bool read_next(struct term_cursor *c, struct term *out)
{
    struct dictionary_entry e;
    if (c->err)
        return false;
    if (c->at == c->end) {
        if (c->block >= c->segment->toc.blocks)
            return false;
        int err = view_block(c->segment, c->block++, &c->at, &c->end);
        if (err)
            return fail(c, err);
        c->key_length = 0;
    }
    c->at = dictionary_read(c->at, c->end, c->key, &c->key_length, &e);
    if (!c->at)
        return fail(c, ERR_CORRUPT);
    *out = (struct term){
        .key = {c->key, c->key_length},
        .documents = e.documents,
        .flags = e.flags,
        .postings = {e.postings.place, e.postings.length},
        .positions = {e.positions.place, e.positions.length},
    };
    return true;
}

void term_cursor_seek(struct term_cursor *c, const struct segment *s, struct str from)
{
    c->segment = s;
    c->at = c->end = NULL;
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

bool segment_find_term(const struct segment *s, struct str key, struct term *out, int *err)
{
    struct term_cursor c;
    struct term found;
    term_cursor_seek(&c, s, key);
    if (c.err)
        *err = c.err;
    if (!term_cursor_next(&c, &found) || !str_equal(found.key, key))
        return false;
    *out = found;
    out->key = key;
    return true;
}
