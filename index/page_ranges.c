#include "index/page_ranges.h"

#include <stdlib.h>
#include <sys/mman.h>

/* The kernel cuts what it is asked for at once to the device's read-ahead, of which this is the usual size. */
enum { AT_ONCE = 128 << 10 };

/* Only a hint: what it does not bring is waited for. */
static void advise(struct page_range range)
{
    for (uintptr_t at = range.from; at < range.end; at += AT_ONCE)
        madvise((void *)at, range.end - at < AT_ONCE ? range.end - at : AT_ONCE, MADV_WILLNEED);
}

void page_ranges_add(struct page_ranges *r, const void *from, size_t size)
{
    const uintptr_t page = PAGE_LEAST, begin = (uintptr_t)from & ~(page - 1);
    struct page_range more = {begin, ((uintptr_t)from + size + page - 1) & ~(page - 1)};
    struct page_range *last = r->count > 0 ? &r->ranges[r->count - 1] : NULL;
    if (last && more.from >= last->from && more.from <= last->end) {
        last->end = more.end > last->end ? more.end : last->end;
        return;
    }
    if (r->count == PAGE_RANGES)
        page_ranges_ask(r);
    r->ranges[r->count++] = more;
}

static int by_place(const void *a, const void *b)
{
    const struct page_range *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

void page_ranges_ask(struct page_ranges *r)
{
    size_t count = r->count;
    qsort(r->ranges, count, sizeof *r->ranges, by_place);
    for (size_t i = 0; i < count;) {
        struct page_range all = r->ranges[i];
        for (i++; i < count && r->ranges[i].from <= all.end; i++)
            all.end = r->ranges[i].end > all.end ? r->ranges[i].end : all.end;
        if (r->advise)
            r->advise(r->context, all);
        else
            advise(all);
    }
    r->count = 0;
}
