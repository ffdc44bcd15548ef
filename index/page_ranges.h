/* page_ranges.h - parts of mapped files that will be read, collected, and then the kernel is asked for them all at
 * once: those that touch are one, and none is waited for. Runs in: shard, worker, bench.
 *
 * A zeroed one is empty. */
#ifndef INDEX_PAGE_RANGES_H
#define INDEX_PAGE_RANGES_H

#include <stddef.h>
#include <stdint.h>

enum { PAGE_RANGES = 128, PAGE_LEAST = 4096 };

struct page_range { /* whole pages */
    uintptr_t from, end;
};

/* In place of madvise; for tests. */
typedef void page_ranges_advise(void *context, struct page_range range);

struct page_ranges {
    size_t count;
    page_ranges_advise *advise; /* NULL: madvise */
    void *context;
    struct page_range ranges[PAGE_RANGES];
};

static inline void page_ranges_init(struct page_ranges *r)
{
    r->count = 0;
    r->advise = NULL;
    r->context = NULL;
}

/* When there is no room for it, the others are asked for. */
void page_ranges_add(struct page_ranges *r, const void *from, size_t size);

/* It is empty then. */
void page_ranges_ask(struct page_ranges *r);

#endif
