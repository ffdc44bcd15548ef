/* The best of all documents that have any item: MAXSCORE (Turtle and Flood, "Query evaluation: strategies and
 * optimizations", 1995) over windows of documents, with the bounds of the blocks that lie there (Mallia, Siedlaczek,
 * Mackenzie and Suel, "PISA", 2019, compare the family). Clauses with small bounds that cannot make a hit by themselves are
 * not walked through; only candidates that the others found are looked up in them. */
#include "index/query_prune.h"

#include <string.h>

#include "common/err.h"

enum {
    HITS_A_WINDOW = 128, /* of the windows that are taken first */
    MOST_FIRST = 16,     /* of them */
    WORTH_IT = 4096,     /* postings */
};

struct any {
    struct scan *s;
    struct batch *batch;
    struct window *window;
    struct clause **clauses; /* by rising bound */
    size_t count;
    struct clause **ranked; /* by rising bound in the window in hand, and those bounds */
    int32_t *bounds;
    struct matcher **excluded;
    bool *done; /* windows that were taken first; NULL: none were */
    uint64_t counted;
    bool pruned; /* not all that matches was counted */
};

/* ------------------------------------------------------------------------------------------------------------- opening
 */

static void insert(struct clause **clauses, size_t count, struct clause *c)
{
    size_t at = count;
    for (; at > 0 && clauses[at - 1]->bound > c->bound; at--)
        clauses[at] = clauses[at - 1];
    clauses[at] = c;
}

static bool open_any(struct any *x)
{
    struct scan *s = x->s;
    const struct query *q = s->scope.query;
    struct arena *a = s->scope.arena;
    x->clauses = arena_new_array(a, q->leaf_count, struct clause *);
    x->ranked = arena_new_array(a, q->leaf_count, struct clause *);
    x->bounds = arena_new_array(a, q->leaf_count, int32_t);
    struct clause *all = arena_new_array(a, q->leaf_count, struct clause);
    if (!x->clauses || !x->ranked || !x->bounds || !all) {
        s->scope.err = ERR_FULL;
        return false;
    }
    for (size_t i = 0; i < q->leaf_count && !s->scope.err; i++) {
        if (!q->leaves[i].scored)
            continue;
        clause_open(&s->scope, &q->leaves[i], &all[i]);
        if (all[i].kind != CLAUSE_NOTHING)
            insert(x->clauses, x->count++, &all[i]);
    }
    x->excluded = scan_matchers(s, s->plan->excluded, s->plan->excluded_count);
    return !s->scope.err;
}

/* ------------------------------------------------------------------------------------------------------------- windows
 */

/* How many of the clauses with the smallest bounds together stay below what is needed. */
static size_t count_optional(struct clause **clauses, size_t count, int32_t least)
{
    int32_t sum = 0;
    size_t n = 0;
    while (n < count && least - sum > clauses[n]->bound)
        sum += clauses[n++]->bound;
    return n;
}

/* The beginning of the next window where a document may get in. */
static uint32_t next_window(struct any *x, uint32_t from)
{
    uint32_t first = POSTINGS_END;
    size_t optional = count_optional(x->clauses, x->count, prune_least(x->s, from));
    x->pruned |= optional > 0;
    for (size_t i = optional; i < x->count; i++) {
        uint32_t at = clause_reach(x->clauses[i], from);
        first = at < first ? at : first;
    }
    return first == POSTINGS_END ? POSTINGS_END : first & ~(uint32_t)(WINDOW - 1);
}

