/* corpus.h - the live documents of the exhaustive reference: every word of each in plain arrays, no index at all. */
#ifndef REFERENCE_CORPUS_H
#define REFERENCE_CORPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/json.h"
#include "common/str.h"
#include "index/analyzer.h"
#include "proto/settings.h"

/* Strings by number, in the order in which they came. */
struct names {
    struct str *list;
    size_t count, room;
    uint32_t *table; /* number + 1; 0: free */
    size_t table_size;
};

struct occurrence {
    uint32_t stem, word; /* numbers in corpus.words */
    uint32_t field;      /* number in corpus.fields */
    uint32_t at;
};

struct document {
    struct str id;
    uint64_t stamp;
    bool live;
    uint8_t length_code;
    struct occurrence *occurrences;
    size_t count;
};

struct corpus {
    struct arena *arena;
    struct analyzer *analyzer;
    struct settings settings;
    struct str primary_key;
    struct names words, fields, ids;
    struct document *documents; /* by the number of their id; the last operation tells */
    size_t document_room;

    /* After corpus_count, of live documents. */
    uint64_t live, total_length;
    uint64_t *stem_frequency; /* per number of a word: documents that have it as a stem */
    uint64_t *word_frequency; /* documents that have it as a folded word of another stem */
};

void *corpus_alloc(struct corpus *c, size_t count, size_t size); /* ends the program when there is no memory */
void corpus_operation(struct corpus *c, struct str line, uint64_t stamp);
void corpus_count(struct corpus *c);

uint32_t names_number(struct corpus *c, struct names *n, struct str name);
bool names_find(const struct names *n, struct str name, uint32_t *out);

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
