#include "index/dictionary_terms.h"

enum { LONG = 15, STEP = 8 };

uint64_t dictionary_up_to(const struct dictionary_block *b, uint32_t length)
{
    const uint64_t nibbles = LONG * BYTES_OF_ONE;
    const uint64_t most = (0x80 + (length < 2 * LONG ? length : 2u * LONG)) * BYTES_OF_ONE;
    uint64_t set = 0;
    for (uint32_t at = 0; at < b->terms; at += STEP) {
        uint64_t heads = load_u64(b->heads + at), shared = heads >> 4 & nibbles, rests = heads & nibbles;
        uint64_t is_long = ((shared + BYTES_OF_ONE) | (rests + BYTES_OF_ONE)) >> 4;
        set |= gather_bits((most - (shared + rests)) >> 7 | is_long) << at;
    }
    return set & dictionary_all(b);
}

/* Where a short text begins. Of damaged heads any place comes out, which is not behind the texts. */
static bool short_place(const struct dictionary_block *b, uint32_t term, const uint8_t **out)
{
    size_t place = 0;
    for (uint32_t at = 0; at < term; at += 16) {
        sixteen heads = sixteen_at(b->heads + at), shared = heads >> 4, rests = heads & LONG;
        sixteen is_short = ~(sixteen_are(shared, LONG) | sixteen_are(rests, LONG));
        place += sixteen_sum(sixteen_first((rests - 1) & is_short, term - at < 16 ? term - at : 16));
    }
    *out = b->texts + place;
    return place <= (size_t)(b->longs - b->texts);
}

/* Of sixteen heads, as bits. */
static inline uint64_t longs_at(const struct dictionary_block *b, uint32_t at)
{
    sixteen heads = sixteen_at(b->heads + at);
    return sixteen_set(sixteen_are(heads >> 4, LONG) | sixteen_are(heads & LONG, LONG));
}

/* One after the other: there are few. */
static bool find_long(const struct dictionary_block *b, uint32_t term, struct dictionary_text *t)
{
    const uint8_t *at = b->longs;
    for (uint32_t i = 0; i <= term; i += 16) {
        uint64_t up_to = term - i < 16 ? ((uint64_t)2 << (term - i)) - 1 : UINT64_MAX;
        for (uint64_t left = longs_at(b, i) & up_to; left; left &= left - 1) {
            if (!dictionary_long_text(b, i + (uint32_t)__builtin_ctzll(left), at, t))
                return false;
            at = t->bytes + t->rest - 1;
        }
    }
    return true;
}

/* The last `own` of the bytes, but the very last, against the end of a text. */
static inline bool ends_with(const uint8_t *text_end, const uint8_t *bytes_end, uint32_t own)
{
    uint32_t i = 1;
    while (i < own && text_end[-(ptrdiff_t)i] == bytes_end[-(ptrdiff_t)i - 1])
        i++;
    return i >= own;
}

static bool has_length(uint64_t lengths, uint32_t length)
{
    return lengths >> (length < 63 ? length : 63) & 1;
}

/* Of long terms, whose texts are read one after the other. */
static uint64_t longs_ending(const struct dictionary_block *b, uint64_t longs, uint64_t terms, uint64_t lengths,
                             const uint8_t *end, uint32_t count)
{
    const uint8_t *next = b->longs;
    uint64_t kept = 0;
    for (; terms; longs &= longs - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(longs);
        struct dictionary_text t;
        if (!dictionary_long_text(b, i, next, &t))
            return kept | terms; /* as will be found when their keys are read */
        next = t.bytes + t.rest - 1;
        if (!(terms >> i & 1))
            continue;
        terms &= terms - 1;
        if (has_length(lengths, t.shared + t.rest) && ends_with(next, end, t.rest < count ? t.rest : count))
            kept |= (uint64_t)1 << i;
    }
    return kept;
}

