/* dictionary_terms.h - terms of a dictionary block by what is known of them, not one after the other.  Runs in: shard,
 * worker, bench.
 *
 * Heads and last bytes lie side by side, so that sixteen terms at a time are ruled out by length or last byte, and only
 * those that are left have their texts looked at. A set of terms has bit i for the i-th. */
#ifndef INDEX_DICTIONARY_TERMS_H
#define INDEX_DICTIONARY_TERMS_H

#include "index/dictionary.h"
#include "index/kernels.h"
#include "index/sixteen.h"

enum { DICTIONARY_LONG = 15 /* bytes that a long term's key has at least */ };

static inline uint64_t dictionary_all(const struct dictionary_block *b)
{
    return UINT64_MAX >> (TERMS_PER_BLOCK - b->terms);
}

/* Those that end with a byte. */
static inline uint64_t dictionary_ending(const struct dictionary_block *b, uint8_t last)
{
    uint64_t set = 0;
    for (uint32_t at = 0; at < b->terms; at += 16)
        set |= sixteen_set(sixteen_are(sixteen_at(b->lasts + at), last)) << at;
    return set & dictionary_all(b);
}

/* Of a key that is not long. */
static inline uint32_t dictionary_length(uint8_t head)
{
    return (head >> 4) + (head & 15u);
}

/* Those that are long, or whose keys have at most so many bytes. */
uint64_t dictionary_up_to(const struct dictionary_block *b, uint32_t length);

/* Those that have one of the lengths (at least one bit; bit 63: or more), and whose texts, as far as they go, end with those
 * bytes. What stands behind the block may be read up to KERNEL_OVERREAD bytes. */
uint64_t dictionary_texts_ending(const struct dictionary_block *b, const struct kernels *k, uint64_t lengths,
                                 const uint8_t *bytes, uint32_t count);

/* How many bytes each key has; false if one is damaged. */
bool dictionary_lengths(const struct dictionary_block *b, uint16_t lengths[TERMS_PER_BLOCK]);

/* A term's text by its number; false if it is damaged. */
bool dictionary_text_of(const struct dictionary_block *b, uint32_t term, struct dictionary_text *t);

/* Its key; the length, or 0 if it is damaged. */
size_t dictionary_key(const struct dictionary_block *b, uint32_t term, uint8_t key[DICTIONARY_KEY]);

/* The number of a key's term, or how many there are if it is not among them; false if they are damaged. */
bool dictionary_find(const struct dictionary_block *b, struct str key, uint32_t *out);

#endif
