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
    const uint8_t *entry, *next = NULL;
    int err = segment_element(s, &s->blocks, block, &entry);
    if (!err && block + 1 < s->toc.blocks)
        err = segment_element(s, &s->blocks, block + 1, &next);
    if (err)
        return err;
    uint64_t place = load_u64(entry);
    uint32_t part = (uint32_t)(place >> 32), offset = (uint32_t)place;
    if (part >= s->dictionary.count)
        return ERR_CORRUPT;
    uint32_t end = s->dictionary.extents[part].size;
    if (next && load_u64(next) >> 32 == part)
        end = (uint32_t)load_u64(next);
    if (end <= offset)
        return ERR_CORRUPT;
    err = segment_view(s, &s->dictionary, place, end - offset, out_at);
    if (!err)
        *out_end = *out_at + (end - offset);
    return err;
}

/* The first key of a block, as a view into it. */
static int first_key(const struct segment *s, uint32_t block, struct str *out)
{
    const uint8_t *at, *end;
    struct dictionary_step step;
    struct dictionary_entry entry = {0};
    uint8_t kind = 0;
    int err = view_block(s, block, &at, &end);
    if (err)
        return err;
    if (!dictionary_step(at, end, &kind, &step, &entry) || step.shared)
        return ERR_CORRUPT;
    *out = (struct str){.ptr = (const char *)step.bytes, .len = step.rest};
    return 0;
}

/* How the first key of a block compares with `key`: by the index, unless they begin alike. */
static int compare_first(const struct segment *s, uint32_t block, struct str key, uint64_t prefix, int *out)
{
    const uint8_t *entry;
    struct str first;
    int err = segment_element(s, &s->blocks, block, &entry);
    if (err)
        return err;
    uint64_t found = load_u64(entry + 8);
    if (found != prefix) {
        *out = found < prefix ? -1 : 1;
        return 0;
    }
    err = first_key(s, block, &first);
    if (!err)
        *out = str_compare(first, key);
    return err;
}

/* The last block whose first key is not above `key`; 0 if all are. */
static int find_block(const struct segment *s, struct str key, uint32_t *out)
{
    uint32_t low = 0, high = s->toc.blocks;
    uint64_t prefix = dictionary_prefix(key);
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        int order = 0;
        int err = compare_first(s, middle, key, prefix, &order);
        if (err)
            return err;
        if (order <= 0)
            low = middle;
        else
            high = middle;
    }
    *out = low;
    return 0;
}

static struct term term_of(struct str key, const struct dictionary_entry *e)
{
    return (struct term){
        .key = key,
        .documents = e->documents,
        .flags = e->flags,
        .postings = {e->postings.place, e->postings.length},
        .positions = {e->positions.place, e->positions.length},
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
    if (c->at == c->end) {
        if (c->block >= c->segment->toc.blocks)
            return false;
        int err = view_block(c->segment, c->block++, &c->at, &c->end);
        if (err)
            return fail(c, err);
        c->key_length = 0;
        c->key[0] = 0;
    }
    struct dictionary_entry e = {
        .postings = {c->postings.place, c->postings.length},
        .positions = {c->positions.place, c->positions.length},
    };
    c->at = dictionary_read(c->at, c->end, c->key, &c->key_length, &e);
    if (!c->at)
        return fail(c, ERR_CORRUPT);
    *out = term_of((struct str){c->key, c->key_length}, &e);
    c->postings = out->postings;
    c->positions = out->positions;
    return true;
}

void term_cursor_seek(struct term_cursor *c, const struct segment *s, struct str from)
{
    c->segment = s;
    c->at = c->end = NULL;
    c->block = 0;
    c->key_length = 0;
    c->postings = c->positions = (struct list_view){0};
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

/* Bytes that `a` and `b` have in common. */
static uint32_t common(const uint8_t *a, size_t a_length, const char *b, size_t b_length)
{
    uint32_t n = 0;
    while (n < a_length && n < b_length && a[n] == (uint8_t)b[n])
        n++;
    return n;
}

/* Without building keys: `matched` bytes of `key` are those of the entry before, which is below it. An entry that
 * shares more than that is below it too, one that shares less is above it. False: not there, or *err. */
static bool find_in_block(const uint8_t *at, const uint8_t *end, struct str key, struct dictionary_entry *e, int *err)
{
    uint32_t matched = 0;
    uint8_t kind = 0;
    while (at < end) {
        struct dictionary_step step;
        at = dictionary_step(at, end, &kind, &step, e);
        if (!at) {
            *err = ERR_CORRUPT;
            return false;
        }
        if (step.shared > matched)
            continue;
        if (step.shared < matched)
            return false;
        uint32_t more = common(step.bytes, step.rest, key.ptr + matched, key.len - matched);
        matched += more;
        if (more == step.rest && matched == key.len)
            return true;
        if (matched == key.len || (more < step.rest && step.bytes[more] > (uint8_t)key.ptr[matched]))
            return false;
    }
    return false;
}

bool segment_find_term(const struct segment *s, struct str key, struct term *out, int *err)
{
    const uint8_t *at, *end;
    struct dictionary_entry e = {0};
    uint32_t block = 0;
    if (key.len < 2 || s->toc.blocks == 0)
        return false;
    int failure = find_block(s, key, &block);
    if (!failure)
        failure = view_block(s, block, &at, &end);
    if (failure) {
        *err = failure;
        return false;
    }
    if (!find_in_block(at, end, key, &e, err))
        return false;
    *out = term_of(key, &e);
    return true;
}
