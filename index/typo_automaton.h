/* typo_automaton.h - which edits turn the beginnings of a misspelt word into that of a term, letter by letter.  Used by
 * typo.c and typo_walk.c only.
 *
 * The automaton is the bit-parallel one of Wu and Manber ("Fast text searching allowing errors", 1992), held at both
 * ends and with transpositions: after each letter of a term, bit i of alive[j] says that what was read is at most j
 * edits away from the first i letters of the word. Terms rise, so that the letters that a term shares with the one
 * before have their states on a stack already. */
#ifndef INDEX_TYPO_AUTOMATON_H
#define INDEX_TYPO_AUTOMATON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index/dictionary.h"
#include "index/typo.h"

enum { TYPO_LEVELS = 1 + 1 + TYPO_LETTERS + TYPO_EDITS + 1 };

struct typo_level { /* after so many letters */
    uint64_t alive[TYPO_EDITS + 1];
    uint64_t letter; /* mask of the last one */
};

/* A key that is read, of which the levels of the first `known` bytes are there. */
struct typo_key {
    const struct typo_word *word;
    uint32_t length, known;
    struct typo_level levels[TYPO_LEVELS];
    uint8_t depth[4 * TYPO_LEVELS]; /* level after so many bytes of the key, where a letter ends */
    uint8_t bytes[DICTIONARY_KEY];
};

void typo_key_init(struct typo_key *k, const struct typo_word *w);

/* The edits of a key that was read to its end; more than the word may have if it is too far away. */
uint32_t typo_key_edits(const struct typo_key *k);

