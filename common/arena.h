/* arena.h - bump allocation over one reservation of address space, straight from mmap, never through malloc.
 *
 * The cap is reserved PROT_NONE and committed by mprotect in steps, so that RLIMIT_DATA counts what is committed and a
 * wild write past it faults. Pointers never move. Nothing is freed piece by piece: rewind to a mark, or reset.
 * Under AddressSanitizer what is rewound is poisoned. */
#ifndef COMMON_ARENA_H
#define COMMON_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/str.h"

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISONS 1
#endif
#endif
#ifndef ARENA_POISONS
#define ARENA_POISONS 0
#endif

struct arena {
    char *base;       /* of the reservation */
    size_t used;      /* bytes given out, alignment included */
    size_t committed; /* bytes that may be touched */
    size_t cap;       /* bytes reserved */
    size_t dirty;     /* bytes that may not be zero any more */
    size_t peak;      /* highest `used` since init */
    uint64_t refusals;
    uint64_t commits;  /* times the kernel was asked for more */
    uint64_t discards; /* times a reset gave memory back to it */
    uint64_t resets;
};

enum { ARENA_HUGE_PAGES = 1 }; /* MADV_HUGEPAGE beyond the first 4 MiB */
enum { ARENA_ALIGNMENT = 16 };

/* 0, or a negative errno. `cap` is rounded up to pages. */
int arena_init(struct arena *a, size_t cap, unsigned flags);
void arena_finish(struct arena *a); /* accepts a zeroed one */

/* Pre-sizing: commits at once what allocations of `size` bytes together will need. False past the cap or when the kernel
 * refuses; allocations may still succeed. */
bool arena_presize(struct arena *a, size_t size);

/* Under AddressSanitizer, and where the kernel must be asked for more. */
void *arena_alloc_slowly(struct arena *a, size_t size, bool zeroed);

/* Memory above the highest `used` since the last give-back comes zeroed from the kernel; below it, it is cleared. */
static inline void *arena_take(struct arena *a, size_t size, bool zeroed)
{
    size_t at = (a->used + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1), end = at + size;
    if (ARENA_POISONS || at > a->committed || size > a->committed - at)
        return arena_alloc_slowly(a, size, zeroed);
    char *block = a->base + at;
    if (zeroed && at < a->dirty)
        memset(block, 0, end < a->dirty ? size : a->dirty - at);
    a->used = end;
    if (end > a->dirty) {
        a->dirty = end;
        a->peak = end > a->peak ? end : a->peak;
    }
    return block;
}

/* Zeroed memory, aligned to 16; NULL past the cap or when the kernel refuses. */
static inline void *arena_alloc(struct arena *a, size_t size)
{
    return arena_take(a, size, true);
}

/* Not zeroed: for what is written before it is read. */
static inline void *arena_alloc_unset(struct arena *a, size_t size)
{
    return arena_take(a, size, false);
}

/* `count` elements of `size` bytes; NULL also if that overflows. The only place where sizes are multiplied. */
void *arena_array(struct arena *a, size_t count, size_t size);

/* Grows the newest allocation in place, else copies. `old_size` is what was asked for before. */
void *arena_grow(struct arena *a, void *block, size_t old_size, size_t new_size);

struct str arena_copy(struct arena *a, struct str s); /* ptr NULL past the cap; zero-terminated */
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

size_t arena_mark(const struct arena *a);
void arena_rewind(struct arena *a, size_t mark); /* memory after it is zeroed again when it is given out */

/* Rewinds to nothing and gives back to the kernel what is committed beyond `keep` bytes. */
void arena_reset(struct arena *a, size_t keep);

#define arena_new(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define arena_new_array(a, count, type) ((type *)arena_array((a), (count), sizeof(type)))

#endif
