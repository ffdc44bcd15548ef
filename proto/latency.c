#include "proto/latency.h"

static size_t bucket_of(uint64_t us)
{
    uint64_t below = us ? us - 1 : 0; /* so that upper ends are inclusive */
    if (below < LATENCY_STEPS)
        return (size_t)below;
    unsigned top = 63 - (unsigned)__builtin_clzll(below), shift = top - 3;
    size_t bucket = (size_t)(shift + 1) * LATENCY_STEPS + (size_t)(below >> shift) % LATENCY_STEPS;
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

void latency_add(struct latency *l, uint64_t us)
{
    l->counts[bucket_of(us)]++;
    l->sum_us += us;
}

size_t latency_length(const struct latency *l)
{
    size_t length = LATENCY_BUCKETS;
    while (length > 0 && l->counts[length - 1] == 0)
        length--;
    return length;
}

uint64_t latency_bound(size_t bucket)
{
    if (bucket < LATENCY_STEPS)
        return bucket + 1;
    return (uint64_t)(LATENCY_STEPS + bucket % LATENCY_STEPS + 1) << (bucket / LATENCY_STEPS - 1);
}

static uint64_t between(struct latency_counts now, struct latency_counts before, size_t bucket)
{
    uint64_t then = bucket < before.length ? before.counts[bucket] : 0;
    return now.counts[bucket] > then ? now.counts[bucket] - then : 0;
}

uint64_t latency_total(struct latency_counts now, struct latency_counts before)
{
    uint64_t total = 0;
    for (size_t i = 0; i < now.length; i++)
        total += between(now, before, i);
    return total;
}

uint64_t latency_quantile(struct latency_counts now, struct latency_counts before, unsigned thousandths)
{
    uint64_t total = latency_total(now, before), wanted = (total * thousandths + 999) / 1000, seen = 0;
    for (size_t i = 0; i < now.length && total; i++) {
        seen += between(now, before, i);
        if (seen >= wanted)
            return latency_bound(i);
    }
    return 0;
}
