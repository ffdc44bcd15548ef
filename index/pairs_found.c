#include "index/pairs_found.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "index/pairs.h"

enum {
    BYTES_PER_SLOT = 24,                                    /* of the table, and of what is sorted in the end */
    BYTES_PER_LOGGED = sizeof(uint32_t) + sizeof(uint16_t), /* the log, and ranges by pairs in the end */
    LEAST_SLOTS = 1024,
    TAIL_SLOTS = 1024,           /* behind the last place */
    LEAST_LOG = 2 * PAIR_RANGES, /* any pair by itself has room */
};

int pairs_found_open(struct pairs_found *f, const struct paired_word *words, size_t memory, uint32_t ranges)
{
    size_t slots = memory / 2 / BYTES_PER_SLOT, log = memory / 2 / BYTES_PER_LOGGED;
    slots = slots > LEAST_SLOTS ? slots : (size_t)LEAST_SLOTS;
    *f = (struct pairs_found){
        .words = words,
        .slots = slots,
        .room = slots + TAIL_SLOTS,
        .log_room = log < LEAST_LOG ? (size_t)LEAST_LOG : log,
        .ranges = ranges,
    };
    f->table = malloc(f->room * sizeof *f->table);
    f->log = malloc(f->log_room * sizeof *f->log);
    f->range_ends = malloc((ranges + 1) * sizeof *f->range_ends);
    f->recent = malloc(RECENT_PAIRS * sizeof *f->recent);
    return f->table && f->log && f->range_ends && f->recent ? 0 : -ENOMEM;
}

void pairs_found_close(struct pairs_found *f)
{
    free(f->table);
    free(f->log);
    free(f->range_ends);
    free(f->recent);
    *f = (struct pairs_found){0};
}

void pairs_found_begin(struct pairs_found *f, uint64_t low, uint64_t high)
{
    f->low = low;
    f->high = high;
    f->scale = ((uint64_t)f->slots << 32) / (high - low);
    f->count = f->logged = 0;
    f->is_full = false;
    f->range = UINT32_MAX;
    memset(f->table, 0, f->room * sizeof *f->table);
    memset(f->range_ends, 0, (f->ranges + 1) * sizeof *f->range_ends);
}

static uint64_t hash_of(const struct pairs_found *f, uint32_t words)
{
    return pair_hash(f->words[(words >> 16) - 1].hash, f->words[(words & 0xffff) - 1].hash);
}

static void add_range(struct pairs_found *f, struct found_pair *p)
{
    f->is_full |= f->logged == f->log_room;
    if (f->is_full || p->last == f->range + 1)
        return;
    p->last = f->range + 1;
    p->count++;
    f->log[f->logged++] = (uint32_t)(p - f->table);
    f->range_ends[f->range] = (uint32_t)f->logged;
}

/* At its place or behind it, if there is room. */
static void add_pair(struct pairs_found *f, uint32_t words, struct found_pair *p)
{
    const struct found_pair *end = f->table + f->room;
    while (p < end && p->words && p->words != words)
        p++;
    f->is_full |= p == end || (p->words == 0 && f->count == f->slots / 4 * 3);
    if (f->is_full)
        return;
    f->count += p->words == 0;
    p->words = words;
    add_range(f, p);
}

double pairs_found_used(const struct pairs_found *f)
{
    double table = (double)f->count / (double)(f->slots / 4 * 3), log = (double)f->logged / (double)f->log_room;
    return table > log ? table : log;
}

double pairs_found_done(const struct pairs_found *f)
{
    return f->is_full ? ((double)f->range + 0.5) / (double)f->ranges : 1;
}

static void begin_range(struct pairs_found *f, uint32_t range)
{
    memset(f->recent, 0, RECENT_PAIRS * sizeof *f->recent);
    f->range = range;
}

/* Leaves those that were not found of late, and notes them: in as many steps whatever they are, and without a branch. */
static size_t leave_new(struct pairs_found *f, const uint32_t *pairs, size_t count, uint32_t *out)
{
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t *place = &f->recent[pairs[i] * 0x9e3779b1u >> 16];
        out[left] = pairs[i];
        left += *place != pairs[i];
        *place = pairs[i];
    }
    return left;
}
static_assert(RECENT_PAIRS == 1 << (32 - 16), "places are the upper bits of 32");

void pairs_found_add(struct pairs_found *f, const uint32_t *pairs, size_t count, uint32_t range)
{
    uint32_t new[PAIRS_AT_ONCE];
    struct found_pair *places[PAIRS_AT_ONCE];
    if (f->is_full)
        return;
    if (range != f->range)
        begin_range(f, range);
    size_t left = leave_new(f, pairs, count, new), here = 0;
    for (size_t i = 0; i < left; i++) {
        uint64_t upper = hash_of(f, new[i]) >> 32;
        if (upper < f->low || upper >= f->high)
            continue;
        places[here] = f->table + ((upper - f->low) * f->scale >> 32);
        __builtin_prefetch(places[here], 1);
        new[here++] = new[i];
    }
    for (size_t i = 0; i < here; i++)
        add_pair(f, new[i], places[i]);
}

/* ------------------------------------------------------------------------------------------------------------- the end
 */

struct ordered_pair {
    uint64_t hash;
    uint32_t slot;
};

/* Nearly in order already. */
static struct ordered_pair *sort_pairs(const struct pairs_found *f)
{
    struct ordered_pair *pairs = malloc((f->count + 1) * sizeof *pairs);
    size_t count = 0;
    for (uint32_t i = 0; pairs && i < f->room; i++) {
        if (f->table[i].words == 0)
            continue;
        struct ordered_pair next = {hash_of(f, f->table[i].words), i};
        size_t at = count++;
        for (; at > 0 && pairs[at - 1].hash > next.hash; at--)
            pairs[at] = pairs[at - 1];
        pairs[at] = next;
    }
    return pairs;
}

/* From by ranges to by pairs, in their order; a pair's `last` is where its ranges end then. */
static void turn_log(struct pairs_found *f, const struct ordered_pair *pairs, uint16_t *out)
{
    uint32_t at = 0;
    for (size_t i = 0; i < f->count; i++) {
        struct found_pair *p = &f->table[pairs[i].slot];
        p->last = at;
        at += p->count;
    }
    at = 0;
    for (uint32_t range = 0; range < f->ranges; range++) {
        for (; at < f->range_ends[range]; at++)
            out[f->table[f->log[at]].last++] = (uint16_t)range;
    }
}

int pairs_found_visit(struct pairs_found *f, pairs_visitor *visit, void *context)
{
    struct ordered_pair *pairs = sort_pairs(f);
    uint16_t *ranges = malloc((f->logged + 1) * sizeof *ranges);
    int err = pairs && ranges ? 0 : -ENOMEM;
    if (!err)
        turn_log(f, pairs, ranges);
    for (size_t i = 0; i < f->count && !err; i++) {
        const struct found_pair *p = &f->table[pairs[i].slot];
        err = visit(context, pairs[i].hash, ranges + p->last - p->count, p->count);
    }
    free(pairs);
    free(ranges);
    return err;
}
