/* memory.h - the heap of a long-lived process: bounded, counted, and what is free in it given back to the kernel, which
 * tcmalloc does not do by itself while a process idles. */
#ifndef SHARD_MEMORY_H
#define SHARD_MEMORY_H

#include <stdint.h>

#include "proto/memory_figures.h"

/* From `heap_most` bytes on, malloc fails. */
void memory_setup(uint64_t heap_most);

/* Once a second: what is free beyond a little goes, and `out` is filled. */
void memory_release_excess(struct heap_figures *out);

#endif
