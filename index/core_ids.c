#include "index/core_ids.h"

#include "common/bytes.h"
#include "common/err.h"
#include "index/core_keys.h"

enum { HEAD = 32, BLOCKS_AT = CORE_HEADER + HEAD };

struct part {
    struct id_span span;
    uint32_t first, count; /* of its blocks */
    const uint8_t *blocks;
};

/* --------------------------------------------------------------------------------------------------------------- writing
 */

static void put_part(struct core_file *f, const struct id_filter *filter, uint32_t number)
{
    const struct id_span *s = &filter->span;
    char head[BLOCKS_AT];
    struct core_key key = core_key_part(CORE_IDS, s->segment, number);
    uint32_t first = number * CORE_IDS_PART, left = s->blocks - first, count = left < CORE_IDS_PART ? left : CORE_IDS_PART;
    struct str blocks = {.ptr = (const char *)filter->blocks + (size_t)first * ID_BLOCK, .len = (size_t)count * ID_BLOCK};
    size_t used = BLOCKS_AT + blocks.len, size = used < CORE_OWN_PAGES ? (size_t)CORE_OWN_PAGES : used;
    store_u64(head + CORE_HEADER, s->first);
    store_u64(head + CORE_HEADER + 8, s->last);
    store_u32(head + CORE_HEADER + 16, s->blocks);
    store_u32(head + CORE_HEADER + 20, first);
    store_u64(head + CORE_HEADER + 24, 0);
    core_value_head(head, core_key_str(&key), CORE_VALUE_VERSION, size - CORE_HEADER, HEAD);
    core_file_put_parts(f, core_key_str(&key), (struct str){head, sizeof head}, blocks, size);
}

void core_ids_put(struct core_file *f, const struct id_filter *filter)
{
    for (uint32_t number = 0; number * CORE_IDS_PART < filter->span.blocks; number++)
        put_part(f, filter, number);
}

/* --------------------------------------------------------------------------------------------------------------- reading
 */

static int get_part(struct str key, struct str value, struct part *out)
{
    uint32_t number;
    int err = core_key_read_part(CORE_IDS, key, &out->span.segment, &number);
    if (!err)
        err = core_value_check_version(value, CORE_VALUE_VERSION);
    if (!err)
        err = core_value_check(key, value, HEAD, HEAD);
    if (err)
        return err;
    out->span.first = load_u64(value.ptr + CORE_HEADER);
    out->span.last = load_u64(value.ptr + CORE_HEADER + 8);
    out->span.blocks = load_u32(value.ptr + CORE_HEADER + 16);
    out->first = load_u32(value.ptr + CORE_HEADER + 20);
    out->blocks = (const uint8_t *)value.ptr + BLOCKS_AT;
    if (out->span.last < out->span.first || out->first / CORE_IDS_PART != number || out->first % CORE_IDS_PART ||
        out->first >= out->span.blocks)
        return ERR_CORRUPT;
    uint32_t left = out->span.blocks - out->first;
    out->count = left < CORE_IDS_PART ? left : CORE_IDS_PART;
    return (value.len - BLOCKS_AT) / ID_BLOCK < out->count ? ERR_CORRUPT : 0;
}

int core_ids_check(struct str key, struct str value)
{
    struct part part;
    int err = get_part(key, value, &part);
    for (uint32_t i = 0; !err && i < part.count; i++)
        err = id_block_check(&part.span, part.first + i, part.blocks + (size_t)i * ID_BLOCK);
    return err;
}

static int read_part(struct core_file *f, uint64_t segment, uint32_t number, struct part *out)
{
    struct core_key key = core_key_part(CORE_IDS, segment, number);
    struct str value;
    int err = core_file_get(f, core_key_str(&key), &value);
    return err ? err : get_part(core_key_str(&key), value, out);
}

static bool is_same(const struct id_span *a, const struct id_span *b)
{
    return a->first == b->first && a->last == b->last && a->blocks == b->blocks;
}

/* The part that has a block becomes the one at hand. */
static int turn_to(struct core_file *f, struct part *at, uint32_t block)
{
    if (at->first <= block && block - at->first < at->count)
        return 0;
    struct id_span before = at->span;
    int err = read_part(f, before.segment, block / CORE_IDS_PART, at);
    return err || is_same(&before, &at->span) ? err : ERR_CORRUPT;
}

bool core_ids_find(struct core_file *f, uint64_t segment, const uint64_t *hashes, size_t count, uint32_t *out_places,
                   size_t *out_count)
{
    struct part at;
    size_t found = 0;
    int err = read_part(f, segment, 0, &at);
    for (size_t i = 0; !err && i < count; i++) {
        if (!id_span_has(&at.span, hashes[i]))
            continue;
        uint32_t block = id_span_block(&at.span, hashes[i]);
        err = turn_to(f, &at, block);
        if (!err && id_block_may_have(&at.span, block, at.blocks + (size_t)(block - at.first) * ID_BLOCK, hashes[i], &err))
            out_places[found++] = (uint32_t)i;
    }
    *out_count = found;
    return !err;
}
