/* nursery.h - a small process, forked before anything is allocated, that forks a worker for each batch. */
#ifndef BENCH_LAB_NURSERY_H
#define BENCH_LAB_NURSERY_H

#include <sys/types.h>

#include "bench/lab/indexer.h"

struct nursery {
    pid_t pid; /* 0: there is none */
    int fd;    /* orders out, reports in */
};

struct report {
    uint64_t cpu_us; /* of the worker */
    struct space_figures figures;
};

void nursery_start(struct nursery *n, const struct discipline *d, int out);
void nursery_stop(struct nursery *n);

void nursery_order(struct nursery *n, const struct batch *b);

/* Whether the worker has ended, at the latest after so many milliseconds (-1: when it has). */
bool nursery_reports(struct nursery *n, int milliseconds, struct report *report);

#endif
