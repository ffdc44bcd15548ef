#include "index/resolve.h"

#include "common/err.h"
#include "common/rising.h"
#include "index/added.h"

/* Documents stand in stamp order, and no stamp twice. */
static int64_t find_stamp(const struct segment *s, uint64_t stamp)
{
    const uint64_t *stamps = segment_stamps(s);
    size_t count = segment_documents(s), at = rising_place(stamps, count, stamp);
    return at < count && stamps[at] == stamp ? (int64_t)at : -1;
}

static int translate(struct added *added, uint64_t stamp)
{
    int64_t document = added->segment ? find_stamp(added->segment, stamp) : -1;
    return document < 0 ? ERR_CORRUPT : added_delete(added, (uint32_t)document);
}

static int translate_chunk(const struct snapshot_segment *input, size_t i, const struct deletion_chunk *now,
                           struct added *added)
{
    const struct deletion_chunk *merged = input->core->chunks[i];
    const uint64_t *stamps = segment_stamps(input->segment) + i * CHUNK_DOCUMENTS;
    for (size_t word = 0; word < CHUNK_DOCUMENTS / 64; word++) {
        uint64_t since = now->bits[word] & ~(merged ? merged->bits[word] : 0);
        for (; since; since &= since - 1) {
            int err = translate(added, stamps[word * 64 + (size_t)__builtin_ctzll(since)]);
            if (err)
                return err;
        }
    }
    return 0;
}

static int translate_input(const struct snapshot_segment *input, const struct core_segment *now, struct added *added)
{
    for (size_t i = 0; i < now->chunk_count; i++) {
        if (now->chunks[i] == input->core->chunks[i])
            continue;
        int err = translate_chunk(input, i, now->chunks[i], added);
        if (err)
            return err;
    }
    return 0;
}

static const struct snapshot_segment *find_merged(const struct snapshot *s, uint64_t id)
{
    for (size_t i = 0; i < s->segment_count; i++) {
        if (s->segments[i].core->id == id)
            return &s->segments[i];
    }
    return NULL;
}

static const struct core_segment *find_now(const struct core_view *v, uint64_t id)
{
    for (size_t i = 0; i < v->segment_count; i++) {
        if (v->segments[i].id == id)
            return &v->segments[i];
    }
    return NULL;
}

static int translate_all(const struct resolve_merge *merge, const struct core_view *now, struct added *added)
{
    for (size_t i = 0; i < merge->input_count; i++) {
        const struct snapshot_segment *input = find_merged(merge->merged, merge->inputs[i]);
        const struct core_segment *current = find_now(now, merge->inputs[i]);
        if (!input)
            return ERR_INVALID;
        int err = current ? translate_input(input, current, added) : ERR_STALE;
        if (err)
            return err;
    }
    return 0;
}

struct output {
    struct added added;
    struct id_filter ids;
};

static int commit(struct core *c, const struct resolve_merge *merge, const struct output *o, uint64_t *out_generation)
{
    struct core_change change = {
        .epoch = merge->epoch,
        .added = merge->output ? &o->added.core : NULL,
        .ids = o->ids.blocks ? &o->ids : NULL,
        .removed = merge->inputs,
        .removed_count = merge->input_count,
        .refusals_saved = merge->refusals_saved,
    };
    return core_commit(c, &change, out_generation);
}

static int commit_locked(struct core *c, const struct resolve_merge *merge, struct output *o, uint64_t *out_generation)
{
    struct core_view *now;
    int err = core_begin_view(c, merge->merged->view, &now);
    if (!err) {
        err = translate_all(merge, now, &o->added);
        core_view_release(now);
    }
    if (err) {
        core_abort(c);
        return err;
    }
    return commit(c, merge, o, out_generation);
}

static int open_output(const struct segment *segment, struct output *out)
{
    int err = segment ? added_open(segment, &out->added) : 0;
    return err || !segment ? err : added_ids(&out->added, &out->ids);
}

int resolve_merge(struct core *c, const struct resolve_merge *merge, uint64_t *out_generation)
{
    struct output output = {0};
    int err = open_output(merge->output, &output);
    if (!err)
        err = core_begin(c);
    if (!err)
        err = commit_locked(c, merge, &output, out_generation);
    added_close(&output.added);
    id_filter_free(&output.ids);
    return err;
}
