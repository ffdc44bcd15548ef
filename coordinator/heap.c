#include "coordinator/heap.h"

#include <malloc.h>

enum {
    LARGE = 64 << 10,  /* bytes of a block that never comes from the heap */
    LEAST = 64 << 10,  /* free bytes that are not worth a walk */
};

/* Left alone, libc raises the limit of large blocks up to 32 MiB as soon as some are freed. Then buffers of messages,
 * which come and go, leave holes between what is remembered of searches, and a third of the heap is holes. */
void heap_setup(void)
{
    mallopt(M_MMAP_THRESHOLD, LARGE);
    mallopt(M_TRIM_THRESHOLD, 2 * LARGE);
    mallopt(M_ARENA_MAX, 1); /* the pool's threads allocate little */
}

/* Pages that went back still count as free, so that is no measure of what there is to give. But where as much is free
 * and as much is taken as after the last time, nothing has been touched since. */
void heap_give_back(struct heap_mark *last)
{
    struct mallinfo2 now = mallinfo2();
    if (now.fordblks < LEAST || (now.fordblks == last->free && now.uordblks == last->taken))
        return;
    malloc_trim(0);
    now = mallinfo2();
    *last = (struct heap_mark){.free = now.fordblks, .taken = now.uordblks};
}

void heap_read(struct heap_figures *out)
{
    struct mallinfo2 now = mallinfo2();
    out->allocated = now.uordblks + now.hblkhd;
    out->size = now.arena + now.hblkhd;
    out->page_free = now.fordblks;
}
