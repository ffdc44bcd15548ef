#include "index/pairs_found.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"

/* A run:
 *
 *   | size of what follows u32 | pairs, rising ...                                                         |
 *   pair:  | v: words above those of the pair before | v: postings | v: the first one's number | v: gaps ... |
 *
 * gap = number - the one before - 1. A pair has numbers in several runs; the last in one may be the first in the next. */

enum {
    LEAST_GATHERED = 1024, /* PAIRS_AT_ONCE and more */
    LEAST_RUNS = 1 << 14,
    GATHERED_SHARE = 8, /* of the memory, and as much to sort it */
    RUN_HEAD = sizeof(uint32_t),
    FOUND_VARINT_MAX = 5, /* of 32 bits */
    LEAST_GAPS = 1024,
};

#define NO_WORDS UINT32_MAX

/* Where one run is being read. */
struct cursor {
    const uint8_t *at, *end;
    uint32_t words; /* of the pair in hand; NO_WORDS: there is none */
};

/* Their cursors take the place of what was gathered. */
static size_t most_runs(const struct pairs_found *f)
{
    return f->gathered_room * sizeof *f->gathered / sizeof(struct cursor);
}

int pairs_found_open(struct pairs_found *f, const struct pairs_out *pairs, size_t memory)
{
    size_t gathered = memory / GATHERED_SHARE / sizeof *f->gathered, runs = memory / GATHERED_SHARE * (GATHERED_SHARE - 2);
    *f = (struct pairs_found){
        .pairs = pairs,
        .gathered_room = gathered > LEAST_GATHERED ? gathered : (size_t)LEAST_GATHERED,
        .runs_room = runs < LEAST_RUNS ? (size_t)LEAST_RUNS : runs < UINT32_MAX ? runs : UINT32_MAX,
    };
    f->documents = malloc((PAIRED_MOST + 1) * sizeof *f->documents);
    f->recent = malloc(RECENT_PAIRS * sizeof *f->recent);
    f->gathered = malloc(f->gathered_room * sizeof *f->gathered);
    f->sorted = malloc(f->gathered_room * sizeof *f->sorted);
    f->runs = malloc(f->runs_room);
    return f->documents && f->recent && f->gathered && f->sorted && f->runs ? 0 : -ENOMEM;
}

void pairs_found_close(struct pairs_found *f)
{
    free(f->documents);
    free(f->recent);
    free(f->gathered);
    free(f->sorted);
    free(f->runs);
    *f = (struct pairs_found){0};
}

void pairs_found_begin(struct pairs_found *f, uint32_t low, uint32_t high, const uint32_t *postings)
{
    for (size_t i = 0; i < f->pairs->count; i++)
        f->documents[i + 1] = f->pairs->words[i].term.documents;
    f->postings = postings;
    f->low = low;
    f->high = high;
    f->gathered_count = f->runs_used = f->run_count = 0;
    f->is_full = false;
    memset(f->recent, 0, RECENT_PAIRS * sizeof *f->recent);
}

double pairs_found_used(const struct pairs_found *f)
{
    return f->is_full ? 1 : (double)f->runs_used / (double)f->runs_room;
}

/* -------------------------------------------------------------------------------------------------------------- a run
 */

/* Into the order of one of their words' numbers, those of the same number as they were. */
static void sort_by(unsigned shift, const uint64_t *in, size_t count, uint64_t *out)
{
    uint32_t places[PAIRED_MOST + 2] = {0}; /* of each number, behind that of the one before */
    for (size_t i = 0; i < count; i++)
        places[(in[i] >> shift & 0xffff) + 1]++;
    for (size_t i = 1; i < PAIRED_MOST + 2; i++)
        places[i] += places[i - 1];
    for (size_t i = 0; i < count; i++)
        out[places[in[i] >> shift & 0xffff]++] = in[i];
}

static uint32_t words_of(uint64_t found)
{
    return (uint32_t)(found >> 32);
}

/* Where those of the next pair begin, and how many numbers are different. */
static const uint64_t *pass_pair(const uint64_t *from, const uint64_t *end, uint32_t *out_count)
{
    const uint64_t *at = from + 1;
    uint32_t count = 1;
    for (; at < end && words_of(*at) == words_of(*from); at++)
        count += *at != at[-1];
    *out_count = count;
    return at;
}

static uint8_t *put_numbers(uint8_t *to, const uint64_t *from, const uint64_t *end)
{
    to = varint_put(to, (uint32_t)*from);
    for (const uint64_t *at = from + 1; at < end; at++) {
        if (*at != at[-1])
            to = varint_put(to, *at - at[-1] - 1);
    }
    return to;
}

static void put_pairs(struct pairs_found *f, const uint64_t *at, const uint64_t *end)
{
    uint32_t before = 0, count;
    while (at < end && !f->is_full) {
        const uint64_t *next = pass_pair(at, end, &count);
        uint8_t *to = f->runs + f->runs_used;
        f->is_full |= (f->runs_room - f->runs_used) / FOUND_VARINT_MAX < (size_t)count + 2;
        if (f->is_full)
            return;
        to = varint_put(to, words_of(*at) - before);
        to = varint_put(to, count);
        f->runs_used = (size_t)(put_numbers(to, at, next) - f->runs);
        before = words_of(*at);
        at = next;
    }
}

