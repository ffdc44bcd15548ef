/* space.h - where the memory of an indexing burst comes from, and what is done with it when the burst is over: the one
 * thing in which the disciplines of the lab differ. */
#ifndef BENCH_LAB_SPACE_H
#define BENCH_LAB_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"

enum lifetime { OF_DOCUMENT, OF_BATCH, LIFETIMES };

struct discipline {
    const char *name;
    unsigned arenas;  /* 0: malloc; 1: one for all; LIFETIMES: one each, that of documents rewound after each */
    size_t keep;      /* committed bytes that an arena may keep after a batch */
    bool starts_over; /* an arena above `keep` is unmapped whole instead, and made anew */
    bool is_presized; /* by the size of the batch */
    bool trims;       /* malloc_trim(3) after a batch */
    bool is_worker;   /* each batch in a process of its own */
    unsigned flags;   /* of arena_init */
};

const struct discipline *discipline_find(const char *name); /* NULL: none */
void discipline_list(void);                                 /* names to standard output */

struct space_figures { /* of all arenas together */
    uint64_t committed, used, peak, commits, discards;
};

struct space {
    const struct discipline *discipline;
    struct arena arenas[LIFETIMES];
    uint64_t started_over, commits_before; /* commits of arenas that are gone */
    size_t peak_before;
};

void space_open(struct space *s, const struct discipline *d);
void space_close(struct space *s);

/* All of these end the process where there is no memory. */
void *space_alloc(struct space *s, enum lifetime lifetime, size_t size);
void *space_grow(struct space *s, enum lifetime lifetime, void *block, size_t old_size, size_t new_size);

void space_free(struct space *s, void *block); /* with arenas nothing is freed before its lifetime ends */
void space_begin_batch(struct space *s, size_t text_bytes);
void space_end_document(struct space *s);
void space_end_batch(struct space *s);

struct space_figures space_figures(const struct space *s);

#endif
