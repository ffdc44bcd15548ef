/* block_corpus.h - documents by the ten thousand in real segments, whose words are given by a formula: lists of many
 * blocks, for tests of what passes over blocks. query_corpus.h has small ones that are looked at token by token. */
#ifndef TESTS_BLOCK_CORPUS_H
#define TESTS_BLOCK_CORPUS_H

#include <stdbool.h>
#include <stdint.h>

#include "index/snapshot.h"

struct block_corpus {
    bool is_even;            /* every T is 1 and all are equally long: ties by the thousand */
    uint32_t deleted_one_in; /* 0: none, 2: every other document */
    char directory[64];
};

/* Three segments, whose stamps are interleaved. The words, from the most frequent to the one that one document has:
 *
 *   most thick many spike half wide pane some peak pale few crane crate park rare path scarce sole
 *
 * "early" and "earn" are in the first quarter of each segment, "late" in the last. Half of the documents that have both
 * of these have them side by side: "many most", "some half", "few thick", "rare wide", "scarce early", "late pale",
 * "pane park"; the others, for example, "most some". */
void block_corpus_make(struct block_corpus *c);
struct snapshot *block_corpus_open(const struct block_corpus *c);
void block_corpus_remove(struct block_corpus *c);

#endif
