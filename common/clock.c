#include "common/clock.h"

#include <stdio.h>
#include <time.h>

uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_us(void)
{
    return clock_ns() / 1000;
}

uint64_t clock_wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000;
}

void clock_rfc3339(uint64_t wall_us, char out[CLOCK_RFC3339_SIZE])
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm utc;
    if (!gmtime_r(&seconds, &utc) || utc.tm_year > 8099) {
        snprintf(out, CLOCK_RFC3339_SIZE, "9999-12-31T23:59:59.999999Z");
        return;
    }
    size_t used = strftime(out, CLOCK_RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out + used, CLOCK_RFC3339_SIZE - used, ".%06uZ", (unsigned)(wall_us % 1000000));
}
