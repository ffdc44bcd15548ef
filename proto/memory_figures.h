/* memory_figures.h - what a shard says of its own memory, behind its last words in the same page: numbers only.
 *
 * The shard writes it once a second and after each request; the coordinator reads it at any time, each number whole. So
 * the figures of a shard that does not answer are there too. */
#ifndef PROTO_MEMORY_FIGURES_H
#define PROTO_MEMORY_FIGURES_H

#include <assert.h>
#include <stdint.h>

#include "proto/last_words.h"

/* Of a shard. Nothing legitimate comes near: what does is better refused there than by the kernel. */
enum { HEAP_MOST = 512 << 20 };

struct heap_figures {   /* tcmalloc's; all 0 where malloc is another */
    uint64_t allocated; /* bytes that were asked for and are not freed */
    uint64_t size;      /* bytes of address space taken from the kernel; page_unmapped of them are given back */
    uint64_t page_free, page_unmapped;
    uint64_t central_free, transfer_free, thread_free;
    uint64_t limit;    /* of what is mapped of it: beyond it malloc fails */
    uint64_t released; /* bytes that the timer has given back, since start */
};

struct arena_figures {                        /* of the query arena and its scratch, together */
    uint64_t reserved, committed, high_water; /* what the last request used is among the last words */
    uint64_t resets, discards, refusals;      /* since start */
};

struct index_figures { /* of all indexes that are open, as Holdings tells them one by one */
    uint64_t open, segments;
    uint64_t mapped; /* bytes of address space; what of it is resident is RssFile */
    uint64_t heap;   /* bytes: tables of resolved places, deletions, counts */
};

struct memory_figures {
    uint64_t counted; /* how often the shard has filled in what follows, but for arenas, which are always new */
    struct heap_figures heap;
    struct arena_figures arena;
    struct index_figures indexes;
};

enum { MEMORY_FIGURES_AT = 1024 };
static_assert(sizeof(struct last_words) <= MEMORY_FIGURES_AT &&
                  MEMORY_FIGURES_AT + sizeof(struct memory_figures) <= LAST_WORDS_SIZE,
              "figures lie behind the last words, in their page");

static inline struct memory_figures *memory_figures_write(struct last_words *words)
{
    return (struct memory_figures *)(void *)((char *)words + MEMORY_FIGURES_AT);
}

static inline const struct memory_figures *memory_figures_of(const struct last_words *words)
{
    return (const struct memory_figures *)(const void *)((const char *)words + MEMORY_FIGURES_AT);
}

#endif
