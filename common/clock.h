/* clock.h - monotonic time for deadlines, wall time for people. */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stddef.h>
#include <stdint.h>

uint64_t clock_ns(void); /* monotonic */
uint64_t clock_us(void); /* monotonic */
uint64_t clock_wall_us(void); /* since 1970-01-01 UTC */

enum { CLOCK_RFC3339_SIZE = 32 };

/* 2026-11-24T08:39:00.123456Z */
void clock_rfc3339(uint64_t wall_us, char out[CLOCK_RFC3339_SIZE]);

#endif
