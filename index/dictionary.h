/* dictionary.h - a segment's terms in blocks of 64, front-coded, rising by key (one byte of kind, then the text).
 *
 * entry: a byte, varints (v) and bytes:
 *
 *   | s << 4 | r | v: shared - 15 if s is 15 | v: rest - 15 if r is 15 | `rest` bytes |
 *   | v: documents << 2 | ELSEWHERE | TERM_IS_WORD |
 *   | v if ELSEWHERE: part and offset of the postings, part and offset of the positions |
 *   | v: length of the postings | v, stems only: length of the positions |
 *
 * `shared` bytes of the key are those of the key before, `rest` follow (at least one). Without ELSEWHERE the lists
 * begin where those of the term before end; the first entry of a block shares nothing and has it.
 *
 * The block index says of each block where it is and how its first key begins, 16 bytes:
 *
 *   | place u64 | first 8 bytes of the key, u64 big-endian, 0 where it is shorter | */
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
    unsigned flags;
    struct list_place postings, positions;
};

struct dictionary_out {
    struct stream_writer stream;
    struct bytes_out block;
    struct stream_writer index;
    uint32_t blocks;
    uint64_t terms;
    size_t key_length;
    char key[MAX_KEY];
    struct dictionary_entry before;
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

/* What an entry says but for its key. */
struct dictionary_step {
    uint32_t shared, rest;
    const uint8_t *bytes; /* the rest of the key */
};

/* The entry at `at`; *entry is the one before and becomes this one. *kind is the first byte of the key before,
 * then of this one. The byte after it, or NULL if it is damaged. */
const uint8_t *dictionary_step(const uint8_t *at, const uint8_t *end, uint8_t *kind, struct dictionary_step *step,
                               struct dictionary_entry *entry);

/* The same, and `key` holds the key before (key_length bytes) and becomes this one's. */
const uint8_t *dictionary_read(const uint8_t *at, const uint8_t *end, char key[MAX_KEY], size_t *key_length,
                               struct dictionary_entry *entry);

#endif
