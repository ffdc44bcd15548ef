/* stats_numbers.h - numbers of Stats in tables: each is told in JSON by its key, and to Prometheus by its metric.
 *
 * Metrics are for ever: tests/cluster/metrics.txt has all of them. */
#ifndef CLIENT_CLI_STATS_NUMBERS_H
#define CLIENT_CLI_STATS_NUMBERS_H

#include <stddef.h>
#include <stdint.h>

struct stats_number {
    const char *key;    /* NULL ends a table */
    const char *metric; /* without "mayfly_"; counters end in _total; _seconds are microseconds in the message */
    const char *help;
    size_t at;   /* in its message */
    size_t size; /* 4 or 8 */
};

extern const struct stats_number stats_heap_numbers[];    /* of a Mayfly__Stats__Heap */
extern const struct stats_number stats_arena_numbers[];   /* of a Mayfly__Stats__Arena */
extern const struct stats_number stats_holding_numbers[]; /* of a Mayfly__Stats__Process */
extern const struct stats_number stats_worker_numbers[];  /* of Mayfly__Stats, as the next */
extern const struct stats_number stats_region_numbers[];

uint64_t stats_number_of(const struct stats_number *n, const void *message);

#endif