static inline bool typo_is_continuation(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* The letter at `at`, as its bytes: one that is no continuation, and those that are. What is not UTF-8 is not like any
 * letter of a folded word either. */
static inline uint32_t typo_letter(const uint8_t *at, size_t left, uint32_t *out_bytes)
{
    uint32_t letter = at[0], bytes = 1;
    while (bytes < 4 && bytes < left && typo_is_continuation(at[bytes]))
        letter = letter << 8 | at[bytes++];
    *out_bytes = bytes;
    return letter;
}

uint64_t typo_other_mask(const struct typo_word *w, uint32_t letter);

static inline const struct typo_level *typo_level(const struct typo_key *k, uint32_t bytes)
{
    return &k->levels[k->depth[bytes]];
}

/* Whether anything is left of the word that a walk looks for (typo_walk.c): less than all edits were made, or the last one
 * near the end. */
static inline bool typo_is_walked(const struct typo_level *l, const struct typo_word *w, uint32_t edits)
{
    return (l->alive[edits - 1] & w->all) | (l->alive[edits] & w->tail);
}

static inline bool typo_is_alive(const struct typo_level *l, const struct typo_word *w, uint32_t edits)
{
    return l->alive[edits] & w->all;
}

typedef bool typo_test(const struct typo_level *l, const struct typo_word *w, uint32_t edits);

/* The level after one more letter, from those before it (l[-1], l[-2]). */
static inline void typo_step(struct typo_level *l, uint64_t letter, uint32_t edits)
{
    const struct typo_level *before = l - 1, *earlier = l - 2;
    l->letter = letter;
    l->alive[0] = before->alive[0] << 1 & letter;
    for (uint32_t j = 1; j <= edits; j++) {
        uint64_t kept = before->alive[j] << 1 & letter;
        uint64_t inserted = before->alive[j - 1], replaced = before->alive[j - 1] << 1;
        uint64_t deleted = l->alive[j - 1] << 1;
        uint64_t swapped = earlier->alive[j - 1] << 2 & before->letter & letter << 1;
        l->alive[j] = kept | inserted | replaced | deleted | swapped;
    }
}

/* Reads the key on from the byte at `at`, where a letter begins, up to `length` bytes, as long as the test holds: false
 * if it does not behind the letter of *out_bytes bytes at *out_at. */
static inline bool typo_key_read(struct typo_key *k, uint32_t at, uint32_t length, uint32_t edits, typo_test *holds,
                                 uint32_t *out_at, uint32_t *out_bytes)
{
    struct typo_level *level = &k->levels[k->depth[at]];
    for (uint32_t bytes; at < length; at += bytes) {
        uint64_t letter;
        if (k->bytes[at] < 0x80) {
            bytes = 1;
            letter = k->word->ascii[k->bytes[at]];
        } else {
            letter = typo_other_mask(k->word, typo_letter(k->bytes + at, length - at, &bytes));
        }
        typo_step(++level, letter, edits);
        if (!holds(level, k->word, edits)) {
            *out_at = at;
            *out_bytes = bytes;
            k->known = at;
            return false;
        }
        k->depth[at + bytes] = (uint8_t)(level - k->levels);
    }
    k->length = k->known = length;
    return true;
}

/* Letters that come next where the last and that one are two of the word, swapped, and that is the `edits`-th edit. */
static inline uint64_t typo_swapped(const struct typo_level *l, uint32_t edits)
{
    return (l - 1)->alive[edits - 1] << 1 & l->letter >> 1;
}

/* Which letters a key may go on with behind a level. */
struct typo_branches {
    bool any;
    uint64_t letters; /* else those of the word */
};
typedef struct typo_branches typo_branches_of(const struct typo_level *l, const struct typo_word *w, uint32_t edits);

static inline struct typo_branches typo_alive_branches(const struct typo_level *l, const struct typo_word *w,
                                                       uint32_t edits)
{
    return (struct typo_branches){.any = l->alive[edits - 1] & w->all,
                                  .letters = l->alive[edits] << 1 | typo_swapped(l, edits)};
}

static inline struct typo_branches typo_walked_branches(const struct typo_level *l, const struct typo_word *w,
                                                        uint32_t edits)
{
    struct typo_branches b = {
        .any = l->alive[edits - 1] & w->tail,
        .letters = l->alive[edits - 1] << 1 | (l->alive[edits] & w->tail) << 1 | (typo_swapped(l, edits) & w->tail),
    };
    if (edits > 1) {
        b.any |= (l->alive[edits - 2] & w->all) != 0;
        b.letters |= typo_swapped(l, edits - 1);
    }
    return b;
}

/* No term below it is looked for: the first `shared` bytes of the key, then the byte `next`. */
struct typo_target {
    bool is_set;
    uint32_t shared, next;
    uint64_t prefix; /* as the block index has it, 0 if it begins like a whole prefix there */
};

static inline void typo_target_put(struct typo_target *t, const struct typo_key *k, uint32_t shared, uint32_t next)
{
    uint64_t before = shared > 0 && shared < 8 ? load_be64(k->bytes) >> (64 - 8 * shared) : 0;
    *t = (struct typo_target){
        .is_set = true,
        .shared = shared,
        .next = next,
        .prefix = shared < 8 ? ((before << 8) + next) << (56 - 8 * shared) : 0,
    };
}

enum { TYPO_NO_BYTE = 256 };

/* The lowest first byte, not below `least`, that a key may go on with; TYPO_NO_BYTE if there is none. */
static inline uint32_t typo_next_byte(const struct typo_word *w, struct typo_branches branches, uint32_t least)
{
    uint32_t lowest = TYPO_NO_BYTE;
    for (uint64_t left = branches.any ? 0 : branches.letters & w->all; left; left &= left - 1) {
        uint32_t byte = w->first[__builtin_ctzll(left)];
        if (byte >= least && byte < lowest)
            lowest = byte;
    }
    return branches.any ? least : lowest;
}

/* Behind the letter of `bytes` bytes at `at`, with which the key is of no use. */
static inline void typo_target_behind(struct typo_target *t, const struct typo_key *k, uint32_t at, uint32_t bytes,
                                      uint32_t edits, typo_branches_of *branches)
{
    for (; at > 0; at -= bytes) {
        struct typo_branches b = branches(typo_level(k, at), k->word, edits);
        uint8_t byte = k->bytes[at];
        uint32_t next = b.any ? byte : typo_next_byte(k->word, b, byte < 0x80 ? byte + 1u : byte);
        if (next == byte) { /* the very next letter */
            uint32_t last = at + bytes - 1;
            typo_target_put(t, k, last, k->bytes[last] + 1u);
            return;
        }
        if (next != TYPO_NO_BYTE) {
            typo_target_put(t, k, at, next);
            return;
        }
        bytes = 1;
        while (at > bytes && typo_is_continuation(k->bytes[at - bytes]))
            bytes++;
    }
    typo_target_put(t, k, 0, k->bytes[0] + 1u);
}

#endif
