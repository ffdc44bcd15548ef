/* The best of all documents that have any item: MAXSCORE (Turtle and Flood, "Query evaluation: strategies and
 * optimizations", 1995) over windows of documents, with the bounds of the blocks that lie there (Mallia, Siedlaczek,
 * Mackenzie and Suel, "PISA", 2019, compare the family). Clauses with small bounds that cannot make a hit by themselves are
 * not walked through; only candidates that the others found are looked up in them. */
#include "index/query_prune.h"

#include <string.h>

#include "common/err.h"

enum {
    SPAN = 1024,         /* windows whose bounds are known at a time */
    HITS_A_WINDOW = 128, /* of the windows that are taken first */
    MOST_FIRST = 16,     /* of them */
    WORTH_IT = 4096,     /* postings */
};

struct any {
    struct scan *s;
    struct batch *batch;
    struct window *window;
    struct clause **clauses;
    size_t count;
    struct matcher **excluded;
    uint64_t counted;
    bool pruned; /* not all that matches was counted */

    /* a span of windows: by clause a row of what each may add, and the sums; ABSENT where nothing is */
    uint32_t first, windows;
    int32_t *rows, *sums;
    bool *done;

    /* the window in hand: the clauses that are there by rising bound, and those bounds */
    struct clause **ranked;
    int32_t *bounds;
    size_t there;
};

/* ------------------------------------------------------------------------------------------------------------- opening
 */

static bool make_room(struct any *x)
{
    size_t leaves = x->s->scope.query->leaf_count;
    struct arena *a = x->s->scope.arena;
    x->clauses = arena_new_array(a, leaves, struct clause *);
    x->ranked = arena_new_array(a, leaves, struct clause *);
    x->bounds = arena_new_array(a, leaves, int32_t);
    x->excluded = scan_matchers(x->s, x->s->plan->excluded, x->s->plan->excluded_count);
    if (!x->clauses || !x->ranked || !x->bounds)
        x->s->scope.err = ERR_FULL;
    return !x->s->scope.err;
}

static bool open_any(struct any *x)
{
    struct scan *s = x->s;
    const struct query *q = s->scope.query;
    struct clause *all = arena_new_array(s->scope.arena, q->leaf_count, struct clause);
    if (!all)
        s->scope.err = ERR_FULL;
    if (!make_room(x))
        return false;
    for (size_t i = 0; i < q->leaf_count && !s->scope.err; i++) {
        if (!q->leaves[i].scored)
            continue;
        clause_open(&s->scope, &q->leaves[i], &all[i]);
        if (all[i].kind != CLAUSE_NOTHING)
            x->clauses[x->count++] = &all[i];
    }
    return !s->scope.err;
}

/* ------------------------------------------------------------------------------------------------------------- windows
 */

/* The clauses by their bounds in a window of the span. */
static void rank_clauses(struct any *x, uint32_t w)
{
    x->there = 0;
    for (size_t i = 0; i < x->count; i++) {
        int32_t bound = x->rows[i * x->windows + w];
        if (bound == ABSENT)
            continue;
        size_t at = x->there++;
        for (; at > 0 && x->bounds[at - 1] > bound; at--) {
            x->bounds[at] = x->bounds[at - 1];
            x->ranked[at] = x->ranked[at - 1];
        }
        x->bounds[at] = bound;
        x->ranked[at] = x->clauses[i];
    }
}

/* Deleted documents are not seen; the sums that they have are left out with them. */
static uint64_t leave_out_deleted(struct any *x, uint32_t base)
{
    const struct core_segment *core = x->s->core;
    const struct deletion_chunk *chunk = core->chunks ? core->chunks[base / CHUNK_DOCUMENTS] : NULL;
    struct window *w = x->window;
    for (size_t i = 0; chunk && i < WINDOW / 64; i++) {
        uint64_t deleted = w->seen[i] & chunk->bits[base % CHUNK_DOCUMENTS / 64 + i];
        w->seen[i] &= ~deleted;
        for (; deleted; deleted &= deleted - 1)
            w->sums[64 * i + (size_t)__builtin_ctzll(deleted)] = 0;
    }
    return x->s->scope.kernels->count_bits((const uint8_t *)w->seen, WINDOW / 64);
}