static uint64_t shorts_ending(const struct dictionary_block *b, const struct kernels *k, uint64_t shorts, uint64_t terms,
                              uint64_t lengths, const uint8_t *end, uint32_t count)
{
    size_t room = (size_t)(b->longs - b->texts);
    uint64_t kept = 0;
    for (; terms; terms &= terms - 1) {
        uint64_t before = shorts & (terms ^ (terms - 1)); /* it, too */
        uint8_t head = b->heads[__builtin_ctzll(terms)];
        if (!has_length(lengths, dictionary_length(head)))
            continue;
        size_t behind = k->short_texts(b->heads, before);
        uint32_t rest = head & 15, own = rest < count ? rest : count;
        if (behind <= room && behind + 1 >= rest && ends_with(b->texts + behind, end, own))
            kept |= terms & -terms;
    }
    return kept;
}

uint64_t dictionary_texts_ending(const struct dictionary_block *b, const struct kernels *k, uint64_t lengths,
                                 const uint8_t *bytes, uint32_t count)
{
    const uint8_t *end = bytes + count;
    unsigned least = (unsigned)__builtin_ctzll(lengths), most = 63 - (unsigned)__builtin_clzll(lengths);
    uint64_t longs, kept = 0, terms = k->ending(b->heads, b->terms, end[-1], least, most, &longs);
    if (terms & ~longs)
        kept = shorts_ending(b, k, dictionary_all(b) & ~longs, terms & ~longs, lengths, end, count);
    if (lengths >> LONG && terms & longs)
        kept |= longs_ending(b, longs, terms & longs, lengths, end, count);
    return kept;
}

bool dictionary_lengths(const struct dictionary_block *b, uint16_t lengths[TERMS_PER_BLOCK])
{
    const uint8_t *next = b->longs;
    for (uint32_t i = 0; i < b->terms; i++) {
        struct dictionary_text t;
        lengths[i] = (uint16_t)dictionary_length(b->heads[i]);
        if (!dictionary_is_long(b->heads[i]))
            continue;
        if (!dictionary_long_text(b, i, next, &t))
            return false;
        lengths[i] = (uint16_t)(t.shared + t.rest);
        next = t.bytes + t.rest - 1;
    }
    return true;
}

bool dictionary_text_of(const struct dictionary_block *b, uint32_t term, struct dictionary_text *t)
{
    const uint8_t *at;
    if (dictionary_is_long(b->heads[term]))
        return find_long(b, term, t);
    return short_place(b, term, &at) && dictionary_short_text(b, term, at, t);
}

/* Of the terms before `term` those that share less than `length` bytes, which is below LONG. */
static uint64_t sharing_less(const struct dictionary_block *b, uint32_t term, uint32_t length)
{
    uint64_t set = 0;
    for (uint32_t at = 0; at < term; at += 16) {
        sixteen shared = sixteen_at(b->heads + at) >> 4;
        set |= sixteen_set((sixteen)(shared < sixteen_of((uint8_t)length))) << at;
    }
    return set & (((uint64_t)1 << term) - 1);
}

/* The last term before `term` that shares less than `length` bytes (at least 1): the bytes in front of those are its
 * own. */
static bool owner_of(const struct dictionary_block *b, uint32_t *term, uint32_t length, struct dictionary_text *t)
{
    do {
        uint64_t less = length < LONG ? sharing_less(b, *term, length) : ((uint64_t)1 << *term) - 1;
        if (less == 0)
            return false;
        *term = 63 - (uint32_t)__builtin_clzll(less);
        if (!dictionary_text_of(b, *term, t))
            return false;
    } while (t->shared >= length);
    return t->shared + t->rest >= length;
}

size_t dictionary_key(const struct dictionary_block *b, uint32_t term, uint8_t key[DICTIONARY_KEY])
{
    struct dictionary_text t;
    if (!dictionary_text_of(b, term, &t))
        return 0;
    size_t length = t.shared + t.rest;
    dictionary_copy(key + t.shared, &t);
    for (uint32_t left = t.shared; left > 0; left = t.shared) {
        uint8_t own[DICTIONARY_KEY];
        if (!owner_of(b, &term, left, &t))
            return 0;
        dictionary_copy(own, &t);
        memcpy(key + t.shared, own, left - t.shared);
    }
    return length > 1 ? length : 0;
}
