/* shaped_lists.h - a segment with a list of every shape that postings may have, and beside it what was written, as plain
 * arrays: for tests of the blocks of lists. */
#ifndef TESTS_SHAPED_LISTS_H
#define TESTS_SHAPED_LISTS_H

#include <stddef.h>
#include <stdint.h>

#include "index/postings.h"

enum { DOCUMENTS = 70000, HUGE_N = 30000 /* no document has more positions */, SHAPES = 20 };

/* What was written, as plain arrays. */
struct shaped_list {
    uint32_t count;
    uint32_t *documents, *t;
    size_t *first; /* of its positions; of the end, too */
    uint32_t *positions;
};

struct bench {
    char directory[40], path[64];
    struct segment *segment;
    struct shaped_list lists[SHAPES]; /* each is there as a stem, 's', and without positions as a word, 'w' */
};

/* For cmocka's groups. */
int bench_open(void **state);
int bench_close(void **state);

uint8_t bench_length_code(uint32_t document);
struct str bench_key(char kind, size_t shape, char room[16]);
struct term bench_find(const struct bench *b, char kind, size_t shape);
struct posting_list bench_list(const struct bench *b, char kind, size_t shape, const struct kernels *kernels);

#endif
