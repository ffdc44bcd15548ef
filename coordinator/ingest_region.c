/* The region of a load, from memory in which operations are gathered to a descriptor. Those of a small one go into it when the
 * log takes it, of a larger one in the pool before that, since it takes as long as a search. In a stream they go to the log in the
 * order in which they are made, but for what may overtake others there, too. */
#include "coordinator/ingest_state.h"

#include <stdlib.h>

#include "common/fd.h"
#include "coordinator/held.h"

/* What is larger than others is written to where it stays: it would be there twice. */
bool ingest_open_region(struct load *l, size_t capacity)
{
    struct region *r = &l->bundle.region;
    l->room = capacity;
    l->staged = capacity <= REGION_SIZE;
    if (l->staged ? region_create(r, "mayfly-batch") : region_open(r, "mayfly-batch", capacity))
        return false;
    l->base = l->staged ? staging_take(&l->ingest->staging) : r->base;
    if (!l->base)
        region_close(r);
    return l->base != NULL;
}

void ingest_keep_descriptor(struct region *r)
{
    int fd = fd_take(&r->fd);
    region_close(r);
    r->fd = fd;
}

/* ------------------------------------------------------------------------------------------------------------- ending */

static void write_header(struct load *l)
{
    struct bundle *b = &l->bundle;
    struct batch_header h = {.count = l->count,
                             .index = b->stream->index->number,
                             .edition = b->stream->numbering,
                             .shard = b->stream->shard,
                             .crc = l->crc,
                             .first = b->first,
                             .bytes = b->bytes,
                             .task = b->task};
    batch_header_encode(l->base, &h);
}

/* Who made the region has put all but the header into it, or nothing yet.
 *
 * The loop seals only what it has just put there itself. A page that another processor has written last is on a list of that
 * one's, and to seal it the kernel waits until a thread of its own there has emptied that: 28 to 84 ms on a busy machine, in
 * which no search went on. Such a region is sealed by the worker, before it reads (region_map_sealed). */
static int end_staged(struct load *l)
{
    struct region *r = &l->bundle.region;
    int err = region_put(r, l->base, l->made ? BATCH_HEADER : BATCH_HEADER + l->bundle.bytes, 0);
    return err || l->made ? err : region_seal(r);
}

/* It was filled in many turns, or by the pool. */
static int end_mapped(struct load *l)
{
    struct region *r = &l->bundle.region;
    r->used = BATCH_HEADER + l->bundle.bytes;
    return region_cut(r);
}

int ingest_end_region(struct load *l)
{
    write_header(l);
    return l->staged ? end_staged(l) : end_mapped(l);
}

int ingest_end(struct load *l)
{
    l->base = l->bundle.region.base;
    ingest_make_crc(l);
    int err = ingest_end_region(l);
    ingest_keep_descriptor(&l->bundle.region);
    l->base = NULL;
    return err;
}

/* ------------------------------------------------------------------------------------------------------------- making */

struct making {
    uv_work_t work;
    struct load *load;
    int err;
};

static struct load *load_of(struct bundle *b)
{
    return b->context;
}

static void give_on(struct stream *s)
{
    while (s->making && !load_of(s->making)->in_pool) {
        struct bundle *b = s->making;
        s->making = b->next;
        b->next = NULL;
        ingest_append(load_of(b));
    }
}

static void in_pool(uv_work_t *work)
{
    struct making *m = (struct making *)work;
    struct bundle *b = &m->load->bundle;
    m->err = region_put(&b->region, m->load->base + BATCH_HEADER, b->bytes, BATCH_HEADER);
}

/* What could not be put is put with the header. */
static void out_of_pool(uv_work_t *work, int status)
{
    struct making *m = (struct making *)work;
    struct load *l = m->load;
    l->made = status == 0 && m->err == 0;
    l->in_pool = false;
    l->ingest->making--;
    free(m);
    give_on(l->bundle.stream);
}

static bool make_in_pool(struct load *l)
{
    struct making *m = malloc(sizeof *m);
    if (!m)
        return false;
    m->load = l;
    if (uv_queue_work(l->ingest->server->loop, &m->work, in_pool, out_of_pool) != 0) {
        free(m);
        return false;
    }
    l->ingest->making++;
    return true;
}

static void put_last(struct bundle **last, struct bundle *b)
{
    while (*last)
        last = &(*last)->next;
    *last = b;
}

void ingest_make(struct load *l)
{
    struct bundle *b = &l->bundle;
    held_made(l);
    if (l->overtakes) {
        ingest_append(l);
        return;
    }
    put_last(&b->stream->making, b);
    l->in_pool = l->staged && b->bytes > SMALL_BUNDLE && make_in_pool(l);
    give_on(b->stream);
}
