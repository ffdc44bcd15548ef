/* sort.h - sorting in place, in n log n steps whatever the input: glibc's qsort mallocs a copy of the array, for which
 * a worker has no room. */
#ifndef INDEX_SORT_H
#define INDEX_SORT_H

#include <stddef.h>

enum { SORT_MAX_SIZE = 128 }; /* of an element */

void sort_in_place(void *base, size_t count, size_t size, int (*compare)(const void *a, const void *b));

#endif
