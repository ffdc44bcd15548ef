#include "worker/regions.h"

#include <stdlib.h>

#include "common/err.h"
#include "common/region.h"
#include "worker/words.h"

static _Noreturn void die_corrupt(const struct worker *w, size_t number, const char *why)
{
    words_die(w->words, EXIT_REASON_CORRUPT, "region %zu %s", number, why);
}

/* Of whatever edition: operations are accepted for an index, and applied to the edition that it has by then. */
static bool is_of_place(const struct batch_header *h, const place_message *place)
{
    return h->index == place->index && h->shard == place->shard;
}

static void open_region(struct regions *r, struct worker *w, size_t number)
{
    struct batch *b = &r->batches[number];
    const Mayfly__Internal__Range *range = w->job->regions[number];
    struct region region;
    int err = region_map_sealed(&region, w->regions[number], BATCH_HEADER);
    if (err)
        words_die(w->words, words_reason(err), "region %zu cannot be mapped: %s", number, err_str(err));
    struct str bytes = {.ptr = region.base, .len = region.used};
    if (batch_header_decode(bytes, &b->header))
        die_corrupt(w, number, "does not decode");
    if (b->header.first != range->first || range->end < range->first || b->header.count != range->end - range->first)
        die_corrupt(w, number, "has other sequence numbers than the job says");
    if (!is_of_place(&b->header, w->job->place))
        die_corrupt(w, number, "is of another index");
    if (number && b->header.first < w->job->regions[number - 1]->end)
        die_corrupt(w, number, "does not follow those before it");
    b->operations = (struct str){.ptr = region.base + BATCH_HEADER, .len = (size_t)b->header.bytes};
}

static void begin(struct regions *r)
{
    r->at = 0;
    r->rest = r->batches[0].operations;
    r->next = r->batches[0].header.first;
}

/* Also checks every operation, so that nothing that comes later meets bytes that do not decode. */
static void measure(struct regions *r, const struct worker *w, size_t number)
{
    struct operation o;
    struct str rest = r->batches[number].operations;
    uint64_t sequence = r->batches[number].header.first;
    for (uint32_t n = r->batches[number].header.count; n; n--, sequence++) {
        if (operation_decode(&rest, &o))
            die_corrupt(w, number, "has an operation that does not decode");
        if (sequence < r->first || sequence >= r->end)
            continue;
        r->operations++;
        if (o.body.len > r->largest)
            r->largest = o.body.len;
    }
    if (rest.len)
        die_corrupt(w, number, "is longer than its operations");
}

void regions_open(struct regions *r, struct worker *w)
{
    const job_message *job = w->job;
    if (job->n_regions == 0 || job->n_regions != w->region_count)
        words_die(w->words, EXIT_REASON_CORRUPT, "the job has %zu regions and %zu descriptors", job->n_regions,
                  w->region_count);
    *r = (struct regions){.count = job->n_regions};
    r->batches = calloc(r->count, sizeof *r->batches);
    uint64_t first = job->regions[0]->first, end = job->regions[r->count - 1]->end;
    r->first = job->resume > first ? job->resume : first;
    r->end = job->stop && job->stop < end ? job->stop : end;
    if (r->first >= r->end)
        words_die(w->words, EXIT_REASON_CORRUPT, "the job asks for no operation");
    for (size_t i = 0; i < r->count; i++) {
        open_region(r, w, i);
        measure(r, w, i); /* while it is in the cache */
    }
    begin(r);
}

size_t regions_gaps(const struct regions *r, uint64_t end, struct core_range *out)
{
    size_t count = 0;
    for (size_t i = 1; i < r->count && r->batches[i].header.first < end; i++) {
        const struct batch_header *before = &r->batches[i - 1].header;
        uint64_t first = before->first + before->count, next = r->batches[i].header.first;
        if (first < next && next > r->first)
            out[count++] = (struct core_range){.first = first > r->first ? first : r->first, .end = next};
    }
    return count;
}

bool regions_next(struct regions *r, struct operation *out, uint64_t *out_task)
{
    while (r->next < r->end) {
        if (r->rest.len == 0) {
            r->rest = r->batches[++r->at].operations;
            r->next = r->batches[r->at].header.first; /* others' may stand between */
            continue;
        }
        if (operation_decode(&r->rest, out))
            return false; /* it was checked */
        out->sequence = r->next++;
        *out_task = r->batches[r->at].header.task;
        if (out->sequence >= r->first)
            return true;
    }
    return false;
}
