/* dictionary.h - a segment's terms in blocks of up to 64, front-coded, rising by key (one byte of kind, then the text);
 * format.h draws their bytes.
 *
 * What terms are called stands in front of what they stand for, so that a scan reads nothing else, and lengths in front of
 * letters and sizes in front of entries, so that any term is reached without reading those before it. */
#ifndef INDEX_DICTIONARY_H
#define INDEX_DICTIONARY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/str.h"
#include "index/bytes_out.h"
#include "index/segment_writer.h"
#include "index/stream.h"

enum { DICTIONARY_INDEX = 16 /* bytes of an entry of the block index */ };

struct list_place {
    uint64_t place;
    uint32_t length;
};

struct dictionary_entry {
    uint32_t documents;
    struct list_place postings, positions;
    struct str inlined; /* the list itself, in place of the two; empty: none */
};

struct dictionary_out {
    struct stream_writer stream;
    struct bytes_out texts, longs, entries, block; /* of the open block; `block` joins them */
    uint8_t heads[TERMS_PER_BLOCK], lasts[TERMS_PER_BLOCK], sizes[TERMS_PER_BLOCK];
    uint32_t block_terms;
    uint64_t postings, positions; /* places of the open block */
    bool has_places;
    struct stream_writer index;
    uint32_t blocks;
    uint64_t terms;
    size_t key_length;
    char key[MAX_KEY];
    uint64_t prefix; /* of the block's first key */
    bool failed;
};

int dictionary_out_open(struct dictionary_out *d, struct store_writer *store);
void dictionary_out_close(struct dictionary_out *d); /* accepts a zeroed one */

/* ERR_INVALID unless the key is above the one before and at most MAX_KEY bytes. */
int dictionary_out_add(struct dictionary_out *d, struct str key, const struct dictionary_entry *e);
void dictionary_out_finish(struct dictionary_out *d); /* writes the last block and the block index */

static inline uint64_t dictionary_prefix(struct str key)
{
    char bytes[8] = {0};
    if (key.len)
        memcpy(bytes, key.ptr, key.len < 8 ? key.len : 8);
    return load_be64(bytes);
}

/* A block being read, term by term, or any of its terms by number. */
struct dictionary_block {
    const uint8_t *heads, *lasts, *texts, *longs, *text_end; /* texts: short ones up to `longs`, long ones up to text_end */
    const uint8_t *text, *next_long;                         /* of those that are next */
    const uint8_t *sizes, *entries, *end;
    uint32_t terms, at;       /* in the block; before the next one */
    uint32_t entry, entry_at; /* where the entry is that was read in passing */
    uint8_t kind;
};

/* False if it is damaged. */
bool dictionary_block_open(struct dictionary_block *b, const uint8_t *at, const uint8_t *end);

/* The rest of a key, `rest` bytes in all. What is at `bytes` may be read up to DICTIONARY_OVERREAD bytes. */
struct dictionary_text {
    uint32_t shared, rest;
    const uint8_t *bytes; /* all but the last */
    uint8_t last;
};

enum { DICTIONARY_OVERREAD = 16, DICTIONARY_KEY = MAX_KEY + DICTIONARY_OVERREAD };

/* Whether a length of its key is 15 or more, which its text says. */
static inline bool dictionary_is_long(uint8_t head)
{
    return head >= 0xf0 || (head & 15) == 15;
}

/* The text of a term, long or not, that begins at `at`; false if it is damaged. */
bool dictionary_longer_text(const struct dictionary_block *b, uint32_t term, const uint8_t *at, struct dictionary_text *t);
static inline bool dictionary_long_text(const struct dictionary_block *b, uint32_t term, const uint8_t *at,
                                        struct dictionary_text *t)
{
    uint8_t head = b->heads[term];
    if (head >= 0xf0 || at >= b->text_end || *at >= 0x80)
        return dictionary_longer_text(b, term, at, t);
    *t = (struct dictionary_text){.shared = head >> 4, .rest = 15u + *at, .bytes = at + 1, .last = b->lasts[term]};
    return t->rest - 1 <= (size_t)(b->text_end - t->bytes) && (t->shared == 0) == (term == 0);
}

