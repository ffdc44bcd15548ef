#include "index/prefix.h"

#include <string.h>

#include "common/err.h"
#include "index/dictionary_terms.h"
#include "index/segment_parts.h"

void prefix_range_find(struct prefix_range *r, const struct segment *s, struct str key)
{
    uint64_t first = dictionary_prefix(key), last = first | (key.len < 8 ? UINT64_MAX >> 8 * key.len : 0);
    *r = (struct prefix_range){.segment = s, .key = key};
    if (s->toc.blocks == 0)
        return;
    uint32_t below = segment_blocks_below(s, first);
    r->from = below ? below - 1 : 0; /* the last that begins below it may go on with it */
    r->end = last == UINT64_MAX ? s->toc.blocks : segment_blocks_below(s, last + 1);
}

/* Whether all terms of a block are in the range, as far as the index tells. */
static bool is_inside(const struct prefix_range *r, uint32_t block)
{
    if (r->key.len > 8 || block + 1 >= r->segment->toc.blocks)
        return false;
    uint64_t first = segment_block_prefix(r->segment, block), next = segment_block_prefix(r->segment, block + 1);
    return ((first ^ dictionary_prefix(r->key)) | (first ^ next)) >> (64 - 8 * r->key.len) == 0;
}

/* The terms of a block that begin with the key, by reading it: they stand together. False if it is damaged. */
static bool find_members(const struct prefix_range *r, struct dictionary_block b, uint64_t *out)
{
    uint8_t key[DICTIONARY_KEY];
    uint32_t length = 0;
    bool begins = false;
    *out = 0;
    while (b.at < b.terms) {
        struct dictionary_text t;
        if (!dictionary_text(&b, &t) || t.shared > length)
            return false;
        length = t.shared + t.rest;
        dictionary_copy(key + t.shared, &t);
        bool did = begins;
        if (t.shared < r->key.len)
            begins = length >= r->key.len && memcmp(key, r->key.ptr, r->key.len) == 0;
        if (did && !begins)
            break;
        *out |= (uint64_t)begins << (b.at - 1);
    }
    return true;
}

static int open_block(const struct prefix_range *r, uint32_t block, struct dictionary_block *b, uint64_t *out_members)
{
    int err = segment_block(r->segment, block, b);
    if (err)
        return err;
    *out_members = dictionary_all(b);
    return is_inside(r, block) || find_members(r, *b, out_members) ? 0 : ERR_CORRUPT;
}

int prefix_count(const struct prefix_range *r, struct prefix_lengths *out)
{
    for (uint32_t block = r->from; block < r->end; block++) {
        struct dictionary_block b;
        uint16_t lengths[TERMS_PER_BLOCK];
        uint64_t members;
        int err = open_block(r, block, &b, &members);
        if (err)
            return err;
        if (!dictionary_lengths(&b, lengths))
            return ERR_CORRUPT;
        for (; members; members &= members - 1) {
            uint32_t length = lengths[__builtin_ctzll(members)];
            out->counts[length]++;
            out->longest = length > out->longest ? length : out->longest;
        }
    }
    return 0;
}

struct wanted {
    uint32_t least, most;
    prefix_sink *sink;
    void *context;
};

/* Whether a term is wanted that is long or known to have a length that is. */
static bool is_wanted(const struct wanted *w, uint8_t head, size_t length)
{
    return !dictionary_is_long(head) || (length >= w->least && length <= w->most);
}

static int give(struct str key, const struct dictionary_entry *e, const struct wanted *w)
{
    struct term term = term_of(key, e);
    return w->sink(w->context, &term);
}

static int give_one(const struct dictionary_block *b, uint32_t i, const struct wanted *w)
{
    uint8_t key[DICTIONARY_KEY];
    struct dictionary_entry e;
    size_t length = dictionary_key(b, i, key);
    if (length == 0)
        return ERR_CORRUPT;
    if (!is_wanted(w, b->heads[i], length))
        return 0;
    return dictionary_entry(b, i, &e) ? give((struct str){(const char *)key, length}, &e, w) : ERR_CORRUPT;
}

/* Of several in a block the keys are read one after the other. Where nothing long is wanted, what shares as many bytes with
 * the one before as the longest has is passed over: it is longer, and in front of it nothing changes. */
static int give_several(struct dictionary_block *b, uint64_t terms, const struct wanted *w)
{
    uint8_t key[DICTIONARY_KEY];
    uint32_t length = 0;
    bool skips = w->most < DICTIONARY_LONG;
    int err = 0;
    while (!err && b->at < b->terms && terms >> b->at) {
        struct dictionary_text t;
        struct dictionary_entry e;
        uint32_t i = b->at;
        if (skips && b->heads[i] >> 4 >= (int)w->most) {
            dictionary_skip(b, w->most - 1, 0);
            if (b->at > i)
                continue;
        }
        if (!dictionary_text(b, &t))
            return ERR_CORRUPT;
        if (skips && t.shared >= w->most)
            continue;
        if (t.shared > length)
            return ERR_CORRUPT;
        length = t.shared + t.rest;
        dictionary_copy(key + t.shared, &t);
        if (!(terms >> i & 1) || !is_wanted(w, b->heads[i], length))
            continue;
        if (!dictionary_entry_of_last(b, &e))
            return ERR_CORRUPT;
        err = give((struct str){(const char *)key, length}, &e, w);
    }
    return err;
}

static uint64_t of_lengths(const struct dictionary_block *b, uint32_t least, uint32_t most)
{
    uint64_t shorter = dictionary_up_to(b, least > 0 ? least - 1 : 0); /* and the long ones, as in the other */
    uint64_t longs = most >= DICTIONARY_LONG ? dictionary_up_to(b, 0) : 0;
    return (dictionary_up_to(b, most) & ~shorter) | longs;
}

enum { SEVERAL = 4 };

int prefix_terms(const struct prefix_range *r, uint32_t least, uint32_t most, prefix_sink *sink, void *context)
{
    const struct wanted w = {least, most, sink, context};
    int err = 0;
    for (uint32_t block = r->from; block < r->end && !err; block++) {
        struct dictionary_block b;
        uint64_t members;
        err = open_block(r, block, &b, &members);
        if (err)
            return err;
        members &= of_lengths(&b, least, most);
        if (__builtin_popcountll(members) >= SEVERAL)
            err = give_several(&b, members, &w);
        else
            for (; members && !err; members &= members - 1)
                err = give_one(&b, (uint32_t)__builtin_ctzll(members), &w);
    }
    return err;
}
