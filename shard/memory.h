/* memory.h - what tcmalloc keeps of freed memory goes back to the kernel: it does not by itself while a process idles.
 */
#ifndef SHARD_MEMORY_H
#define SHARD_MEMORY_H

void memory_setup(void);
void memory_release_excess(void); /* once a second */

#endif
