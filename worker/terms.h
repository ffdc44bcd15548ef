/* terms.h - the distinct words of a job, each with its stem and its postings.
 *
 * A record plays two parts: as a folded word it points to the record of its stem and, where that is another, lists the
 * documents it stands in; as a stem it has every occurrence of the words it is the stem of. */
#ifndef WORKER_TERMS_H
#define WORKER_TERMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bytes.h"
#include "common/str.h"
#include "index/analyzer.h"
#include "worker/slices.h"

enum {
    TERM_SEEN = 1, /* as a folded word: `stem` and TERM_STOP are known */
    TERM_STOP = 2,
};

struct term_record {
    struct term_record *stem;
    struct list occurrences; /* of a stem, as add_occurrence writes them */
    struct list documents;   /* of a word that differs from its stem: each number + 1, less the one before */
    uint32_t document;       /* + 1, of the last occurrence; 0: none */
    uint32_t at;             /* of the last occurrence */
    uint32_t listed;         /* + 1, the last one in `documents` */
    uint16_t field;          /* of the last occurrence */
    uint16_t length;
    uint8_t flags;
    char text[];
};

struct term_slot {
    uint64_t hash;
    struct term_record *record; /* NULL: free */
};

struct terms {
    struct analyzer *analyzer;
    struct slices slices;
    struct term_slot *table;
    size_t mask;
    size_t count;
};

void terms_init(struct terms *t, struct analyzer *analyzer);

/* Behind a word that is hashed or looked up so many bytes may be read, whatever they are. */
enum { TERM_SLACK = 8 };

/* What is left of a word, up to eight bytes, and zeros behind it. */
static inline uint64_t term_tail(const char *at, size_t left)
{
    return left ? load_u64(at) << (64 - 8 * left) >> (64 - 8 * left) : 0;
}

static inline uint64_t term_mix(uint64_t h, uint64_t word)
{
    h = (h ^ word) * 0xff51afd7ed558ccdu;
    return h ^ h >> 32;
}

static inline uint64_t terms_hash(struct str word)
{
    uint64_t h = 0x9e3779b97f4a7c15u ^ word.len;
    const char *at = word.ptr;
    size_t left = word.len;
    for (; left > 8; at += 8, left -= 8)
        h = term_mix(h, load_u64(at));
    return term_mix(term_mix(h, term_tail(at, left)), word.len);
}

/* The record of a folded word with stem and flags filled in, new or known. */
struct term_record *terms_word(struct terms *t, struct str word, uint64_t hash);

static inline struct term_slot *terms_slot(const struct terms *t, uint64_t hash)
{
    return &t->table[hash & t->mask];
}

/* One occurrence of the stem `r`: positions of a document rise, documents rise. */
void terms_add_occurrence(struct terms *t, struct term_record *r, uint32_t document, uint32_t at, uint32_t field);
void terms_add_document(struct terms *t, struct term_record *r, uint32_t document);

/* Reads back what the two wrote. False at the end. */
struct occurrence {
    uint32_t document, at, field;
    bool first; /* in its document */
};
bool terms_next_occurrence(struct list_reader *r, struct occurrence *o); /* *o: zeroed before, then the one before */
bool terms_next_document(struct list_reader *r, uint32_t *document);     /* *document: UINT32_MAX before */

/* All records by rising text, in memory by malloc. */
struct term_record **terms_sorted(struct terms *t);

/* Bytes that the next doubling of the table takes, if it is near. */
size_t terms_growth(const struct terms *t);

#endif
