/* process_memory.h - what the kernel says of a process's memory. */
#ifndef COMMON_PROCESS_MEMORY_H
#define COMMON_PROCESS_MEMORY_H

#include <stdint.h>

struct process_memory { /* bytes */
    uint64_t rss_anon, rss_file, rss_shmem;
    uint64_t rss_peak; /* highest that the three together ever were */
};

/* All 0 for a process that is gone. */
void process_memory_read(int pid, struct process_memory *out);

/* Its share of what is resident, pages shared by n processes counting 1/n each. The kernel walks all of its page tables
 * for that: a millisecond for each few hundred MB. 0 where it is not to be had. */
uint64_t process_memory_share(int pid);

#endif
