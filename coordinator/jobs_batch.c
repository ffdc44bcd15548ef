#include "coordinator/jobs_state.h"

#include <stdlib.h>

#include "common/check.h"

/* From bundles to batches: which of those that wait of a stream go to one worker together, and which of their numbers it is to apply. */

enum { MAX_BUNDLES = NURSERY_MAX_REGIONS, MIN_BATCH = 8 << 20 };

void bundle_give_back(struct bundle *b)
{
    b->next = NULL;
    b->state = BUNDLE_APPLIED;
    b->on_applied(b, b->context);
}

/* Who changes what was there before waits until all of that is applied. */
bool bundle_is_ready(const struct bundle *b, bool small_only, bool gathering)
{
    return (b->small ? !gathering : !small_only) && (!b->ordered || b->first <= b->stream->watermark);
}

struct bundle **bundles_first_ready(struct stream_jobs *sj, bool small_only, bool gathering)
{
    struct bundle **at = &sj->waiting;
    while (*at && !bundle_is_ready(*at, small_only, gathering))
        at = &(*at)->next;
    return at;
}

/* Small bundles that come while a worker is at work on others of their stream wait for its commit and are then one job:
 * under load one commit serves several. Not for long, since it may have met a document that takes its time. */
uint64_t batches_gather_until(const struct stream_jobs *sj)
{
    uint64_t until = 0;
    for (const struct batch *b = sj->batches; b; b = b->next)
        if (b->gathers_until > until)
            until = b->gathers_until;
    return until;
}

bool batches_gather(const struct jobs *j, const struct stream_jobs *sj)
{
    return batches_gather_until(sj) > uv_now(j->to.loop);
}

static uint64_t batch_limit(const struct jobs *j)
{
    uint64_t quarter = j->to.config->worker_memory / 4, share = j->to.config->region_memory / 4;
    uint64_t most = quarter < MIN_BATCH ? MIN_BATCH : quarter;
    return most < share ? most : share; /* several must fit the memory of regions at once */
}

/* One that waits for its predecessors holds up no other: it begins a batch, or follows at once in one that begins so. What was lost of
 * the log is known last, and stands behind what follows it: numbers of a batch rise. */
static bool may_follow(const struct bundle *last, const struct bundle *next, const struct bundle *first)
{
    if (next->small != first->small || first->alone || next->alone || next->first < last->end)
        return false;
    return next->first == last->end ? first->ordered || !next->ordered : !first->ordered && !next->ordered;
}

/* Bundles of the other kind may stand between those of a batch, as single updates do in a bulk load: they are applied by
 * another worker, before or after it. Not those that wait for their predecessors. */
static bool may_be_between(const struct bundle *b, const struct bundle *first)
{
    return b->small != first->small && !b->ordered && !first->ordered;
}

/* Takes bundles of one kind out of the queue, from `*at` on. */
struct batch *batch_make(struct jobs *j, struct stream_jobs *sj, struct bundle **at)
{
    struct batch *made = calloc(1, sizeof *made);
    require(made);
    struct bundle *first = *at, *last = first;
    uint64_t bytes = first->bytes;
    made->bundle_count = 1;
    *at = first->next;
    for (struct bundle *next; (next = *at) != NULL;) {
        if (may_be_between(next, first)) {
            at = &next->next;
            continue;
        }
        if (!may_follow(last, next, first) || bytes + next->bytes > batch_limit(j) || made->bundle_count == MAX_BUNDLES)
            break;
        *at = next->next;
        last = last->next = next;
        bytes += next->bytes;
        made->bundle_count++;
    }
    last->next = NULL;
    while (*at)
        at = &(*at)->next;
    sj->waiting_end = at;
    made->of = sj;
    made->bundles = first;
    made->small = first->small;
    made->attempt = attempt_new(first->first, last->end);
    made->next = sj->batches;
    sj->batches = made;
    return made;
}

void batch_give_back_applied(struct batch *batch)
{
    while (batch->bundles && batch->bundles->end <= batch->attempt.next) {
        struct bundle *done = batch->bundles;
        batch->bundles = done->next;
        bundle_give_back(done);
    }
}

void batch_finish(struct batch *batch)
{
    struct batch **at = &batch->of->batches;
    while (*at != batch)
        at = &(*at)->next;
    *at = batch->next;
    free(batch->skips);
    free(batch);
}

/* The first number from `n` on that is the batch's, and with `unapplied` not applied; its end if there is none. */
uint64_t batch_next_of(const struct batch *batch, uint64_t n, bool unapplied)
{
    const struct stream *s = batch->of->stream;
    for (const struct bundle *b = batch->bundles; b; b = b->next) {
        struct range gap = {.first = n > b->first ? n : b->first, .end = b->end};
        if (gap.first >= b->end || (unapplied && b->end <= s->watermark))
            continue;
        if (unapplied && gap.first < s->watermark)
            gap.first = s->watermark;
        if (!unapplied || ranges_gap(&s->applied, gap.first, b->end, &gap))
            return gap.first;
    }
    return batch->attempt.end;
}

/* The first number of the batch behind `n` that is applied, or its end. */
static uint64_t next_applied(const struct batch *batch, uint64_t n)
{
    const struct ranges *applied = &batch->of->stream->applied;
    for (const struct bundle *b = batch->bundles; b; b = b->next)
        for (size_t i = 0; i < applied->count && applied->at[i].first < b->end; i++) {
            uint64_t at = applied->at[i].first > b->first ? applied->at[i].first : b->first;
            if (at > n && at < applied->at[i].end)
                return at;
        }
    return batch->attempt.end;
}

/* What another worker, perhaps of a former life, has applied already is stepped over: a commit is all or nothing, so a
 * run must not touch it. An attempt begins with an operation of the batch. */
void batch_step_over_applied(struct batch *batch)
{
    struct attempt *a = &batch->attempt;
    a->next = batch_next_of(batch, a->next, true);
    uint64_t applied = next_applied(batch, a->next);
    if (applied < a->stop)
        a->stop = applied;
    if (a->stop <= a->next)
        a->stop = a->end;
}
