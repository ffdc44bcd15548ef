/* budget.h - the most memory that the server may come to, by phase and process, and what holds each part to it. Pure.
 *
 * What is ours counts: private and shared memory. Mapped index files do not, the kernel takes their pages back; what of
 * the page cache is counted in the groups of workers has a line of its own. */
#ifndef COORDINATOR_BUDGET_H
#define COORDINATOR_BUDGET_H

#include <stddef.h>
#include <stdint.h>

#include "coordinator/cap.h"
#include "coordinator/config.h"

enum { BUDGET_LINES = 10 };

struct budget_line {
    const char *phase;   /* always | searching | writing | indexing | backup */
    const char *process; /* as in stats */
    const char *what;
    const char *held_by; /* what goes no further: the kernel, an allocator, or only the code */
    uint64_t count, each;
};

struct budget {
    struct budget_line lines[BUDGET_LINES];
    size_t count;
    uint64_t total;
    uint64_t handover; /* beside it, while another mayflyd of this configuration takes over: settings are not cut for that */
};

struct budget budget_of(const struct config *config, const struct cap *cap);
void budget_log(const struct config *config, const struct cap *cap);

#endif
