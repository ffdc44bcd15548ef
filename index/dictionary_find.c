/* A key in a block of the dictionary. Its last byte and its length leave one or two terms that it may be; of such a term
 * its own bytes are compared, and then those that it shares with the one before, with the terms whose own they are. All of
 * it goes by what all heads say, taken in at once, with hardly a branch: there is one block to a word of a query, and
 * nobody foresees which way it takes there. */
#include "index/dictionary_terms.h"

enum { QUARTER = 16, QUARTERS = TERMS_PER_BLOCK / QUARTER, LONG = DICTIONARY_LONG };

struct heads {
    const struct dictionary_block *block;
    sixteen shared[QUARTERS], rests[QUARTERS];
    uint64_t longs;
    uint8_t before[TERMS_PER_BLOCK]; /* bytes of short texts in front of a term's, from its quarter on */
    uint32_t quarters[QUARTERS];     /* in front of a quarter's */
    uint64_t longs_left;             /* whose texts were not read yet: one after the other, as far as is needed */
    const uint8_t *next_long;
    struct dictionary_text texts[TERMS_PER_BLOCK]; /* of the others */
};

/* So many bytes, and whatever follows them, or 0. */
static inline void take_bytes(const struct dictionary_block *b, const uint8_t *from, sixteen out[QUARTERS])
{
    if (b->end - from >= TERMS_PER_BLOCK) {
        memcpy(out, from, TERMS_PER_BLOCK);
    } else {
        memset(out, 0, TERMS_PER_BLOCK);
        memcpy(out, from, b->terms);
    }
}

static void take_heads(struct heads *h, const struct dictionary_block *b)
{
    sixteen heads[QUARTERS];
    uint32_t before = 0;
    h->block = b;
    h->longs = 0;
    take_bytes(b, b->heads, heads);
#pragma GCC unroll 4
    for (unsigned i = 0; i < QUARTERS; i++) {
        h->shared[i] = heads[i] >> 4;
        h->rests[i] = heads[i] & LONG;
        sixteen is_long = sixteen_are(h->shared[i], LONG) | sixteen_are(h->rests[i], LONG);
        sixteen sizes = (h->rests[i] - 1) & ~is_long, sums = sixteen_sums_before(sizes);
        memcpy(h->before + QUARTER * i, &sums, sizeof sums);
        h->longs |= sixteen_set(is_long) << QUARTER * i;
        h->quarters[i] = before;
        before += (uint32_t)sums[QUARTER - 1] + sizes[QUARTER - 1];
    }
    h->longs_left = h->longs & dictionary_all(b);
    h->next_long = b->longs;
}

/* The terms that the key may be. */
static uint64_t similar_terms(const struct heads *h, struct str key)
{
    sixteen lasts[QUARTERS];
    uint8_t last = (uint8_t)key.ptr[key.len - 1], length = (uint8_t)(key.len < 2 * LONG ? key.len : 2 * LONG);
    uint64_t ending = 0, as_long = 0;
    take_bytes(h->block, h->block->lasts, lasts);
#pragma GCC unroll 4
    for (unsigned i = 0; i < QUARTERS; i++) {
        ending |= sixteen_set(sixteen_are(lasts[i], last)) << QUARTER * i;
        as_long |= sixteen_set(sixteen_are(h->shared[i] + h->rests[i], length)) << QUARTER * i;
    }
    return ending & (as_long | h->longs) & dictionary_all(h->block);
}

/* Long ones up to a term. */
static bool read_longs(struct heads *h, uint32_t term)
{
    for (uint64_t wanted = UINT64_MAX >> (63 - term); h->longs_left & wanted; h->longs_left &= h->longs_left - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(h->longs_left);
        struct dictionary_text *t = &h->texts[i];
        if (!dictionary_long_text(h->block, i, h->next_long, t))
            return false;
        h->next_long = t->bytes + t->rest - 1;
    }
    return true;
}

/* False if it is damaged. */
static bool text_of(struct heads *h, uint32_t term, struct dictionary_text *t)
{
    const struct dictionary_block *b = h->block;
    if (h->longs >> term & 1) {
        bool ok = read_longs(h, term);
        *t = ok ? h->texts[term] : (struct dictionary_text){0};
        return ok;
    }
    size_t place = h->quarters[term / QUARTER] + h->before[term];
    return place <= (size_t)(b->longs - b->texts) && dictionary_short_text(b, term, b->texts + place, t);
}

/* Of the terms before `term` those whose heads say that they share less than `length` bytes, or less than 15. */
static uint64_t sharing_less(const struct heads *h, uint32_t term, uint32_t length)
{
    sixteen most = sixteen_of((uint8_t)(length < LONG ? length : LONG));
    uint64_t set = 0;
#pragma GCC unroll 4
    for (unsigned i = 0; i < QUARTERS; i++)
        set |= sixteen_set((sixteen)(h->shared[i] < most)) << QUARTER * i;
    return set & (((uint64_t)1 << term) - 1);
}

/* The last term before `term` that shares less than `length` bytes (at least 1): the bytes in front of those are its
 * own. */
static bool owner_of(struct heads *h, uint32_t *term, uint32_t length, struct dictionary_text *t)
{
    uint64_t less = sharing_less(h, *term, length);
    uint32_t owner = less ? 63 - (uint32_t)__builtin_clzll(less) : 0;
    for (uint32_t i = *term; length > LONG && i-- > owner + 1;) /* those that share 15 and more may do, too */
        owner = h->texts[i].shared < length ? i : owner;
    *term = owner;
    return less && text_of(h, owner, t) && t->shared < length && t->shared + t->rest >= length;
}

/* Whether a text's own bytes, those in front of the key's `end`-th, are the key's. */
static bool is_own(const struct dictionary_text *t, const uint8_t *key, uint32_t end)
{
    const uint8_t *own = t->bytes;
    uint32_t at = t->shared;
    if (end == t->shared + t->rest && t->last != key[--end])
        return false;
    for (; end - at >= 8; at += 8, own += 8) {
        if (load_u64(own) != load_u64(key + at))
            return false;
    }
    return at == end || (load_u64(own) ^ load_u64(key + at)) << (64 - 8 * (end - at)) == 0;
}

/* False if it is damaged. */
static bool is_key(struct heads *h, uint32_t term, const uint8_t *key, uint32_t length, bool *out)
{
    struct dictionary_text t;
    if (!text_of(h, term, &t))
        return false;
    *out = t.shared + t.rest == length && is_own(&t, key, length);
    while (*out && t.shared > 0) {
        uint32_t left = t.shared;
        if (!owner_of(h, &term, left, &t))
            return false;
        *out = is_own(&t, key, left);
    }
    return true;
}

bool dictionary_find(const struct dictionary_block *b, struct str key, uint32_t *out)
{
    uint8_t padded[DICTIONARY_KEY];
    struct heads h;
    *out = b->terms;
    if (key.len > MAX_KEY)
        return true;
    take_heads(&h, b);
    memcpy(padded, key.ptr, key.len);
    for (uint64_t similar = similar_terms(&h, key); similar; similar &= similar - 1) {
        uint32_t term = (uint32_t)__builtin_ctzll(similar);
        bool found;
        if (!is_key(&h, term, padded, (uint32_t)key.len, &found))
            return false;
        if (found) {
            *out = term;
            break;
        }
    }
    return true;
}
