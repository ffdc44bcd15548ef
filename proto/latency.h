/* latency.h - how long searches took, as counts: fixed memory, any quantile within an eighth.
 *
 *   microseconds   1 2 3 ... 8 | 9 ... 16 | 18 20 ... 32 | 36 40 ... 64 | ...  2^32
 *   bucket         0 1 2 ... 7 | 8 ... 15 | 16  ...   23 | 24  ...   31 |      upper ends, inclusive
 *
 * Eight buckets to each doubling. The coordinator counts; clients subtract two readings for what happened between. */
#ifndef PROTO_LATENCY_H
#define PROTO_LATENCY_H

#include <stddef.h>
#include <stdint.h>

enum { LATENCY_STEPS = 8, LATENCY_BUCKETS = 30 * LATENCY_STEPS };

struct latency {
    uint64_t counts[LATENCY_BUCKETS];
    uint64_t sum_us;
};

void latency_add(struct latency *l, uint64_t us);

/* Buckets up to the last that counted something. */
size_t latency_length(const struct latency *l);

/* The largest time that a bucket counts. */
uint64_t latency_bound(size_t bucket);

/* What is as long as so many thousandths of all, or longer; 0 if there is nothing. `before` may be NULL or shorter. */
struct latency_counts {
    const uint64_t *counts;
    size_t length;
};
uint64_t latency_quantile(struct latency_counts now, struct latency_counts before, unsigned thousandths);
uint64_t latency_total(struct latency_counts now, struct latency_counts before);

#endif
