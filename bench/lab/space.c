#include "bench/lab/space.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"

#define RESERVED ((size_t)32 << 30) /* address space of one arena */

enum {
    KEEP_LITTLE = 256 << 10,
    THRESHOLD = 8 << 20,
    PRESIZE_FACTOR = 15, /* bytes that a batch takes in one arena per byte of text */
};

static const struct discipline disciplines[] = {
    {.name = "malloc"},
    {.name = "malloc-trim", .trims = true},
    {.name = "bump", .arenas = 1, .keep = RESERVED},
    {.name = "pool", .arenas = 1, .keep = THRESHOLD, .starts_over = true, .is_presized = true},
    {.name = "discard", .arenas = LIFETIMES, .keep = KEEP_LITTLE},
    {.name = "worker", .arenas = LIFETIMES, .is_worker = true, .flags = ARENA_HUGE_PAGES},
};

enum { DISCIPLINES = sizeof disciplines / sizeof *disciplines };

const struct discipline *discipline_find(const char *name)
{
    for (size_t i = 0; i < DISCIPLINES; i++)
        if (strcmp(disciplines[i].name, name) == 0)
            return &disciplines[i];
    return NULL;
}

void discipline_list(void)
{
    for (size_t i = 0; i < DISCIPLINES; i++)
        puts(disciplines[i].name);
}

static void open_arena(struct space *s, unsigned i)
{
    int err = arena_init(&s->arenas[i], RESERVED, s->discipline->flags);
    require(err == 0);
}

void space_open(struct space *s, const struct discipline *d)
{
    *s = (struct space){.discipline = d};
    for (unsigned i = 0; i < d->arenas; i++)
        open_arena(s, i);
}

void space_close(struct space *s)
{
    for (unsigned i = 0; i < s->discipline->arenas; i++)
        arena_finish(&s->arenas[i]);
}

static struct arena *arena_of(struct space *s, enum lifetime lifetime)
{
    return &s->arenas[s->discipline->arenas == LIFETIMES ? lifetime : 0];
}

void *space_alloc(struct space *s, enum lifetime lifetime, size_t size)
{
    void *block = s->discipline->arenas ? arena_alloc_unset(arena_of(s, lifetime), size) : malloc(size);
    require(block);
    return block;
}

void *space_grow(struct space *s, enum lifetime lifetime, void *block, size_t old_size, size_t new_size)
{
    void *grown =
        s->discipline->arenas ? arena_grow(arena_of(s, lifetime), block, old_size, new_size) : realloc(block, new_size);
    require(grown);
    return grown;
}

void space_free(struct space *s, void *block)
{
    if (!s->discipline->arenas)
        free(block);
}

void space_begin_batch(struct space *s, size_t text_bytes)
{
    if (s->discipline->is_presized)
        (void)arena_presize(&s->arenas[0], PRESIZE_FACTOR * text_bytes);
}

void space_end_document(struct space *s)
{
    if (s->discipline->arenas == LIFETIMES)
        arena_rewind(&s->arenas[OF_DOCUMENT], 0);
}

static void start_over(struct space *s, unsigned i)
{
    s->commits_before += s->arenas[i].commits;
    s->peak_before = s->arenas[i].peak > s->peak_before ? s->arenas[i].peak : s->peak_before;
    s->started_over++;
    arena_finish(&s->arenas[i]);
    open_arena(s, i);
}

void space_end_batch(struct space *s)
{
    const struct discipline *d = s->discipline;
    if (d->is_worker) /* its end is the free */
        return;
    for (unsigned i = 0; i < d->arenas; i++) {
        if (d->starts_over && s->arenas[i].committed > d->keep)
            start_over(s, i);
        else
            arena_reset(&s->arenas[i], d->keep);
    }
    if (d->trims)
        malloc_trim(0);
}

struct space_figures space_figures(const struct space *s)
{
    struct space_figures f = {.discards = s->started_over, .commits = s->commits_before};
    for (unsigned i = 0; i < s->discipline->arenas; i++) {
        const struct arena *a = &s->arenas[i];
        f.committed += a->committed;
        f.used += a->used;
        f.peak += a->peak;
        f.commits += a->commits;
        f.discards += a->discards;
    }
    f.peak = f.peak > s->peak_before ? f.peak : s->peak_before;
    return f;
}
