#include "coordinator/heap.h"

#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>

enum {
    LARGE = 64 << 10,  /* bytes of a block that never comes from the heap */
    LEAST = 64 << 10,  /* free bytes that are not worth a walk */
    PAGE = 4096,
    KEPT = 16 << 10,   /* of a buffer: so much is touched all the time */
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

void heap_untouch(char *buffer, size_t size)
{
    size_t skipped = KEPT + (PAGE - (uintptr_t)buffer % PAGE) % PAGE;
    if (size > skipped + PAGE)
        madvise(buffer + skipped, (size - skipped) / PAGE * PAGE, MADV_DONTNEED);
}

void heap_read(struct heap_figures *out)
{
    struct mallinfo2 now = mallinfo2();
    out->allocated = now.uordblks + now.hblkhd;
    out->size = now.arena + now.hblkhd;
    out->page_free = now.fordblks;
}
