/* tagged_max.h - a word in shared memory that several processes raise, of whoever's it is at the moment.
 *
 *   | value u32 | tag u32 |   as one u64, the tag above
 *
 * Who hands the word out gives it a tag that nobody had before. It is changed by compare-and-swap only, so that a process
 * that comes late, with the tag of an earlier owner, changes nothing. */
#ifndef COMMON_TAGGED_MAX_H
#define COMMON_TAGGED_MAX_H

#include <stdatomic.h>
#include <stdint.h>

typedef _Atomic uint64_t tagged_max;

static inline void tagged_max_begin(tagged_max *word, uint32_t tag)
{
    atomic_store_explicit(word, (uint64_t)tag << 32, memory_order_relaxed);
}

/* 0 where it has another owner. */
static inline uint32_t tagged_max_get(tagged_max *word, uint32_t tag)
{
    uint64_t now = atomic_load_explicit(word, memory_order_relaxed);
    return now >> 32 == tag ? (uint32_t)now : 0;
}

static inline void tagged_max_raise(tagged_max *word, uint32_t tag, uint32_t value)
{
    uint64_t now = atomic_load_explicit(word, memory_order_relaxed);
    while (now >> 32 == tag && (uint32_t)now < value) {
        if (atomic_compare_exchange_weak_explicit(word, &now, (uint64_t)tag << 32 | value, memory_order_relaxed,
                                                  memory_order_relaxed))
            return;
    }
}

#endif
