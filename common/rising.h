/* rising.h - places in numbers that rise. */
#ifndef COMMON_RISING_H
#define COMMON_RISING_H

#include <stddef.h>
#include <stdint.h>

/* The first place whose number is not below `wanted`; `count` if all are. */
static inline size_t rising_place(const uint64_t *rising, size_t count, uint64_t wanted)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rising[middle] < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

#endif
