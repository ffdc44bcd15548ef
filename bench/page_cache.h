/* page_cache.h - pages of a directory's mapped files leave memory, and what this thread had to wait for. */
#ifndef BENCH_PAGE_CACHE_H
#define BENCH_PAGE_CACHE_H

#include <stdint.h>

/* What of `directory`'s segment files this process has mapped is unmapped from it (the mapping itself stays) and
 * forgotten by the kernel, as far as no other process has it mapped. 0 or an errno. */
int page_cache_drop(const char *directory);

struct page_waits_seen {
    uint64_t major_faults, bytes_read; /* from the disk */
};
struct page_waits_seen page_cache_waits(void);

#endif
