#include "common/arena.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#if ARENA_POISONS
#include <sanitizer/asan_interface.h>
#define poison(from, size)   ASAN_POISON_MEMORY_REGION((from), (size))
#define unpoison(from, size) ASAN_UNPOISON_MEMORY_REGION((from), (size))
#else
#define poison(from, size)   ((void)(from), (void)(size))
#define unpoison(from, size) ((void)(from), (void)(size))
#endif

enum {
    PAGE = 4096,
    STEP = 1 << 20,       /* committed at once */
    LARGE_STEP = 4 << 20, /* beyond 16 MiB */
    HUGE_PAGE = 2 << 20,
    HUGE_AFTER = 4 << 20, /* a small job never touches a huge page */
};

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) & ~(to - 1);
}

static void advise_huge_pages(const struct arena *a)
{
    uintptr_t from = ((uintptr_t)a->base + HUGE_AFTER + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);
    uintptr_t end = (uintptr_t)a->base + a->cap;
    if (from < end)
        (void)madvise(a->base + (from - (uintptr_t)a->base), end - from, MADV_HUGEPAGE);
}

int arena_init(struct arena *a, size_t cap, unsigned flags)
{
    *a = (struct arena){0};
    if (cap == 0 || cap > SIZE_MAX - PAGE)
        return -EINVAL;
    cap = round_up(cap, PAGE);
    void *base = mmap(NULL, cap, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return -errno;
    a->base = base;
    a->cap = cap;
    if (flags & ARENA_HUGE_PAGES)
        advise_huge_pages(a);
    return 0;
}

void arena_finish(struct arena *a)
{
    if (a->base) {
        unpoison(a->base, a->committed);
        munmap(a->base, a->cap);
    }
    *a = (struct arena){0};
}

/* In steps, so that the system call is rare; the last ones before the cap are small. */
static bool commit(struct arena *a, size_t end)
{
    size_t step = a->committed >= 4 * LARGE_STEP ? LARGE_STEP : STEP;
    size_t to = round_up(end, step);
    if (to > a->cap)
        to = a->cap;
    if (mprotect(a->base + a->committed, to - a->committed, PROT_READ | PROT_WRITE) != 0) {
        to = round_up(end, PAGE);
        if (mprotect(a->base + a->committed, to - a->committed, PROT_READ | PROT_WRITE) != 0)
            return false;
    }
    poison(a->base + a->committed, to - a->committed);
    a->committed = to;
    a->commits++;
    return true;
}

bool arena_presize(struct arena *a, size_t size)
{
    size_t room = a->cap - a->used;
    return size <= room && (size <= a->committed - a->used || commit(a, a->used + size));
}

static void *take_unset(struct arena *a, size_t at, size_t size)
{
    char *block = a->base + at;
    size_t end = at + size;
    unpoison(block, size);
    a->used = end;
    if (end > a->dirty)
        a->dirty = end;
    if (end > a->peak)
        a->peak = end;
    return block;
}

/* Memory above the highest `used` since the last give-back comes zeroed from the kernel; below it, it is cleared. */
static void *take(struct arena *a, size_t at, size_t size)
{
    size_t end = at + size, dirty = end < a->dirty ? end : a->dirty;
    char *block = take_unset(a, at, size);
    if (at < dirty)
        memset(block, 0, dirty - at);
    return block;
}

static bool reserve(struct arena *a, size_t at, size_t size)
{
    if (at <= a->cap && size <= a->cap - at && (at + size <= a->committed || commit(a, at + size)))
        return true;
    a->refusals++;
    return false;
}

void *arena_alloc_slowly(struct arena *a, size_t size, bool zeroed)
{
    size_t at = round_up(a->used, ARENA_ALIGNMENT);
    if (!reserve(a, at, size))
        return NULL;
    return zeroed ? take(a, at, size) : take_unset(a, at, size);
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        a->refusals++;
        return NULL;
    }
    return arena_alloc(a, bytes);
}

void *arena_grow(struct arena *a, void *block, size_t old_size, size_t new_size)
{
    if (block && new_size <= old_size)
        return block;
    size_t at = block ? (size_t)((char *)block - a->base) : 0;
    if (block && at + old_size == a->used) {
        size_t mark = a->used;
        if (new_size - old_size <= a->cap - mark && (at + new_size <= a->committed || commit(a, at + new_size))) {
            take(a, mark, new_size - old_size);
            return block;
        }
        a->refusals++;
        return NULL;
    }
    void *moved = arena_alloc(a, new_size);
    if (moved && block)
        memcpy(moved, block, old_size);
    return moved;
}

struct str arena_copy(struct arena *a, struct str s)
{
    char *copy = s.len < SIZE_MAX ? arena_alloc(a, s.len + 1) : NULL;
    if (!copy)
        return (struct str){0};
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    return (struct str){.ptr = copy, .len = s.len};
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = length < 0 ? NULL : arena_alloc(a, (size_t)length + 1);
    if (!text)
        return NULL;
    va_start(arguments, format);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return text;
}

size_t arena_mark(const struct arena *a)
{
    return a->used;
}

void arena_rewind(struct arena *a, size_t mark)
{
    poison(a->base + mark, a->used - mark);
    a->used = mark;
}

void arena_reset(struct arena *a, size_t keep)
{
    arena_rewind(a, 0);
    a->resets++;
    keep = round_up(keep, PAGE);
    if (a->committed <= keep)
        return;
    /* The mapping is replaced rather than discarded: RLIMIT_DATA must not go on counting it. */
    size_t length = a->committed - keep;
    unpoison(a->base + keep, length);
    if (mmap(a->base + keep, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) ==
        MAP_FAILED)
        return;
    a->committed = keep;
    a->discards++;
    if (a->dirty > keep)
        a->dirty = keep;
}
