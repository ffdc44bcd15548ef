#include "sorted_keys.h"

#include <stdlib.h>

struct str view(const struct key *k)
{
    return (struct str){k->text, k->length};
}

int compare_keys(const void *a, const void *b)
{
    return str_compare(view(a), view(b));
}

size_t sort_keys(struct key *keys, size_t count)
{
    size_t left = 0;
    qsort(keys, count, sizeof *keys, compare_keys);
    for (size_t i = 0; i < count; i++)
        if (left == 0 || compare_keys(&keys[left - 1], &keys[i]) != 0)
            keys[left++] = keys[i];
    return left;
}
