/* sorted_keys.h - keys of a dictionary that a test makes up. */
#ifndef TESTS_SORTED_KEYS_H
#define TESTS_SORTED_KEYS_H

#include <stddef.h>

#include "common/str.h"
#include "index/format.h"

struct key {
    size_t length;
    char text[MAX_KEY];
};

struct str view(const struct key *k);
int compare_keys(const void *a, const void *b); /* for qsort and bsearch */

/* As a dictionary has them, each once: how many are left. */
size_t sort_keys(struct key *keys, size_t count);

#endif
