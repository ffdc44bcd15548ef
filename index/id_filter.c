#include "index/id_filter.h"

#include <errno.h>
#include <stdlib.h>

#include "common/bytes.h"
#include "common/crc.h"
#include "common/err.h"

enum { BITS = 480, BIT_BYTES = BITS / 8, PROBES = 6 };

/* -------------------------------------------------------------------------------------------------------------- the span
 */

bool id_span_has(const struct id_span *s, uint64_t hash)
{
    return s->first <= hash && hash <= s->last;
}

uint32_t id_span_block(const struct id_span *s, uint64_t hash)
{
    uint64_t d = hash - s->first, span = s->last - s->first;
    unsigned shift = span >> 32 ? 32 - (unsigned)__builtin_clzll(span) : 0;
    return (uint32_t)((d >> shift) * s->blocks / ((span >> shift) + 1));
}

/* --------------------------------------------------------------------------------------------------------------- a block
 */

struct probes {
    uint32_t next, step;
};

static struct probes probes_of(uint64_t hash)
{
    uint64_t x = (hash ^ hash >> 32) * UINT64_C(0x9e3779b97f4a7c15);
    return (struct probes){(uint32_t)(x >> 32), (uint32_t)x | 1};
}

static uint32_t next_bit(struct probes *p)
{
    uint32_t bit = (uint32_t)((uint64_t)p->next * BITS >> 32);
    p->next += p->step;
    return bit;
}

static uint32_t crc_of(const struct id_span *s, uint32_t number, const uint8_t *block)
{
    uint8_t name[12];
    store_u64(name, s->segment);
    store_u32(name + 8, number);
    return crc32c(crc32c(0, name, sizeof name), block, BIT_BYTES);
}

static void add(uint8_t *block, uint64_t hash)
{
    struct probes p = probes_of(hash);
    for (int i = 0; i < PROBES; i++) {
        uint32_t bit = next_bit(&p);
        block[bit / 8] |= (uint8_t)(1u << bit % 8);
    }
}

static bool has(const uint8_t *block, uint64_t hash)
{
    struct probes p = probes_of(hash);
    for (int i = 0; i < PROBES; i++) {
        uint32_t bit = next_bit(&p);
        if (!(block[bit / 8] >> bit % 8 & 1))
            return false;
    }
    return true;
}

int id_block_check(const struct id_span *s, uint32_t number, const uint8_t *block)
{
    return load_u32(block + BIT_BYTES) == crc_of(s, number, block) ? 0 : ERR_CORRUPT;
}

bool id_block_may_have(const struct id_span *s, uint32_t number, const uint8_t *block, uint64_t hash, int *err)
{
    *err = id_block_check(s, number, block);
    return !*err && has(block, hash);
}

/* ---------------------------------------------------------------------------------------------------------------- making
 */

static int fill(struct id_filter *f, uint32_t count, id_hash_source *source, const void *context)
{
    uint64_t before = f->span.first;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t hash;
        int err = source(context, i, &hash);
        if (err)
            return err;
        if (hash < before || hash > f->span.last)
            return ERR_CORRUPT;
        add(f->blocks + (size_t)id_span_block(&f->span, hash) * ID_BLOCK, hash);
        before = hash;
    }
    for (uint32_t n = 0; n < f->span.blocks; n++) {
        uint8_t *block = f->blocks + (size_t)n * ID_BLOCK;
        store_u32(block + BIT_BYTES, crc_of(&f->span, n, block));
    }
    return 0;
}

int id_filter_make(uint64_t segment, uint32_t count, id_hash_source *source, const void *context, struct id_filter *out)
{
    struct id_filter f = {.span = {.segment = segment, .blocks = (count - 1) / ID_BLOCK_IDS + 1}};
    int err = source(context, 0, &f.span.first);
    if (!err)
        err = source(context, count - 1, &f.span.last);
    if (err)
        return err;
    if (f.span.last < f.span.first)
        return ERR_CORRUPT;
    f.blocks = calloc(f.span.blocks, ID_BLOCK);
    if (!f.blocks)
        return -ENOMEM;
    err = fill(&f, count, source, context);
    if (err)
        id_filter_free(&f);
    else
        *out = f;
    return err;
}

void id_filter_free(struct id_filter *f)
{
    free(f->blocks);
    *f = (struct id_filter){0};
}
