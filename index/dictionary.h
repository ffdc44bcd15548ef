/* dictionary.h - a segment's terms in blocks of 64, front-coded, rising by key (one byte of kind, then the text).
 *
 * entry: varints and bytes:
 *   bytes shared with the key before (0 for the first of a block) | bytes that follow | those bytes
 *   documents << 1 | TERM_IS_WORD | postings: part | offset | length
 *   stems only: positions: part | offset | length */
#ifndef INDEX_DICTIONARY_H
#define INDEX_DICTIONARY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/str.h"
#include "index/bytes_out.h"
#include "index/segment_writer.h"
#include "index/stream.h"

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
    struct bytes_out places; /* u64 of each block */
    uint64_t terms;
    size_t key_length;
    char key[MAX_KEY];
    bool failed;
};

int dictionary_out_open(struct dictionary_out *d, struct store_writer *store);
void dictionary_out_close(struct dictionary_out *d); /* accepts a zeroed one */

/* ERR_INVALID unless the key is above the one before and at most MAX_KEY bytes. */
int dictionary_out_add(struct dictionary_out *d, struct str key, const struct dictionary_entry *e);
void dictionary_out_finish(struct dictionary_out *d); /* writes the last block and the block index */

/* The entry at `at`: `key` holds the key before (key_length bytes) and becomes this one's. The byte after it, or NULL if
 * it is damaged. */
const uint8_t *dictionary_read(const uint8_t *at, const uint8_t *end, char key[MAX_KEY], size_t *key_length,
                               struct dictionary_entry *out);

#endif
