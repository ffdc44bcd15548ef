#include "shard/memory.h"

#ifdef MAYFLY_TCMALLOC

#include <gperftools/malloc_extension_c.h>
#include <stddef.h>

enum {
    THREAD_CACHE = 2 << 20, /* one thread needs no more; tcmalloc's default is 32 MiB */
    LEAST_EXCESS = 1 << 20,
    EXCESS_SHARE = 50, /* of the heap: 2 % */
};

void memory_setup(void)
{
    MallocExtension_SetNumericProperty("tcmalloc.max_total_thread_cache_bytes", THREAD_CACHE);
}

void memory_release_excess(void)
{
    size_t heap = 0, unused = 0;
    if (!MallocExtension_GetNumericProperty("generic.heap_size", &heap) ||
        !MallocExtension_GetNumericProperty("tcmalloc.pageheap_free_bytes", &unused))
        return;
    size_t allowed = heap / EXCESS_SHARE > LEAST_EXCESS ? heap / EXCESS_SHARE : LEAST_EXCESS;
    if (unused > allowed)
        MallocExtension_ReleaseToSystem(unused - allowed);
}

#else

void memory_setup(void)
{
}

void memory_release_excess(void)
{
}

#endif
