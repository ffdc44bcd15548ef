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
    struct bytes_out texts, entries, block; /* of the open block; `block` joins them */
    uint8_t heads[TERMS_PER_BLOCK], sizes[TERMS_PER_BLOCK];
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

/* A block being read, term by term. */
struct dictionary_block {
    const uint8_t *heads, *text, *text_end; /* text: of the next term; text_end: of all */
    const uint8_t *sizes, *entries, *end;
    uint32_t terms, at;       /* in the block; before the next one */
    uint32_t entry, entry_at; /* where the entry of a term is that dictionary_read has read */
    uint8_t kind;
};

/* False if it is damaged. */
bool dictionary_block_open(struct dictionary_block *b, const uint8_t *at, const uint8_t *end);

struct dictionary_text {
    uint32_t shared, rest;
    const uint8_t *bytes; /* the rest of the key */
};

/* Lengths of 15 and more. */
bool dictionary_long_text(struct dictionary_block *b, struct dictionary_text *t);

/* The next of its terms (b->at < b->terms), or false if it is damaged. */
static inline bool dictionary_text(struct dictionary_block *b, struct dictionary_text *t)
{
    uint8_t head = b->heads[b->at];
    t->shared = head >> 4;
    t->rest = head & 15;
    t->bytes = b->text;
    if ((t->shared == 15 || t->rest == 15) && !dictionary_long_text(b, t))
        return false;
    if (t->rest == 0 || t->rest > (size_t)(b->text_end - t->bytes) || (t->shared == 0) != (b->at == 0))
        return false;
    b->text = t->bytes + t->rest;
    b->at++;
    return true;
}

/* Past terms that share more than `shared` bytes with the one before, and those that share as many and go on with a
 * byte below `next`. It may stop earlier, at a term that dictionary_text must look at. Eight heads at a time: those
 * that are not simply passed have a bit in `stops`; byte i of `sums` is the size of the texts up to the i-th. Behind the
 * heads of a block more than eight bytes follow. */
static inline void dictionary_skip(struct dictionary_block *b, uint32_t shared, uint32_t next)
{
    const uint64_t ones = 0x0101010101010101u, nibbles = 15 * ones, high = 128 * ones;
    const uint64_t least = ones * (1 + (shared < 15 ? shared : 15u));
    const size_t room = (size_t)(b->text_end - b->text);
    size_t before = 0;
    for (uint32_t at = b->at; at < b->terms; at += 8) {
        uint64_t heads = load_u64(b->heads + at), begins = heads >> 4 & nibbles, rests = heads & nibbles;
        uint64_t is_long = ((begins + ones) | (rests + ones)) & 16 * ones;
        uint64_t stops = (~((begins | high) - least) & high) | is_long << 3;
        uint64_t sums = rests * ones;
        if (b->terms - at < 8)
            stops |= high << 8 * (b->terms - at);
        for (; stops; stops &= stops - 1) {
            uint32_t bit = (uint32_t)__builtin_ctzll(stops) & 56, i = at + bit / 8;
            size_t bytes = before + (sums << 8 >> bit & 255);
            bool is_passed = i < b->terms && !(is_long >> bit & 16) && (heads >> bit >> 4 & 15) == shared &&
                             bytes < room && b->text[bytes] < next;
            if (is_passed)
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

/* The next term with all its bytes, for those that read all: `key` holds the key before (key_length bytes) and becomes this one's. */
bool dictionary_read(struct dictionary_block *b, char key[MAX_KEY], size_t *key_length, struct dictionary_entry *out);

#endif
