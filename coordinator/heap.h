/* heap.h - the coordinator's malloc is libc's, kept flat: large blocks come from mmap and go back when they are freed,
 * and what is free in the heap goes back within a second. By itself it would keep most of it for ever. */
#ifndef COORDINATOR_HEAP_H
#define COORDINATOR_HEAP_H

#include <stddef.h>

#include "proto/memory_figures.h"

void heap_setup(void); /* before any thread */

struct heap_mark { /* zeroed: nothing was given back yet */
    size_t free, taken;
};
void heap_give_back(struct heap_mark *last); /* once a second */

/* A large buffer holds nothing at the moment: of its pages only the first few stay. */
void heap_untouch(char *buffer, size_t size);

void heap_read(struct heap_figures *out); /* allocated, size, page_free */

#endif
