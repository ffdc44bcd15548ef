/* terms_sort.h - term records by rising text, in place: two bytes by distribution, then quicksort by eight bytes at a time. */
#ifndef WORKER_TERMS_SORT_H
#define WORKER_TERMS_SORT_H

#include <stddef.h>
#include <stdint.h>

struct term_record;

struct term_key {
    struct term_record *record;
    uint64_t part; /* eight bytes of its text, the first one highest; used by the sort */
};

void terms_sort(struct term_key *keys, size_t count);

#endif