/* The clauses by their bounds in the window; the sum of those. */
static int32_t rank_clauses(struct any *x, uint32_t base, uint32_t end)
{
    int32_t sum = 0;
    for (size_t i = 0; i < x->count; i++) {
        int32_t bound = clause_bound(x->clauses[i], base, end);
        bound = bound > 0 ? bound : 0;
        size_t at = i;
        for (; at > 0 && x->bounds[at - 1] > bound; at--) {
            x->bounds[at] = x->bounds[at - 1];
            x->ranked[at] = x->ranked[at - 1];
        }
        x->bounds[at] = bound;
        x->ranked[at] = x->clauses[i];
        sum += bound;
    }
    return sum;
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
        prune_add(b, false, least - rest);
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
    if (optional + 1 == x->count && x->ranked[optional]->kind == CLAUSE_WORD)
        return keep(x, x->ranked[optional], base, end, least);
    for (size_t i = optional; i < x->count; i++)
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

static void take_window(struct any *x, uint32_t base, uint32_t end)
{
    struct scan *s = x->s;
    int32_t least = prune_least(s, base), rest = 0;
    if (rank_clauses(x, base, end) < least) {
        x->pruned = true;
        return;
    }
    size_t optional = 0;
    while (optional < x->count && rest + x->bounds[optional] < least)
        rest += x->bounds[optional++];
    x->pruned |= optional > 0;
    uint64_t seen = accumulate(x, optional, base, end, least - rest);
    complete(x, optional, least, rest);
    prune_exclude(s, x->batch, x->excluded);
    count(x, seen, least);
    prune_offer(s, x->batch);
}

/* ----------------------------------------------------------------------------------------------------- where to begin
 */

static uint32_t window_end(const struct any *x, uint32_t base)
{
    uint32_t documents = x->s->scope.documents;
    return documents - base > WINDOW ? base + WINDOW : documents;
}

/* The most that a document of each window may score. */
static void bound_windows(struct any *x, int32_t *bounds, uint32_t windows)
{
    for (uint32_t w = 0; w < windows; w++) {
        bounds[w] = 0;
        for (size_t i = 0; i < x->count; i++) {
            int32_t bound = clause_bound(x->clauses[i], w * WINDOW, window_end(x, w * WINDOW));
            bounds[w] += bound > 0 ? bound : 0;
        }
    }
}

/* The bound that so many windows reach. */
static int32_t best_of(const int32_t *bounds, uint32_t windows, uint32_t wanted)
{
    int32_t best[MOST_FIRST] = {0};
    for (uint32_t w = 0; w < windows; w++) {
        int32_t bound = bounds[w];
        for (uint32_t i = 0; i < wanted; i++) {
            int32_t other = best[i];
            if (bound <= other)
                continue;
            best[i] = bound;
            bound = other;
        }
    }
    return best[wanted - 1];
}

/* A few windows that promise most are taken before all others: what has to be reached is high from the beginning then.
 * Needs a second way through the lists, so that it is for long ones only. */
static void take_best_windows(struct any *x)
{
    uint32_t documents = x->s->scope.documents, windows = (documents + WINDOW - 1) / WINDOW;
    uint32_t wanted = 1 + (uint32_t)(x->s->top->room / HITS_A_WINDOW), taken = 0;
    uint64_t cost = 0;
    for (size_t i = 0; i < x->count; i++)
        cost += x->clauses[i]->cost;
    if (wanted > MOST_FIRST || wanted > windows / 4 || top_is_full(x->s->top) || cost < WORTH_IT)
        return;
    int32_t *bounds = arena_new_array(x->s->scope.arena, windows, int32_t);
    x->done = arena_new_array(x->s->scope.arena, windows, bool);
    if (!bounds || !x->done) {
        x->s->scope.err = ERR_FULL;
        return;
    }
    bound_windows(x, bounds, windows);
    int32_t least = best_of(bounds, windows, wanted);
    for (size_t i = 0; i < x->count; i++)
        clause_rewind(x->clauses[i]);
    for (uint32_t w = 0; w < windows && taken < wanted && !x->s->scope.err; w++) {
        if (bounds[w] < least)
            continue;
        take_window(x, w * WINDOW, window_end(x, w * WINDOW));
        x->done[w] = true;
        taken++;
    }
    for (size_t i = 0; i < x->count; i++)
        clause_rewind(x->clauses[i]);
    x->excluded = scan_matchers(x->s, x->s->plan->excluded, x->s->plan->excluded_count); /* they only go forwards */
}

/* Documents with any of the clauses, if each stood there whether the others do or not. */
static uint64_t estimate(const struct any *x)
{
    double documents = x->s->scope.documents, none = 1.0;
    for (size_t i = 0; i < x->count; i++) {
        double cost = (double)x->clauses[i]->cost;
        none *= 1.0 - (cost < documents ? cost : documents) / documents;
    }
    uint64_t any = (uint64_t)((documents - x->s->core->deleted) * (1.0 - none));
    return any > x->counted ? any : x->counted;
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
    take_best_windows(&x);
    uint32_t base = next_window(&x, 0), documents = s->scope.documents;
    while (base != POSTINGS_END && !scope_is_over_now(&s->scope)) {
        uint32_t end = window_end(&x, base);
        if (!x.done || !x.done[base / WINDOW])
            take_window(&x, base, end);
        base = end < documents ? next_window(&x, end) : POSTINGS_END;
    }
    s->counts[0] += x.pruned ? estimate(&x) : x.counted;
}
