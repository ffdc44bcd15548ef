/* malloc.h - the worker's malloc as its own code sees it: what is used, and the cap of a job.
 *
 * malloc.c takes the place of libc's for everything in the process, LMDB and ICU included. A build without allocators
 * (sanitizers) has malloc_libc.c instead: no cap, and nothing known of what is used. */
#ifndef WORKER_MALLOC_H
#define WORKER_MALLOC_H

#include <stddef.h>

#include "proto/last_words.h"

struct heap_use {
    size_t used;   /* bytes in blocks that are not freed */
    size_t extent; /* bytes that count against the cap: blocks, holes between them, and what was charged */
    size_t cap;    /* 0: none */
};

struct heap_use heap_use(void);

/* In a worker, just forked: from now on the process may take `cap` bytes of what RLIMIT_DATA counts, and reports to
 * `words`. At the cap malloc does not return: last words, _exit(EXIT_STATUS_CAP). */
void heap_begin(struct last_words *words, size_t cap);

/* Bytes that the process has besides malloc's, in arenas of its own: they leave so much less for malloc. */
void heap_charge(size_t bytes);

#endif
