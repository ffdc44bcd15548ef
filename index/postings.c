/* One posting after the other, over the blocks of a list. */
#include "index/postings.h"

#include "common/err.h"
#include "index/segment_parts.h"

static void stop(struct postings *p, int err)
{
    p->document = POSTINGS_END;
    p->count = 0;
    if (!p->err)
        p->err = err;
}

static void enter(struct postings *p, uint32_t block)
{
    if (block >= p->list.blocks) {
        stop(p, 0);
        return;
    }
    int err = block_enter(&p->list, block, &p->block);
    if (!err) {
        block_documents(&p->list, &p->block);
        err = block_frequencies(&p->list, &p->block);
    }
    if (!err)
        err = block_starts(&p->list, &p->block);
    if (err)
        stop(p, err);
    p->next = 0;
}

static void stand(struct postings *p)
{
    uint32_t i = p->next++;
    p->document = p->block.documents[i];
    p->t = p->block.t[i];
    p->count = p->block.starts[i + 1] - p->block.starts[i];
}

void postings_open(struct postings *p, const struct segment *s, const struct term *t)
{
    p->err = 0;
    p->document = 0;
    p->block.number = NO_BLOCK;
    int err = list_open(&p->list, s, t, s->kernels);
    if (err)
        stop(p, err);
    else
        enter(p, 0);
    if (p->document != POSTINGS_END)
        stand(p);
}

void postings_next(struct postings *p)
{
    if (p->document == POSTINGS_END)
        return;
    if (p->next == p->block.count)
        enter(p, p->block.number + 1);
    if (p->document != POSTINGS_END)
        stand(p);
}

void postings_pass(struct postings *p, uint32_t count)
{
    p->next += count - 1;
    postings_next(p);
}

void postings_seek(struct postings *p, uint32_t document)
{
    if (p->document == POSTINGS_END || p->document >= document)
        return;
    uint32_t block = list_find(&p->list, p->block.number, document);
    if (block != p->block.number) {
        enter(p, block);
        if (p->document == POSTINGS_END)
            return;
        stand(p);
    }
    while (p->document < document)
        postings_next(p);
}

bool postings_positions(struct postings *p, uint32_t *out)
{
    if (p->count == 0 || p->err)
        return !p->err;
    int err = block_positions(&p->list, &p->block, p->next - 1, 0, out);
    if (err)
        stop(p, err);
    return !err;
}