/* What the window saw becomes the batch, as far as it may still get `least`; the window is as before. How many live
 * documents it saw. */
static uint64_t drain(struct any *x, uint32_t base, int32_t least)
{
    struct batch *b = x->batch;
    uint64_t seen = leave_out_deleted(x, base);
    b->count = x->s->scope.kernels->drain(x->window->seen, x->window->sums, WINDOW / 64, base, least, b->documents,
                                          b->scores);
    return seen;
}

/* The candidates in the clauses that were not walked through, from the largest bound down; `rest` is their sum. */
static void complete(struct any *x, size_t optional, int32_t least, int32_t rest)
{
    struct batch *b = x->batch;
    for (size_t i = optional; i-- > 0 && b->count > 0;) {
        rest -= x->bounds[i];
        struct candidates c = {
            .documents = b->documents,
            .count = b->count,
            .scores = b->scores,
            .least = least - rest,
            .out = b->added,
        };
        clause_look_up(x->ranked[i], &c);
        prune_add(x->s, b, false, least - rest);
    }
}

/* The same where only one clause is walked through, a word: its blocks are the batch. */
static uint64_t keep(struct any *x, struct clause *only, uint32_t base, uint32_t end, int32_t least)
{
    struct batch *b = x->batch;
    uint64_t seen = 0;
    b->count = scored_keep(&only->lists[0], base, end, least, b->documents, b->scores, &seen);
    x->pruned |= least > 0; /* some was passed over */
    return seen;
}

static uint64_t accumulate(struct any *x, size_t optional, uint32_t base, uint32_t end, int32_t least)
{
    if (optional + 1 == x->there && x->ranked[optional]->kind == CLAUSE_WORD)
        return keep(x, x->ranked[optional], base, end, least);
    for (size_t i = optional; i < x->there; i++)
        clause_accumulate(x->ranked[i], base, end, x->window);
    return drain(x, base, least);
}

/* Where all that was seen is in the batch, it says what was deleted or excluded, too. */
static void count(struct any *x, uint64_t seen, int32_t least)
{
    bool all = least <= 0 || x->s->plan->excluded_count > 0;
    x->counted += all ? x->batch->count : seen;
    x->pruned |= least > 0 && x->s->plan->excluded_count > 0;
}

/* One window of the span; nothing is done where no document can get in. */
static void take_window(struct any *x, uint32_t w)
{
    struct scan *s = x->s;
    uint32_t base = (x->first + w) * WINDOW, documents = s->scope.documents;
    uint32_t end = documents - base > WINDOW ? base + WINDOW : documents;
    int32_t least = prune_least(s, base), rest = 0;
    if (x->sums[w] == ABSENT || x->sums[w] < least) {
        x->pruned |= x->sums[w] != ABSENT;
        return;
    }
    rank_clauses(x, w);
    size_t optional = 0;
    while (optional < x->there && rest + x->bounds[optional] < least)
        rest += x->bounds[optional++];
    x->pruned |= optional > 0;
    uint64_t seen = accumulate(x, optional, base, end, least - rest);
    complete(x, optional, least, rest);
    prune_exclude(s, x->batch, x->excluded);
    count(x, seen, least);
    prune_offer(s, x->batch);
}

/* --------------------------------------------------------------------------------------------------------------- spans
 */

