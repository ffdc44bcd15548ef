#include "index/query_prune.h"

#include <stddef.h>
#include <string.h>

struct prune *prune_new(struct arena *a)
{
    struct prune *p = arena_alloc_unset(a, sizeof *p);
    if (!p)
        return NULL;
    p->is_window_clear = false; /* most of it is written before it is read */
    p->tried = p->found = p->live = p->kept = 0;
    return p;
}

struct window *prune_window(const struct scan *s)
{
    struct prune *p = s->prune;
    if (!p->is_window_clear)
        memset(&p->window, 0, offsetof(struct window, group));
    p->is_window_clear = true;
    return &p->window;
}

static int32_t least_of_its_own(const struct scan *s, uint32_t document)
{
    const struct top *t = s->top;
    if (!top_is_full(t) || t->room == 0 || top_worst_dropped(t) > 0)
        return 0;
    bool is_later = segment_stamps(s->scope.segment)[document] > t->worst.stamp;
    return (int32_t)top_worst_score(t) + is_later;
}

int32_t prune_least(const struct scan *s, uint32_t document)
{
    const struct query_run *run = s->scope.run;
    int32_t own = least_of_its_own(s, document);
    int32_t shared = run->shared ? (int32_t)tagged_max_get(run->shared, run->shared_tag) : 0;
    return own > shared ? own : shared;
}

enum { OFFERED_AT_ONCE = 128 };

/* Of a batch with enough hits only those that may be among its best. */
static int32_t least_of_batch(const struct scan *s, const struct batch *b)
{
    const struct top *t = s->top;
    bool is_worth_it = !top_is_full(t) && t->room <= KERNEL_REACHED && b->count > t->room;
    return is_worth_it ? s->scope.kernels->reached(b->scores, b->count, t->room) : 0;
}

/* They lie anywhere: brought together, where each would be waited for. */
static void expect_stamps(const struct scan *s, const uint32_t *documents, size_t count)
{
    const uint64_t *stamps = segment_stamps(s->scope.segment);
    for (size_t i = 0; i < count; i++)
        __builtin_prefetch(&stamps[documents[i]]);
}

/* A few at a time, since what is needed rises with each: most of the next ones are left out together. */
void prune_offer(struct scan *s, struct batch *b)
{
    int32_t least_of_all = least_of_batch(s, b);
    uint32_t documents[OFFERED_AT_ONCE + KERNEL_OVERWRITE];
    int32_t scores[OFFERED_AT_ONCE + KERNEL_OVERWRITE];
    for (size_t from = 0; from < b->count && !s->scope.err; from += OFFERED_AT_ONCE) {
        size_t count = b->count - from < OFFERED_AT_ONCE ? b->count - from : OFFERED_AT_ONCE;
        int32_t least = least_of_its_own(s, b->documents[from]);
        least = least > least_of_all ? least : least_of_all;
        count = s->scope.kernels->keep_scores(b->documents + from, b->scores + from, count, least, documents, scores);
        expect_stamps(s, documents, count);
        for (size_t i = 0; i < count; i++)
            scan_offer(s, 0, (uint64_t)scores[i], documents[i]);
    }
    prune_share(s);
}

/* All the hits that are wanted, that is; what is full because its segments have no more documents says nothing. */
void prune_share(const struct scan *s)
{
    const struct query_run *run = s->scope.run;
    const struct top *t = s->top;
    if (run->shared && t->room > 0 && t->room == run->limit && top_is_full(t) && top_worst_dropped(t) == 0)
        tagged_max_raise(run->shared, run->shared_tag, (uint32_t)top_worst_score(t));
}

/* No score is so low: those that leave get it, four at a time, and then all that are too low go. */
void prune_add(const struct scan *s, struct batch *b, bool required, int32_t least)
{
    typedef int32_t four __attribute__((vector_size(16), aligned(4), may_alias));
    typedef uint32_t sums __attribute__((vector_size(16), aligned(4), may_alias)); /* behind the last, of anything */
    const int32_t lowest = required ? 0 : ABSENT, gone = INT32_MIN;
    for (size_t i = 0; i < b->count; i += 4) {
        four added = *(const four *)(b->added + i), leaves = added < lowest;
        four score = (four)(*(sums *)(b->scores + i) + (sums)(added & (added > 0)));
        *(four *)(b->scores + i) = (leaves & gone) | (score & ~leaves);
    }
    b->count = s->scope.kernels->keep_scores(b->documents, b->scores, b->count, least > gone ? least : gone + 1,
                                             b->documents, b->scores);
}

bool prune_is_excluded(const struct scan *s, struct matcher **excluded, uint32_t document)
{
    for (size_t i = 0; i < s->plan->excluded_count; i++) {
        if (matcher_seek(excluded[i], document) == document)
            return true;
    }
    return false;
}

void prune_exclude(const struct scan *s, struct batch *b, struct matcher **excluded)
{
    struct prune *p = s->prune;
    size_t kept = 0;
    if (s->core->deleted == 0 && s->plan->excluded_count == 0)
        return;
    for (size_t i = 0; i < b->count; i++) {
        uint32_t document = b->documents[i];
        if (core_is_deleted(s->core, document))
            continue;
        p->live++;
        if (prune_is_excluded(s, excluded, document))
            continue;
        b->documents[kept] = document;
        b->scores[kept++] = b->scores[i];
    }
    p->kept += kept;
    b->count = kept;
}

uint64_t prune_estimate(const struct scan *s, double matching, uint64_t counted)
{
    const struct prune *p = s->prune;
    double documents = s->scope.documents, live = documents - s->core->deleted;
    double kept = p->live > 0 ? (double)p->kept / (double)p->live : 1.0;
    uint64_t hits = (uint64_t)(matching * (live / documents) * kept);
    return hits > counted ? hits : counted;
}
