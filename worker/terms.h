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
    TERM_SEEN = 1, /* as a folded word */
    TERM_STOP = 2,
};

/* Behind a word that is hashed or looked up so many bytes may be read, whatever they are. */
enum { TERM_SLACK = 8 };

/* What is looked at for a word that is its own stem, as most are, lies together: from `occurrences` to the text. */
struct term_record {
    struct list documents;   /* of a word that differs from its stem: each number + 1, less the one before */
    struct list occurrences; /* of a stem, as add_occurrence writes them */
    uint32_t document;       /* + 1, of the last occurrence; 0: none */
    uint32_t at;             /* of the last occurrence */
    uint32_t listed;         /* + 1, the last one in `documents` */
    uint16_t field;          /* of the last occurrence */
    uint16_t length;
    struct term_record *stem; /* NULL until terms_settle */
    uint8_t flags;
    char text[];
};

enum { TERMS_NEW = 128, TERMS_STEMS = 4 << 10 };

/* A new word on its way to the record of its stem. */
struct new_word {
    struct term_record *record;
    uint64_t hash;           /* of the stem */
    uint16_t offset, length; /* of the stem in `stems`; length 0: the word is its own */
};

struct terms {
    struct analyzer *analyzer;
    struct slices slices;
    uint64_t *table; /* slots: a record's address, which has 48 bits, below 16 bits of its hash; 0: free */
    size_t mask;
    size_t count;
    size_t new_count; /* words that have no stem yet */
    struct new_word new_words[TERMS_NEW];
    char stems[TERMS_STEMS + ANALYZER_MAX_WORD + TERM_SLACK];
};

void terms_init(struct terms *t, struct analyzer *analyzer);

/* What is left of a word, up to eight bytes, and zeros behind it. */
static inline uint64_t term_tail(const char *at, size_t left)
{
    return left ? load_u64(at) << (64 - 8 * left) >> (64 - 8 * left) : 0;
}

/* Of nearly all words two halves are all: without a branch, as nobody could foresee which of them have a second one. */
enum { TERM_HALVES = 16 };
struct term_halves {
    uint64_t first, second;
};

/* Of 1 to TERM_HALVES bytes. */
static inline struct term_halves term_halves(const char *at, size_t length)
{
    size_t more = length > 8 ? length - 8 : 0, first = length - more;
    uint64_t mask = more ? UINT64_MAX >> (64 - 8 * more) : 0;
    return (struct term_halves){term_tail(at, first), load_u64(at + (more ? 8 : 0)) & mask};
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
    for (; left > TERM_HALVES; at += 8, left -= 8)
        h = term_mix(h, load_u64(at));
    if (left == 0)
        return h;
    struct term_halves rest = term_halves(at, left);
    return term_mix(term_mix(h, rest.first), rest.second);
}

static inline bool term_is(const struct term_record *r, struct str word)
{
    if (r->length != word.len)
        return false;
    if (word.len > TERM_HALVES || word.len == 0)
        return memcmp(r->text, word.ptr, word.len) == 0;
    struct term_halves a = term_halves(r->text, word.len), b = term_halves(word.ptr, word.len);
    return ((a.first ^ b.first) | (a.second ^ b.second)) == 0;
}

/* The record of a folded word, new or known. Of new ones stem and flags are there after terms_settle: stems lie
 * elsewhere in memory than words, and so all that a batch needs are asked for before the first is used. */
struct term_record *terms_word(struct terms *t, struct str word, uint64_t hash);
void terms_settle(struct terms *t);

enum { TERM_TAG_SHIFT = 48 };

static inline const uint64_t *terms_slot(const struct terms *t, uint64_t hash)
{
    return &t->table[hash & t->mask];
}

/* NULL if the slot is free. */
static inline struct term_record *terms_record(uint64_t slot)
{
    return (struct term_record *)(uintptr_t)(slot << 16 >> 16);
}

/* What is found under so much of a hash as the table has: it is asked for before terms_word needs it. NULL: nothing. */
static inline struct term_record *terms_guess(const struct terms *t, uint64_t hash)
{
    size_t at = hash & t->mask;
    while (t->table[at] && (t->table[at] ^ hash) >> TERM_TAG_SHIFT)
        at = (at + 1) & t->mask;
    return terms_record(t->table[at]);
}

/* One occurrence of the stem `r`: positions of a document rise, documents rise. As it is written:
 *
 *   varint  step << 2 | other field << 1 | other document
 *   [varint document + 1, less that of the one before]  [varint field]
 *
 * where step is the position, less that of the one before in the same document. */
static inline void terms_add_occurrence(struct terms *t, struct term_record *r, uint32_t document, uint32_t at,
                                        uint32_t field)
{
    bool other_document = r->document != document + 1, other_field = r->field != field;
    uint32_t step = other_document ? at : at - r->at, gap = document + 1 - r->document;
    uint64_t head = (uint64_t)step << 2 | (uint64_t)other_field << 1 | other_document;
    r->document = document + 1;
    r->at = at;
    if (!other_field && list_put_both(&r->occurrences, head, gap, other_document))
        return;
    list_put(&t->slices, &r->occurrences, head);
    if (other_document)
        list_put(&t->slices, &r->occurrences, gap);
    if (other_field)
        list_put(&t->slices, &r->occurrences, field);
    r->field = (uint16_t)field;
}

/* One document of the word `r`, `gap` behind the one before. */
static inline void terms_add_document(struct terms *t, struct term_record *r, uint32_t gap)
{
    list_put(&t->slices, &r->documents, gap);
}

/* Reads back what the two wrote. False at the end. */
struct occurrence {
    uint32_t document, at, field;
    bool first; /* in its document */
};

/* *o: document UINT32_MAX and zeros before, since stored numbers are one higher; then the one before. */
static inline bool terms_next_occurrence(struct list_reader *r, struct occurrence *o)
{
    if (!list_has_more(r))
        return false;
    uint64_t head = list_get(r);
    o->first = head & 1;
    if (o->first) {
        o->document += (uint32_t)list_get(r);
        o->at = 0;
    }
    o->at += (uint32_t)(head >> 2);
    if (head & 2)
        o->field = (uint32_t)list_get(r);
    return true;
}

/* *document: UINT32_MAX before. */
static inline bool terms_next_document(struct list_reader *r, uint32_t *document)
{
    if (!list_has_more(r))
        return false;
    *document += (uint32_t)list_get(r);
    return true;
}

/* All records by rising text, in memory by malloc. */
struct term_record **terms_sorted(struct terms *t);

/* Bytes that the next doubling of the table takes, if it is near. */
size_t terms_growth(const struct terms *t);

#endif
