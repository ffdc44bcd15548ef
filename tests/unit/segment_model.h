/* segment_model.h - a segment whose every byte is given by a formula, to be compared with what is read from it. */
#ifndef TESTS_SEGMENT_MODEL_H
#define TESTS_SEGMENT_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "common/str.h"
#include "index/segment.h"

enum { TERMS = 300, MAX_POSITIONS = 6 };

struct model {
    char directory[32], path[64];
    uint32_t documents;
};

struct model model_make(uint32_t documents, size_t transaction);
void model_discard(struct model *m);

/* Whether a term is in a document, and how: the same answer each time. */
size_t model_occurrences(uint32_t term, uint32_t document, uint32_t out[MAX_POSITIONS]);
uint32_t model_t(uint32_t count, uint32_t document);
size_t model_key(uint32_t term, char key[16]);
struct str model_body(uint32_t document, char *room); /* of 100,000 bytes */
size_t model_ranges(uint32_t document, struct field_range out[4]);

#endif
