#include "index/pairs.h"

#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/hash.h"
#include "index/segment_parts.h"

uint32_t segment_pairs_least(const struct segment *s)
{
    return s->toc.pair_least;
}

unsigned segment_pairs_shift(const struct segment *s)
{
    return s->toc.pair_shift;
}

/* ------------------------------------------------------------------------------------------------------------- entries
 */

struct entry {
    bool is_bitmap;
    uint32_t count; /* of ranges */
    unsigned bits;
    const uint8_t *at;
    size_t size;
};

/* The byte behind it, or NULL if it is damaged. */
static const uint8_t *read_entry(const uint8_t *at, const uint8_t *end, uint32_t ranges, struct entry *e)
{
    if (at == end)
        return NULL;
    uint64_t more = 0;
    uint8_t head = *at++;
    e->is_bitmap = head == PAIR_BITMAP;
    e->bits = head & 15;
    if (head >> 4 == 15)
        at = varint_get(at, end, &more);
    if (!at || more > ranges)
        return NULL;
    e->count = (head >> 4) + (uint32_t)more;
    e->at = at;
    e->size = e->is_bitmap ? (ranges + 7) / 8 : ((size_t)e->count * e->bits + 7) / 8;
    bool is_right = e->is_bitmap || (e->count > 0 && e->bits <= 10);
    return is_right && e->size <= (size_t)(end - at) ? at + e->size : NULL;
}

static bool add_bitmap(const struct entry *e, uint32_t ranges, struct pair_ranges *out)
{
    for (size_t i = 0; i < e->size; i++)
        out->bits[i / 8] |= (uint64_t)e->at[i] << i % 8 * 8;
    return ranges % 8 == 0 || e->at[e->size - 1] >> ranges % 8 == 0;
}

static bool add_gaps(const struct segment *s, const struct entry *e, uint32_t ranges, struct pair_ranges *out)
{
    uint32_t numbers[PAIR_RANGES + KERNEL_OVERWRITE];
    if (e->count > ranges)
        return false;
    s->kernels->unpack_rising(e->at, e->bits, e->count, UINT32_MAX, numbers);
    for (uint32_t i = 0; i < e->count; i++) {
        if (numbers[i] >= ranges)
            return false;
        out->bits[numbers[i] / 64] |= UINT64_C(1) << numbers[i] % 64;
    }
    return true;
}

/* ------------------------------------------------------------------------------------------------------------- buckets
 */

uint32_t segment_pair_bucket(const struct segment *s, struct str first, struct str second)
{
    return pair_bucket(pair_hash(hash64(first), hash64(second)), s->toc.pair_buckets);
}

/* Up to where the next one in the same extent begins, or the extent ends. */
int segment_pair_place(const struct segment *s, uint32_t bucket, uint64_t *out_place, uint32_t *out_size)
{
    uint64_t place = 0, next = UINT64_MAX;
    int err = segment_element_u64(s, &s->pair_places, bucket, &place);
    if (!err && bucket + 1 < s->toc.pair_buckets)
        err = segment_element_u64(s, &s->pair_places, bucket + 1, &next);
    uint32_t part = (uint32_t)(place >> 32), offset = (uint32_t)place;
    if (err || part >= s->pairs.count)
        return err ? err : ERR_CORRUPT;
    uint32_t end = next >> 32 == part ? (uint32_t)next : s->pairs.extents[part].size;
    if (end <= offset)
        return ERR_CORRUPT;
    *out_place = place;
    *out_size = end - offset;
    return 0;
}

static int view_bucket(const struct segment *s, uint32_t bucket, const uint8_t **out, const uint8_t **out_end)
{
    uint64_t place;
    uint32_t size;
    int err = segment_pair_place(s, bucket, &place, &size);
    if (!err)
        err = segment_view(s, &s->pairs, place, size, out);
    if (!err)
        *out_end = *out + size;
    return err;
}

/* The ranges of all pairs with the tag. */
static bool find_in_bucket(const struct segment *s, const uint8_t *at, const uint8_t *end, uint8_t tag,
                           struct pair_ranges *out)
{
    const uint32_t ranges = pair_range_count(s->toc.documents, s->toc.pair_shift);
    uint64_t count;
    at = varint_get(at, end, &count);
    if (!at || count > (uint64_t)(end - at))
        return false;
    const uint8_t *tags = at;
    at += count;
    for (uint64_t i = 0; i < count && tags[i] <= tag; i++) {
        struct entry e;
        at = read_entry(at, end, ranges, &e);
        if (!at)
            return false;
        if (tags[i] == tag && !(e.is_bitmap ? add_bitmap(&e, ranges, out) : add_gaps(s, &e, ranges, out)))
            return false;
    }
    return true;
}

int segment_pair_ranges(const struct segment *s, struct str first, struct str second, struct pair_ranges *ranges)
{
    struct pair_ranges own = {0};
    const uint8_t *at, *end;
    uint64_t hash = pair_hash(hash64(first), hash64(second));
    int err = view_bucket(s, pair_bucket(hash, s->toc.pair_buckets), &at, &end);
    if (!err && !find_in_bucket(s, at, end, pair_tag(hash, s->toc.pair_buckets), &own))
        err = ERR_CORRUPT;
    for (size_t i = 0; i < PAIR_WORDS; i++)
        ranges->bits[i] &= own.bits[i];
    return err;
}

bool pair_ranges_have(const struct pair_ranges *r, unsigned shift, uint32_t from, uint32_t end)
{
    if (from >= end)
        return false;
    uint32_t first = from >> shift, last = (end - 1) >> shift;
    uint64_t low = UINT64_MAX << first % 64, high = UINT64_MAX >> (63 - last % 64);
    if (first / 64 == last / 64)
        return r->bits[first / 64] & low & high;
    uint64_t any = (r->bits[first / 64] & low) | (r->bits[last / 64] & high);
    for (uint32_t word = first / 64 + 1; word < last / 64; word++)
        any |= r->bits[word];
    return any;
}
