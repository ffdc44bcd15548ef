#include "client/cli/stats_numbers.h"

#include <string.h>

#include "proto/message.h"

#define NUMBER(type, member, key, metric, help)                                                                        \
    {                                                                                                                  \
        key, metric, help, offsetof(type, member), sizeof(((type *)0)->member)                                         \
    }

const struct stats_number stats_heap_numbers[] = {
    NUMBER(Mayfly__Stats__Heap, allocated, "allocated", "heap_allocated_bytes", "Bytes that a process has of malloc."),
    NUMBER(Mayfly__Stats__Heap, size, "size", "heap_size_bytes", "Address space of the heap, unmapped pages included."),
    NUMBER(Mayfly__Stats__Heap, page_free, "page_free", "heap_page_free_bytes", "Free pages that the heap keeps."),
    NUMBER(Mayfly__Stats__Heap, page_unmapped, "page_unmapped", "heap_page_unmapped_bytes",
           "Free pages that the heap has given back."),
    NUMBER(Mayfly__Stats__Heap, central_free, "central_free", "heap_central_free_bytes",
           "Free objects in central lists."),
    NUMBER(Mayfly__Stats__Heap, transfer_free, "transfer_free", "heap_transfer_free_bytes",
           "Free objects in transfer caches."),
    NUMBER(Mayfly__Stats__Heap, thread_free, "thread_free", "heap_thread_free_bytes", "Free objects in thread caches."),
    NUMBER(Mayfly__Stats__Heap, limit, "limit", "heap_limit_bytes", "Size of the heap beyond which malloc fails."),
    NUMBER(Mayfly__Stats__Heap, released, "released", "heap_released_bytes_total",
           "Bytes of the heap that the process's timer has given back."),
    {0},
};

const struct stats_number stats_arena_numbers[] = {
    NUMBER(Mayfly__Stats__Arena, reserved, "reserved", "arena_reserved_bytes",
           "Address space of the arenas of a process: their caps."),
    NUMBER(Mayfly__Stats__Arena, committed, "committed", "arena_committed_bytes", "Memory that arenas may touch."),
    NUMBER(Mayfly__Stats__Arena, used, "used", "arena_used_bytes",
           "Memory of arenas in use; in shards, by the last request."),
    NUMBER(Mayfly__Stats__Arena, high_water, "high_water", "arena_high_water_bytes",
           "Most memory of arenas that was ever in use."),
    NUMBER(Mayfly__Stats__Arena, resets, "resets", "arena_resets_total", "Times that arenas were reset."),
    NUMBER(Mayfly__Stats__Arena, discards, "discards", "arena_discards_total",
           "Resets of arenas that gave memory back to the kernel."),
    NUMBER(Mayfly__Stats__Arena, refusals, "refusals", "arena_refusals_total",
           "Allocations that the cap of an arena has refused."),
    {0},
};

const struct stats_number stats_holding_numbers[] = {
    NUMBER(Mayfly__Stats__Process, indexes_open, "open", "shard_indexes_open",
           "Indexes that a shard process has open."),
    NUMBER(Mayfly__Stats__Process, indexes_mapped, "mapped", "shard_indexes_mapped_bytes",
           "Files of open indexes, mapped; what is resident of them is of kind file."),
    NUMBER(Mayfly__Stats__Process, indexes_heap, "heap", "shard_indexes_heap_bytes",
           "Heap that a shard process holds for open indexes."),
    {0},
};

const struct stats_number stats_worker_numbers[] = {
    NUMBER(Mayfly__Stats, workers_started, "started", "workers_started_total",
           "Workers that were forked since the start."),
    NUMBER(Mayfly__Stats, worker_peak_last, "peak_last", "worker_peak_last_bytes",
           "Arena of the worker that ended last."),
    NUMBER(Mayfly__Stats, worker_peak_most, "peak_most", "worker_peak_bytes",
           "Largest arena of any worker since the start."),
    NUMBER(Mayfly__Stats, worker_teardown_last_us, "teardown_last_us", "worker_teardown_last_seconds",
           "From the last word of the worker that ended last until its memory was back."),
    NUMBER(Mayfly__Stats, worker_teardown_most_us, "teardown_most_us", "worker_teardown_most_seconds",
           "The longest of these since the start."),
    {0},
};

const struct stats_number stats_region_numbers[] = {
    NUMBER(Mayfly__Stats, regions, "held", "regions", "Batch regions that are held."),
    NUMBER(Mayfly__Stats, memfds, "memfds", "memfds", "Memory files that the coordinator has open."),
    NUMBER(Mayfly__Stats, memfd_bytes, "memfd_bytes", "memfd_bytes", "Memory that they take."),
    NUMBER(Mayfly__Stats, clients_waiting, "clients_waiting", "clients_waiting",
           "Clients that are not read from until regions or log have room."),
    {0},
};

uint64_t stats_number_of(const struct stats_number *n, const void *message)
{
    const char *at = (const char *)message + n->at;
    uint32_t small;
    uint64_t large;
    if (n->size == sizeof small) {
        memcpy(&small, at, sizeof small);
        return small;
    }
    memcpy(&large, at, sizeof large);
    return large;
}