static bool open_span(struct any *x, uint32_t first, uint32_t windows)
{
    struct arena *a = x->s->scope.arena;
    x->first = first;
    x->windows = windows;
    x->rows = arena_alloc_unset(a, x->count * windows * sizeof *x->rows);
    x->sums = arena_alloc_unset(a, windows * sizeof *x->sums);
    x->done = arena_new_array(a, windows, bool);
    if (!x->rows || !x->sums || !x->done) {
        x->s->scope.err = ERR_FULL;
        return false;
    }
    for (uint32_t w = 0; w < windows; w++)
        x->sums[w] = ABSENT;
    for (size_t i = 0; i < x->count; i++) {
        int32_t *row = x->rows + i * windows;
        clause_window_bounds(x->clauses[i], first, windows, row);
        for (uint32_t w = 0; w < windows; w++) {
            if (row[w] != ABSENT)
                x->sums[w] = (x->sums[w] == ABSENT ? 0 : x->sums[w]) + row[w];
        }
    }
    return !x->s->scope.err;
}

/* The sum that so many windows reach. */
static int32_t best_of(const int32_t *sums, uint32_t windows, uint32_t wanted)
{
    int32_t best[MOST_FIRST] = {0};
    for (uint32_t w = 0; w < windows; w++) {
        int32_t sum = sums[w];
        for (uint32_t i = 0; i < wanted; i++) {
            int32_t other = best[i];
            if (sum <= other)
                continue;
            best[i] = sum;
            sum = other;
        }
    }
    return best[wanted - 1];
}

static void rewind_all(struct any *x)
{
    const struct plan *p = x->s->plan;
    for (size_t i = 0; i < x->count; i++)
        clause_rewind(x->clauses[i]);
    if (p->excluded_count > 0)
        x->excluded = scan_matchers(x->s, p->excluded, p->excluded_count); /* they only go forwards */
}

/* A few windows that promise most are taken before all others: what has to be reached is high from the beginning then.
 * Needs a second way through the lists, so that it is for long ones only. */
static void take_best_windows(struct any *x)
{
    uint32_t wanted = 1 + (uint32_t)(x->s->top->room / HITS_A_WINDOW), taken = 0;
    uint64_t cost = 0;
    for (size_t i = 0; i < x->count; i++)
        cost += x->clauses[i]->cost;
    if (wanted > MOST_FIRST || wanted > x->windows / 4 || top_is_full(x->s->top) || cost < WORTH_IT)
        return;
    int32_t least = best_of(x->sums, x->windows, wanted);
    for (uint32_t w = 0; w < x->windows && taken < wanted && !x->s->scope.err; w++) {
        if (x->sums[w] < least)
            continue;
        take_window(x, w);
        x->done[w] = true;
        taken++;
    }
    rewind_all(x);
}

static void take_span(struct any *x)
{
    struct scope *s = &x->s->scope;
    take_best_windows(x);
    for (uint32_t w = 0; w < x->windows && !s->err; w++) {
        if (x->done[w] || x->sums[w] == ABSENT)
            continue;
        if (scope_is_over_now(s))
            return;
        take_window(x, w);
    }
}

/* Documents with any of the clauses, if each stood there whether the others do or not. */
static double matching(const struct any *x)
{
    double documents = x->s->scope.documents, none = 1.0;
    for (size_t i = 0; i < x->count; i++) {
        double cost = (double)x->clauses[i]->cost;
        none *= 1.0 - (cost < documents ? cost : documents) / documents;
    }
    return documents * (1.0 - none);
}

void prune_any(struct scan *s)
{
    struct any x = {.s = s, .batch = &s->prune->batch};
    if (!open_any(&x) || x.count == 0)
        return;
    if (x.count == 1 && x.clauses[0]->kind == CLAUSE_WORD) {
        prune_word(s, x.clauses[0]);
        return;
    }
    x.window = prune_window(s);
    uint32_t windows = (s->scope.documents + WINDOW - 1) / WINDOW;
    for (uint32_t first = 0; first < windows && !s->scope.err && !s->scope.late; first += SPAN) {
        if (open_span(&x, first, windows - first < SPAN ? windows - first : SPAN))
            take_span(&x);
    }
    s->counts[0] += x.pruned ? prune_estimate(s, matching(&x), x.counted) : x.counted;
}
