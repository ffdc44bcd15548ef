#include "shard/memory.h"

#ifdef MAYFLY_TCMALLOC

#include <gperftools/malloc_extension_c.h>
#include <stddef.h>

enum {
    THREAD_CACHE = 512 << 10, /* the least that tcmalloc takes, of a heap of about as much; its default is 32 MiB */
    LEAST_EXCESS = 64 << 10,
    EXCESS_SHARE = 50, /* of the heap: 2 % */
    MIB = 1 << 20,
};

/* How fast tcmalloc gives back while something is freed can only be told by its environment: shards.c does. */
void memory_setup(uint64_t heap_most)
{
    MallocExtension_SetNumericProperty("tcmalloc.max_total_thread_cache_bytes", THREAD_CACHE);
    MallocExtension_SetNumericProperty("tcmalloc.heap_limit_mb", (size_t)(heap_most / MIB));
}

static uint64_t property(const char *name)
{
    size_t value = 0;
    return MallocExtension_GetNumericProperty(name, &value) ? value : 0;
}

/* Of a heap that has so many bytes mapped. */
static uint64_t release(uint64_t heap)
{
    uint64_t unused = property("tcmalloc.pageheap_free_bytes");
    uint64_t allowed = heap / EXCESS_SHARE > LEAST_EXCESS ? heap / EXCESS_SHARE : LEAST_EXCESS;
    if (unused <= allowed)
        return 0;
    MallocExtension_ReleaseToSystem(unused - allowed);
    return unused - property("tcmalloc.pageheap_free_bytes");
}

/* What the thread has cached goes back to the heap first: it would hold pages that are free but for it. */
void memory_release_excess(struct heap_figures *out)
{
    MallocExtension_MarkThreadTemporarilyIdle();
    out->released += release(property("generic.heap_size") - property("tcmalloc.pageheap_unmapped_bytes"));
    out->allocated = property("generic.current_allocated_bytes");
    out->size = property("generic.heap_size");
    out->page_free = property("tcmalloc.pageheap_free_bytes");
    out->page_unmapped = property("tcmalloc.pageheap_unmapped_bytes");
    out->central_free = property("tcmalloc.central_cache_free_bytes");
    out->transfer_free = property("tcmalloc.transfer_cache_free_bytes");
    out->thread_free = property("tcmalloc.thread_cache_free_bytes");
    out->limit = property("tcmalloc.heap_limit_mb") * MIB;
}

#else

void memory_setup(uint64_t heap_most)
{
    (void)heap_most;
}

void memory_release_excess(struct heap_figures *out)
{
    (void)out;
}

#endif