static inline bool dictionary_short_text(const struct dictionary_block *b, uint32_t term, const uint8_t *at,
                                         struct dictionary_text *t)
{
    uint8_t head = b->heads[term];
    *t = (struct dictionary_text){.shared = head >> 4, .rest = head & 15u, .bytes = at, .last = b->lasts[term]};
    return t->rest > 0 && t->rest - 1 <= (size_t)(b->longs - at) && (t->shared == 0) == (term == 0);
}

/* The next of its terms (b->at < b->terms), or false if it is damaged. */
static inline bool dictionary_text(struct dictionary_block *b, struct dictionary_text *t)
{
    if (dictionary_is_long(b->heads[b->at])) {
        if (!dictionary_long_text(b, b->at, b->next_long, t))
            return false;
        b->next_long = t->bytes + t->rest - 1;
    } else {
        if (!dictionary_short_text(b, b->at, b->text, t))
            return false;
        b->text += t->rest - 1;
    }
    b->at++;
    return true;
}

static inline uint8_t dictionary_first(const struct dictionary_text *t)
{
    return t->rest > 1 ? t->bytes[0] : t->last;
}

/* Into a key of DICTIONARY_KEY bytes, behind those that it shares. */
static inline void dictionary_copy(uint8_t *to, const struct dictionary_text *t)
{
    if (t->rest <= DICTIONARY_OVERREAD)
        memcpy(to, t->bytes, DICTIONARY_OVERREAD);
    else
        memcpy(to, t->bytes, t->rest - 1);
    to[t->rest - 1] = t->last;
}

/* Past terms that share more than `shared` bytes with the one before, and those that share as many and go on with a
 * byte below `next`. It may stop earlier, at a term that dictionary_text must look at. Eight heads at a time: those
 * that are not simply passed have a bit in `stops`; byte i of `sums` is the size of the texts up to the i-th. Behind the
 * heads of a block more than eight bytes follow, and behind its texts a byte. */
static inline void dictionary_skip(struct dictionary_block *b, uint32_t shared, uint32_t next)
{
    const uint64_t ones = 0x0101010101010101u, nibbles = 15 * ones, high = 128 * ones;
    const uint64_t least = ones * (1 + (shared < 15 ? shared : 15u));
    const size_t room = (size_t)(b->longs - b->text);
    size_t before = 0;
    for (uint32_t at = b->at; at < b->terms; at += 8) {
        uint64_t heads = load_u64(b->heads + at), begins = heads >> 4 & nibbles, rests = heads & nibbles;
        uint64_t is_long = ((begins + ones) | (rests + ones)) & 16 * ones;
        uint64_t stops = (~((begins | high) - least) & high) | is_long << 3;
        uint64_t sums = (rests - ones) * ones;
        if (b->terms - at < 8)
            stops |= high << 8 * (b->terms - at);
        for (; stops; stops &= stops - 1) {
            uint32_t bit = (uint32_t)__builtin_ctzll(stops) & 56, i = at + bit / 8;
            size_t bytes = before + (sums << 8 >> bit & 255);
            bool may_pass = i < b->terms && !(is_long >> bit & 16) && (heads >> bit >> 4 & 15) == shared && bytes <= room;
            if (may_pass && ((heads >> bit & 15) == 1 ? b->lasts[i] : b->text[bytes]) < next)
                continue;
            if (bytes <= room) { /* else damaged, as dictionary_text will find */
                b->text += bytes;
                b->at = i;
            }
            return;
        }
        before += sums >> 56;
    }
    if (before <= room) {
        b->text += before;
        b->at = b->terms;
    }
}

/* The entry of a term by its number, wherever the block stands. */
bool dictionary_entry(const struct dictionary_block *b, uint32_t term, struct dictionary_entry *out);

/* The same of the term that dictionary_text has given last, for who goes forwards only. */
bool dictionary_entry_of_last(struct dictionary_block *b, struct dictionary_entry *out);

/* The next term with all its bytes, for those that read all: `key` holds the key before (key_length bytes) and becomes this one's. */
bool dictionary_read(struct dictionary_block *b, char key[DICTIONARY_KEY], size_t *key_length, struct dictionary_entry *out);

#endif
