#include "coordinator/merge_policy.h"

static uint64_t live_bytes(const struct stream_segment *s)
{
    if (s->documents == 0)
        return 0;
    return (uint64_t)((double)s->bytes * (double)(s->documents - s->deleted) / (double)s->documents);
}

static unsigned tier_of(const struct stream_segment *s)
{
    unsigned tier = 0;
    for (uint64_t bytes = live_bytes(s) / MERGE_FIRST_TIER; bytes; bytes /= MERGE_FANOUT)
        tier++;
    return tier;
}

static size_t collect_tier(const struct stream_segment *segments, size_t count, unsigned tier, uint64_t out[MERGE_MOST])
{
    size_t found = 0;
    for (size_t i = 0; i < count && found < MERGE_MOST; i++)
        if (!segments[i].merging && !segments[i].image && tier_of(&segments[i]) == tier)
            out[found++] = segments[i].id;
    return found;
}

struct images {
    size_t count;
    uint64_t bytes;
};

/* Those of fewer bytes. */
static struct images collect_images(const struct stream_segment *segments, size_t count, uint64_t below,
                                    uint64_t out[MERGE_MOST])
{
    struct images found = {0};
    for (size_t i = 0; i < count && found.count < MERGE_MOST; i++) {
        if (!segments[i].image || segments[i].merging || segments[i].bytes >= below)
            continue;
        found.bytes += segments[i].bytes;
        out[found.count++] = segments[i].id;
    }
    return found;
}

size_t merge_policy_fold(const struct stream_segment *segments, size_t count, uint64_t out_ids[MERGE_MOST],
                         bool *out_again)
{
    struct images all = collect_images(segments, count, UINT64_MAX, out_ids);
    *out_again = all.count < FOLD_IMAGES && all.bytes < FOLD_BYTES;
    if (!*out_again)
        return all.count;
    struct images small = collect_images(segments, count, FOLD_SMALL_BYTES, out_ids);
    return small.count >= FOLD_SMALL ? small.count : 0;
}

size_t merge_policy_choose(const struct stream_segment *segments, size_t count, uint64_t out_ids[MERGE_MOST])
{
    enum { TIERS = 24 };
    for (unsigned tier = 0; tier < TIERS; tier++) {
        size_t found = collect_tier(segments, count, tier, out_ids);
        if (found >= MERGE_FANOUT)
            return found;
    }
    for (size_t i = 0; i < count; i++) {
        const struct stream_segment *s = &segments[i];
        if (!s->merging && !s->image && (uint64_t)s->deleted * 100 > (uint64_t)s->documents * MERGE_DELETED_PERCENT) {
            out_ids[0] = s->id;
            return 1;
        }
    }
    return 0;
}

size_t merge_policy_all(const struct stream_segment *segments, size_t count, uint64_t out_ids[MERGE_MOST])
{
    uint64_t sizes[MERGE_MOST];
    size_t chosen = 0, images = 0, deleted = 0;
    for (size_t i = 0; i < count; i++) {
        if (segments[i].merging)
            return 0;
        deleted += segments[i].deleted;
        images += segments[i].image;
        /* The smallest are kept, by insertion. */
        size_t at = chosen;
        while (at && sizes[at - 1] > segments[i].bytes)
            at--;
        if (at == MERGE_MOST)
            continue;
        chosen += chosen < MERGE_MOST;
        for (size_t k = chosen - 1; k > at; k--) {
            sizes[k] = sizes[k - 1];
            out_ids[k] = out_ids[k - 1];
        }
        sizes[at] = segments[i].bytes;
        out_ids[at] = segments[i].id;
    }
    return count > 1 || images || deleted ? chosen : 0;
}
