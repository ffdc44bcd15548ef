#include "index/pairs_found.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"

enum {
    LEAST_SLOTS = 1024,
    TAIL_SLOTS = 1024, /* behind the last place */
    LEAST_SLICES = 1 << 14,
    LINK = sizeof(uint32_t), /* at the end of a slice: where the next one is */
    FIRST_SLICE = 8,
    LARGEST_SLICE = 256,
    TABLE_SHARE = 9, /* of SHARES of the memory */
    SHARES = 20,
};

int pairs_found_open(struct pairs_found *f, const struct pairs_out *pairs, size_t memory)
{
    size_t slots = memory / SHARES * TABLE_SHARE / sizeof *f->table, slices = memory / SHARES * (SHARES - TABLE_SHARE);
    *f = (struct pairs_found){
        .words = pairs->words,
        .slots = slots > LEAST_SLOTS ? slots : (size_t)LEAST_SLOTS,
        .slices_room = slices < LEAST_SLICES ? (size_t)LEAST_SLICES : slices < UINT32_MAX ? slices : UINT32_MAX,
    };
    f->table = malloc((f->slots + TAIL_SLOTS) * sizeof *f->table);
    f->slices = malloc(f->slices_room);
    f->recent = malloc(RECENT_PAIRS * sizeof *f->recent);
    return f->table && f->slices && f->recent ? 0 : -ENOMEM;
}

void pairs_found_close(struct pairs_found *f)
{
    free(f->table);
    free(f->slices);
    free(f->recent);
    *f = (struct pairs_found){0};
}

void pairs_found_begin(struct pairs_found *f, uint32_t low, uint32_t high, const uint32_t *postings)
{
    f->postings = postings;
    f->low = low;
    f->high = high;
    f->count = f->slices_used = 0;
    f->is_full = false;
    memset(f->table, 0, (f->slots + TAIL_SLOTS) * sizeof *f->table);
    memset(f->recent, 0, RECENT_PAIRS * sizeof *f->recent);
}

double pairs_found_used(const struct pairs_found *f)
{
    double table = (double)f->count / (double)(f->slots / 4 * 3), slices = (double)f->slices_used / (double)f->slices_room;
    return table > slices ? table : slices;
}

/* -------------------------------------------------------------------------------------------------------------- slices
 */

/* Another slice behind the pair's last, twice as large. */
static void go_on(struct pairs_found *f, struct found_pair *p)
{
    uint16_t size = p->size == 0 ? FIRST_SLICE : p->size < LARGEST_SLICE ? (uint16_t)(2 * p->size) : (uint16_t)LARGEST_SLICE;
    f->is_full |= f->slices_room - f->slices_used < size;
    if (f->is_full)
        return;
    uint32_t at = (uint32_t)f->slices_used;
    f->slices_used += size;
    if (p->size)
        memcpy(f->slices + p->tail, &at, LINK);
    else
        p->head = at;
    p->tail = at;
    p->size = size;
    p->left = (uint16_t)(size - LINK);
}

static void put_gap(struct pairs_found *f, struct found_pair *p, uint32_t gap)
{
    uint8_t bytes[VARINT_MAX];
    const uint8_t *end = varint_put(bytes, gap);
    for (const uint8_t *from = bytes; from < end && !f->is_full; from++) {
        if (p->left == 0)
            go_on(f, p);
        if (f->is_full)
            return;
        f->slices[p->tail++] = *from;
        p->left--;
    }
}

static void add_posting(struct pairs_found *f, struct found_pair *p, uint32_t number)
{
    if (p->count > 0 && p->last == number)
        return;
    if (p->count == 1)
        put_gap(f, p, p->last);
    if (p->count > 0)
        put_gap(f, p, number - p->last - 1);
    p->last = number;
    p->count++;
}

/* --------------------------------------------------------------------------------------------------------------- pairs
 */

/* Of the words' postings, those of the rarer one, as who reads them takes it (pairs.h). */
static uint32_t posting_of(const struct pairs_found *f, uint32_t words)
{
    uint32_t first = words >> 16, second = words & 0xffff;
    bool of_first = f->words[first - 1].term.documents <= f->words[second - 1].term.documents;
    return f->postings[of_first ? first : second] - 1;
}

/* At its place or behind it; NULL if there is no room for it. */
static struct found_pair *find_pair(struct pairs_found *f, uint32_t words, struct found_pair *p)
{
    const struct found_pair *end = f->table + f->slots + TAIL_SLOTS;
    while (p < end && p->words && p->words != words)
        p++;
    f->is_full |= p == end || (p->words == 0 && f->count == f->slots / 4 * 3);
    if (f->is_full)
        return NULL;
    f->count += p->words == 0;
    p->words = words;
    return p;
}

