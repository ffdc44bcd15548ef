/* query_corpus.h - random documents in real segments, and beside them as plain lists, for tests of queries. */
#ifndef TESTS_QUERY_CORPUS_H
#define TESTS_QUERY_CORPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/str.h"
#include "index/snapshot.h"

enum { CORPUS_WORDS = 40, CORPUS_MAX_DOCUMENTS = 3000, CORPUS_MAX_TOKENS = 60, CORPUS_FIELDS = 2 };

extern const char *const corpus_fields[CORPUS_FIELDS];
extern const uint32_t corpus_weights[CORPUS_FIELDS];

struct corpus_token {
    const char *folded;
    char stem[16];
    uint32_t field;
    uint32_t at;
};

struct corpus_document {
    uint64_t stamp;
    bool deleted;
    uint32_t segment, number; /* where it stands */
    uint8_t length_code;
    size_t token_count;
    struct corpus_token tokens[CORPUS_MAX_TOKENS];
};

struct corpus {
    char directory[64];
    uint64_t random;
    size_t document_count;
    struct corpus_document *documents;
    struct snapshot *snapshot;
};

uint32_t corpus_random(struct corpus *c, uint32_t below);
const char *corpus_word(struct corpus *c); /* frequent ones more often */

/* Documents dealt out at random over `segments` files, in which every `deleted_one_in`-th is deleted (0: none). */
void corpus_make(struct corpus *c, uint64_t seed, size_t documents, size_t segments, uint32_t deleted_one_in);
void corpus_remove(struct corpus *c);

#endif