static void write_run(struct pairs_found *f)
{
    size_t head = f->runs_used;
    f->is_full |= f->runs_room - head < RUN_HEAD || f->run_count == most_runs(f);
    if (f->is_full || f->gathered_count == 0)
        return;
    sort_by(32, f->gathered, f->gathered_count, f->sorted);
    sort_by(48, f->sorted, f->gathered_count, f->gathered);
    f->runs_used += RUN_HEAD;
    put_pairs(f, f->gathered, f->gathered + f->gathered_count);
    store_u32(f->runs + head, (uint32_t)(f->runs_used - head - RUN_HEAD));
    f->run_count++;
    f->gathered_count = 0;
}

/* Of the words' postings, those of the rarer one, as who reads them takes it (pairs.h). */
static uint32_t posting_of(const struct pairs_found *f, uint32_t words)
{
    uint32_t first = words >> 16, second = words & 0xffff;
    return f->postings[f->documents[first] <= f->documents[second] ? first : second] - 1;
}

/* In as many steps whatever they are, and without a branch. */
static uint64_t *gather(struct pairs_found *f, const uint32_t *pairs, size_t count, uint64_t *to)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t *place = &f->recent[pairs[i] * 0x9e3779b1u >> 18];
        uint32_t first = pairs[i] >> 16;
        *to = (uint64_t)pairs[i] << 32 | posting_of(f, pairs[i]);
        bool is_new = *place != *to;
        *place = *to;
        to += is_new & (first >= f->low) & (first < f->high);
    }
    return to;
}
static_assert(RECENT_PAIRS == 1 << (32 - 18), "places are the upper bits of 32");

void pairs_found_add(struct pairs_found *f, const uint32_t *pairs, size_t count)
{
    if (f->gathered_room - f->gathered_count < count)
        write_run(f);
    if (f->is_full)
        return;
    uint64_t *end = gather(f, pairs, count, f->gathered + f->gathered_count);
    f->gathered_count = (size_t)(end - f->gathered);
}

void pairs_found_end(struct pairs_found *f)
{
    write_run(f);
}

/* ------------------------------------------------------------------------------------------------------------- the end
 */

static uint32_t get_varint(const uint8_t **at)
{
    uint32_t value = *(*at)++;
    if (value < 128)
        return value;
    value &= 127;
    for (unsigned shift = 7;; shift += 7) {
        uint32_t byte = *(*at)++;
        value |= (byte & 127) << shift;
        if (byte < 128)
            return value;
    }
}

static void next_pair(struct cursor *c)
{
    c->words = c->at < c->end ? c->words + get_varint(&c->at) : NO_WORDS;
}

static struct cursor *open_runs(struct pairs_found *f)
{
    struct cursor *cursors = (struct cursor *)(void *)f->gathered;
    const uint8_t *at = f->runs;
    for (size_t i = 0; i < f->run_count; i++) {
        uint32_t size = load_u32(at);
        at += RUN_HEAD;
        cursors[i] = (struct cursor){.at = at, .end = at + size};
        next_pair(&cursors[i]);
        at += size;
    }
    return cursors;
}

static uint32_t lowest_words(const struct cursor *cursors, size_t count)
{
    uint32_t lowest = NO_WORDS;
    for (size_t i = 0; i < count; i++)
        lowest = cursors[i].words < lowest ? cursors[i].words : lowest;
    return lowest;
}

/* The postings of a pair, as gaps. */
struct found_gaps {
    uint32_t *gaps;
    size_t room;
    uint32_t count, next; /* next: the lowest number that may come */
};

static bool make_room(struct found_gaps *g, size_t count)
{
    if (g->room - g->count >= count)
        return true;
    size_t room = 2 * (g->count + count) + LEAST_GAPS;
    uint32_t *gaps = realloc(g->gaps, room * sizeof *gaps);
    if (!gaps)
        return false;
    g->gaps = gaps;
    g->room = room;
    return true;
}

static int take_pair(struct found_gaps *g, struct cursor *c)
{
    uint32_t count = get_varint(&c->at), first = get_varint(&c->at);
    if (!make_room(g, count))
        return -ENOMEM;
    if (first >= g->next) {
        g->gaps[g->count++] = first - g->next;
        g->next = first + 1;
    }
    for (uint32_t i = 1; i < count; i++) {
        uint32_t gap = get_varint(&c->at);
        g->gaps[g->count++] = gap;
        g->next += gap + 1;
    }
    next_pair(c);
    return 0;
}

/* Of all runs; numbers in a run are not below those in the run before. */
static int take_all(struct found_gaps *g, struct cursor *cursors, size_t count, uint32_t words)
{
    int err = 0;
    g->count = g->next = 0;
    for (size_t i = 0; i < count && !err; i++) {
        if (cursors[i].words == words)
            err = take_pair(g, &cursors[i]);
    }
    return err;
}

int pairs_found_visit(struct pairs_found *f, pairs_visitor *visit, void *context)
{
    struct cursor *cursors = open_runs(f);
    struct found_gaps g = {0};
    uint32_t words;
    int err = 0;
    while (!err && (words = lowest_words(cursors, f->run_count)) != NO_WORDS) {
        err = take_all(&g, cursors, f->run_count, words);
        if (!err)
            err = visit(context, words >> 16, words & 0xffff, g.gaps, g.count);
    }
    free(g.gaps);
    return err;
}
