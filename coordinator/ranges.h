/* ranges.h - a set of sequence numbers, as the ranges it is made of. */
#ifndef COORDINATOR_RANGES_H
#define COORDINATOR_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range { /* first <= n < end */
    uint64_t first, end;
};

struct ranges { /* zeroed: empty */
    struct range *at; /* rising, apart from each other */
    size_t count;
};

void ranges_add(struct ranges *r, uint64_t first, uint64_t end);
void ranges_add_all(struct ranges *r, const struct ranges *other);
bool ranges_has(const struct ranges *r, uint64_t n);
void ranges_cut(struct ranges *r, uint64_t below); /* forgets those below */
void ranges_finish(struct ranges *r);

/* The first run of numbers from `first`, below `end`, that is not in the set. False: all are. */
bool ranges_gap(const struct ranges *r, uint64_t first, uint64_t end, struct range *out);

#endif
