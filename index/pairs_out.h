/* pairs_out.h - lists of word pairs (pairs.h), made of a segment's own lists when they are all written, in bounded memory.
 * Runs in: worker. */
#ifndef INDEX_PAIRS_OUT_H
#define INDEX_PAIRS_OUT_H

#include <stddef.h>
#include <stdint.h>

#include "index/column_out.h"
#include "index/dictionary.h"
#include "index/segment.h"

enum {
    PAIRS_DOCUMENTS = 1 << 14, /* in smaller segments phrases are found soon enough */
    PAIRS_SHARE = 200,         /* a word is frequent that one in so many documents has */
};

struct paired_word {
    uint64_t hash; /* of its key */
    struct term term;
};

struct pairs_out {
    uint32_t documents;
    const struct column_out *lengths; /* codes, of all documents */
    uint32_t least; /* documents of a frequent word; 0: no pairs are listed */
    size_t memory;  /* that finding them may take */
    struct paired_word *words;
    size_t count, room;
    bool failed; /* out of memory */
};

/* `lengths` must be there until the end. */
void pairs_out_begin(struct pairs_out *p, const struct column_out *lengths, const struct pairs_options *options);

/* Every stem with what the dictionary says of it. */
void pairs_out_word(struct pairs_out *p, struct str key, const struct dictionary_entry *e);

/* What the TOC says of them. */
struct pairs_written {
    uint32_t least, words, pairs, parts;
};

/* When all lists are written: `segment` reads them. */
int pairs_out_put(struct pairs_out *p, const struct segment *segment, struct store_writer *store,
                  struct pairs_written *out);

void pairs_out_free(struct pairs_out *p); /* accepts a zeroed one */

#endif