/* Leaves those that were not found in this document of late, and notes them: in as many steps whatever they are, and
 * without a branch. */
static size_t leave_new(struct pairs_found *f, const uint32_t *pairs, size_t count, uint32_t document, uint32_t *out)
{
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t *place = &f->recent[pairs[i] * 0x9e3779b1u >> 18], note = (uint64_t)document << 32 | pairs[i];
        uint32_t first = pairs[i] >> 16;
        out[left] = pairs[i];
        left += (*place != note) & (first >= f->low) & (first < f->high);
        *place = note;
    }
    return left;
}
static_assert(RECENT_PAIRS == 1 << (32 - 18), "places are the upper bits of 32");

/* What is not in the caches is asked for, that of all before the first is needed: places in the table, ends of chains. */
void pairs_found_add(struct pairs_found *f, const uint32_t *pairs, size_t count, uint32_t document)
{
    uint32_t new[PAIRS_AT_ONCE];
    struct found_pair *places[PAIRS_AT_ONCE];
    if (f->is_full)
        return;
    size_t left = leave_new(f, pairs, count, document, new);
    for (size_t i = 0; i < left; i++) {
        uint64_t hash = new[i] * UINT64_C(0x9e3779b97f4a7c15) >> 32;
        places[i] = f->table + (hash * f->slots >> 32);
        __builtin_prefetch(places[i], 1);
    }
    for (size_t i = 0; i < left && (places[i] = find_pair(f, new[i], places[i])); i++)
        __builtin_prefetch(f->slices + places[i]->tail, 1);
    for (size_t i = 0; i < left && !f->is_full; i++)
        add_posting(f, places[i], posting_of(f, new[i]));
}

/* ------------------------------------------------------------------------------------------------------------- the end
 */

/* Pairs in the order of one of their words' numbers, those of the same number as they were in `in`. */
static void sort_by(const struct pairs_found *f, unsigned shift, const uint32_t *in, uint32_t *out)
{
    uint32_t places[PAIRED_MOST + 2] = {0}; /* of each number, behind that of the one before */
    for (size_t i = 0; i < f->count; i++)
        places[(f->table[i].words >> shift & 0xffff) + 1]++;
    for (size_t i = 1; i < PAIRED_MOST + 2; i++)
        places[i] += places[i - 1];
    for (uint32_t i = 0; i < f->count; i++) {
        uint32_t at = in ? in[i] : i;
        out[places[f->table[at].words >> shift & 0xffff]++] = at;
    }
}

/* Their places in the table, which is no longer one: a quarter of it at least was free, and has room for them. */
static const uint32_t *sort_pairs(struct pairs_found *f)
{
    size_t count = 0;
    for (size_t i = 0; i < f->slots + TAIL_SLOTS; i++) {
        if (f->table[i].words)
            f->table[count++] = f->table[i];
    }
    uint32_t *by_second = (uint32_t *)(void *)(f->table + count), *by_words = by_second + count;
    sort_by(f, 0, NULL, by_second);
    sort_by(f, 16, by_second, by_words);
    return by_words;
}
static_assert(sizeof(struct found_pair) >= 3 * 2 * sizeof(uint32_t), "a free slot has room for three pairs' two places");

static void read_gaps(const struct pairs_found *f, const struct found_pair *p, uint32_t *out)
{
    uint32_t at = p->head, left = FIRST_SLICE - LINK, size = FIRST_SLICE;
    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t shift = 0;
        uint8_t byte;
        out[i] = 0;
        do {
            if (left == 0) {
                memcpy(&at, f->slices + at, LINK);
                size = size < LARGEST_SLICE ? 2 * size : size;
                left = size - LINK;
            }
            byte = f->slices[at++];
            left--;
            out[i] |= (uint32_t)(byte & 127) << shift;
            shift += 7;
        } while (byte & 128);
    }
}

/* Room for the gaps of the pair with the most. */
static uint32_t *make_room(const struct pairs_found *f)
{
    uint32_t most = 1;
    for (size_t i = 0; i < f->count; i++)
        most = f->table[i].count > most ? f->table[i].count : most;
    return malloc(most * sizeof(uint32_t));
}

int pairs_found_visit(struct pairs_found *f, pairs_visitor *visit, void *context)
{
    const uint32_t *sorted = sort_pairs(f);
    uint32_t *gaps = make_room(f);
    int err = gaps ? 0 : -ENOMEM;
    for (size_t i = 0; i < f->count && !err; i++) {
        const struct found_pair *p = &f->table[sorted[i]];
        if (p->count == 1)
            gaps[0] = p->last;
        else
            read_gaps(f, p, gaps);
        err = visit(context, p->words >> 16, p->words & 0xffff, gaps, p->count);
    }
    free(gaps);
    return err;
}
