/* searches.h - what a search process allocates: scratch that is freed at once, and a cache whose entries live long. */
#ifndef BENCH_LAB_SEARCHES_H
#define BENCH_LAB_SEARCHES_H

#include <stddef.h>
#include <stdint.h>

struct cached;

struct searches {
    struct cached *entries;
    size_t count;
    size_t live; /* bytes that were asked for and not freed */
    uint64_t random, done;
};

void searches_open(struct searches *s, size_t entries); /* filled */
void searches_close(struct searches *s);

/* `count` of them; each replaces one entry. */
void searches_run(struct searches *s, size_t count);

/* 250 a second for so long. */
void searches_light(struct searches *s, uint64_t milliseconds);

uint64_t random_below(uint64_t *state, uint64_t limit);

#endif
