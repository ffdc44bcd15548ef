#include "proto/weight.h"

#include <math.h>

static const double k1 = 1.2, b = 0.75;

uint32_t weight_of_term(uint32_t qtf, uint64_t df, uint64_t documents)
{
    double n = (double)documents, f = (double)df;
    double idf = log(1.0 + (n - f + 0.5) / (f + 0.5));
    double weight = round((double)qtf * idf * (k1 + 1.0) * 65536.0);
    return weight < 2147483647.0 ? (uint32_t)weight : 2147483647u;
}

void weight_norms(float out[256], const uint32_t lengths[256], uint64_t documents, uint64_t total_length)
{
    double average = documents ? (double)total_length / (double)documents : 1.0;
    double base = k1 * (1.0 - b), per_length = k1 * b / (average < 1.0 ? 1.0 : average);
    for (int code = 0; code < 256; code++)
        out[code] = (float)(base + per_length * (double)lengths[code]);
}

const float *weight_norms_kept(struct kept_norms *k, const uint32_t lengths[256], uint64_t documents,
                               uint64_t total_length)
{
    if (!k->known || k->documents != documents || k->total_length != total_length) {
        weight_norms(k->norms, lengths, documents, total_length);
        k->known = true;
        k->documents = documents;
        k->total_length = total_length;
    }
    return k->norms;
}
