#include "index/differences.h"

#include <errno.h>
#include <stdlib.h>

#include "common/err.h"

struct difference_source { /* a segment, at its next live document */
    const uint64_t *stamps;
    const struct core_segment *core;
    uint32_t next, documents;
    bool is_surplus; /* of `to` */
    size_t snapshot, segment;
};

static uint64_t stamp_of(const struct difference_source *s)
{
    return s->stamps[s->next];
}

static void skip_deleted(struct difference_source *s)
{
    while (s->next < s->documents && core_is_deleted(s->core, s->next))
        s->next++;
}

static void skip_below(struct difference_source *s, uint64_t first)
{
    uint32_t high = s->documents;
    while (s->next < high) {
        uint32_t middle = s->next + (high - s->next) / 2;
        if (s->stamps[middle] < first)
            s->next = middle + 1;
        else
            high = middle;
    }
    skip_deleted(s);
}

static void sink(struct differences *d, size_t at)
{
    for (;;) {
        size_t least = at, child = 2 * at + 1;
        if (child < d->count && stamp_of(&d->heap[child]) < stamp_of(&d->heap[least]))
            least = child;
        if (child + 1 < d->count && stamp_of(&d->heap[child + 1]) < stamp_of(&d->heap[least]))
            least = child + 1;
        if (least == at)
            return;
        struct difference_source moved = d->heap[at];
        d->heap[at] = d->heap[least];
        d->heap[least] = moved;
        at = least;
    }
}

static int add(struct differences *d, const struct snapshot *s, struct difference_source like, uint64_t first,
               struct segment_fault *out_fault)
{
    for (size_t i = 0; i < s->segment_count; i++) {
        const struct snapshot_segment *from = &s->segments[i];
        struct difference_source source = like;
        source.stamps = segment_stamps(from->segment);
        source.core = from->core;
        source.documents = segment_documents(from->segment);
        source.segment = i;
        if (!source.stamps || source.documents != from->core->documents) {
            *out_fault = (struct segment_fault){from->core->id, segment_damaged(from->segment, "stamps"),
                                                from->core->image};
            return ERR_CORRUPT;
        }
        skip_below(&source, first);
        if (source.next < source.documents)
            d->heap[d->count++] = source;
    }
    return 0;
}

int differences_open(struct differences *d, const struct snapshot *const *from, size_t count,
                     const struct snapshot *to, uint64_t first, struct segment_fault *out_fault)
{
    size_t segments = to->segment_count;
    for (size_t i = 0; i < count; i++)
        segments += from[i]->segment_count;
    *d = (struct differences){.heap = calloc(segments + 1, sizeof *d->heap)};
    if (!d->heap)
        return -ENOMEM;
    int err = add(d, to, (struct difference_source){.is_surplus = true}, first, out_fault);
    for (size_t i = 0; i < count && !err; i++)
        err = add(d, from[i], (struct difference_source){.snapshot = i}, first, out_fault);
    for (size_t i = d->count / 2; i-- > 0;)
        sink(d, i);
    return err;
}

void differences_close(struct differences *d)
{
    free(d->heap);
    *d = (struct differences){0};
}

static struct difference take(struct differences *d)
{
    struct difference_source *top = d->heap;
    struct difference taken = {top->is_surplus, top->snapshot, top->segment, top->next, stamp_of(top)};
    top->next++;
    skip_deleted(top);
    if (top->next == top->documents)
        *top = d->heap[--d->count];
    sink(d, 0);
    return taken;
}

/* What both have comes twice in a row. */
bool differences_next(struct differences *d, struct difference *out)
{
    while (d->count) {
        *out = take(d);
        if (d->count == 0 || stamp_of(d->heap) != out->stamp)
            return true;
        take(d);
    }
    return false;
}
