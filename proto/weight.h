/* weight.h - the two numbers of the score that depend on the whole index; index/score.h has the part per posting.
 *
 * BM25F with one saturation (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009):
 *
 *   S = sum over the query's terms of  qtf * idf(df) * T (k1 + 1) / (T + k1 (1 - b + b L / avgL))
 *   idf(df) = ln(1 + (N - df + 0.5) / (df + 0.5)),   k1 = 1.2,  b = 0.75
 *
 * T = sum over fields of weight * occurrences, L = sum over fields of weight * length, through its one-byte code. */
#ifndef PROTO_WEIGHT_H
#define PROTO_WEIGHT_H

#include <stdbool.h>
#include <stdint.h>

/* W = round(qtf * idf * (k1 + 1) * 65536), computed in double, at most 2^31 - 1. df is at most `documents`. */
uint32_t weight_of_term(uint32_t qtf, uint64_t df, uint64_t documents);

/* K(L) = (float)(k1 * (1 - b) + (k1 * b / avgL) * L) for each length code, the inside in double; avgL = total / documents,
 * at least 1. `lengths` decodes the codes. */
void weight_norms(float out[256], const uint32_t lengths[256], uint64_t documents, uint64_t total_length);

/* Those that were wanted last: many queries see the same collection. All zero at first. */
struct kept_norms {
    bool known;
    uint64_t documents, total_length;
    float norms[256];
};
const float *weight_norms_kept(struct kept_norms *k, const uint32_t lengths[256], uint64_t documents,
                               uint64_t total_length);

#endif
