#include "index/core_view.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#include "common/err.h"
#include "index/image.h"

/* ----------------------------------------------------------------------------------------------------------- chunks */

struct deletion_chunk *core_chunk_new(void)
{
    struct deletion_chunk *chunk = calloc(1, sizeof *chunk);
    if (chunk)
        chunk->references = 1;
    return chunk;
}

void core_chunk_release(struct deletion_chunk *chunk)
{
    if (chunk && --chunk->references == 0)
        free(chunk);
}

/* ------------------------------------------------------------------------------------------------------------ views */

struct core_view *core_view_hold(struct core_view *v)
{
    v->references++;
    return v;
}

void core_view_release(struct core_view *v)
{
    if (!v || --v->references > 0)
        return;
    for (size_t i = 0; i < v->segment_count; i++) {
        struct core_segment *s = &v->segments[i];
        for (size_t chunk = 0; s->chunks && chunk < s->chunk_count; chunk++)
            core_chunk_release(s->chunks[chunk]);
        free(s->chunks);
        image_release(s->image);
    }
    free(v->segments);
    free(v->ranges);
    free(v);
}

size_t core_view_heap(const struct core_view *v)
{
    size_t bytes = sizeof *v + v->range_count * sizeof *v->ranges + v->segment_count * sizeof *v->segments;
    for (size_t i = 0; i < v->segment_count; i++) {
        const struct core_segment *s = &v->segments[i];
        bytes += s->chunk_count * sizeof(struct deletion_chunk *) + (s->image ? image_heap(s->image) : 0);
        for (size_t chunk = 0; s->chunks && chunk < s->chunk_count; chunk++)
            bytes += malloc_usable_size(s->chunks[chunk]);
    }
    return bytes;
}

bool core_is_applied(const struct core_view *v, uint64_t sequence)
{
    if (sequence < v->watermark)
        return true;
    for (size_t i = 0; i < v->range_count && v->ranges[i].first <= sequence; i++) {
        if (sequence < v->ranges[i].end)
            return true;
    }
    return false;
}

/* ---------------------------------------------------------------------------------------------------------- reading */

int core_meta_read(struct core_file *f, struct core_meta *out)
{
    struct core_key key = core_key(CORE_META);
    struct str value;
    int err = core_file_get(f, core_key_str(&key), &value);
    if (err == -ENOENT) {
        *out = (struct core_meta){.watermark = 1};
        return 0;
    }
    return err ? err : core_get_meta(core_key_str(&key), value, out);
}

/* Makes room for one more element in a growing array. */
static int grow(void **array, size_t count, size_t size)
{
    if (count & (count - 1) || (count && count < 8))
        return 0;
    void *grown = reallocarray(*array, count ? count * 2 : 8, size);
    if (!grown)
        return -ENOMEM;
    *array = grown;
    return 0;
}

static int read_ranges(struct core_cursor *cursor, struct core_view *v)
{
    struct core_key from = core_key(CORE_RANGE);
    struct str key, value;
    uint64_t above = v->watermark;
    int err = core_cursor_seek(cursor, core_key_str(&from), &key, &value);
    for (; !err && key.ptr[0] == CORE_RANGE; err = core_cursor_next(cursor, &key, &value)) {
        void *ranges = v->ranges;
        err = grow(&ranges, v->range_count, sizeof *v->ranges);
        v->ranges = ranges;
        if (err)
            return err;
        struct core_range *r = &v->ranges[v->range_count];
        err = core_key_read_u64(CORE_RANGE, key, &r->first);
        if (!err)
            err = core_get_u64(key, value, &r->end);
        if (err)
            return err;
        if (r->first <= above || r->end <= r->first)
            return ERR_CORRUPT;
        above = r->end;
        v->range_count++;
    }
    return err == -ENOENT ? 0 : err;
}

static const struct core_segment *same_segment(const struct core_view *previous, size_t *at, uint64_t id)
{
    while (previous && *at < previous->segment_count && previous->segments[*at].id < id)
        ++*at;
    bool found = previous && *at < previous->segment_count && previous->segments[*at].id == id;
    return found ? &previous->segments[*at] : NULL;
}

/* It never changes as long as the segment is there. */
static int read_image(struct str image, struct core_segment *s, const struct core_segment *before)
{
    if (!before)
        return image_copy(image, &s->image);
    if (!before->image)
        return ERR_CORRUPT;
    s->image = image_hold(before->image);
    return 0;
}

static int read_segment(struct str key, struct str value, const struct core_view *previous, size_t *at,
                        struct core_segment *s)
{
    struct str image;
    int err = core_key_read_u64(CORE_SEGMENT, key, &s->id);
    if (!err)
        err = core_get_segment(key, value, s, &image);
    return err || !image.len ? err : read_image(image, s, same_segment(previous, at, s->id));
}

static int read_segments(struct core_cursor *cursor, const struct core_view *previous, struct core_view *v)
{
    struct core_key from = core_key(CORE_SEGMENT);
    struct str key, value;
    size_t at = 0;
    int err = core_cursor_seek(cursor, core_key_str(&from), &key, &value);
    for (; !err && key.ptr[0] == CORE_SEGMENT; err = core_cursor_next(cursor, &key, &value)) {
        void *segments = v->segments;
        err = grow(&segments, v->segment_count, sizeof *v->segments);
        v->segments = segments;
        if (err)
            return err;
        v->segments[v->segment_count] = (struct core_segment){0};
        err = read_segment(key, value, previous, &at, &v->segments[v->segment_count]);
        if (err)
            return err;
        v->segment_count++;
    }
    return err == -ENOENT ? 0 : err;
}

/* What a segment's deletions are made from, besides their values. */
struct sources {
    const struct core_segment *before; /* the same one in an older view; NULL: none */
    struct recent_run recent;
};

static void share_chunk(struct core_segment *s, size_t i, const struct core_segment *before)
{
    if (before->chunks[i])
        before->chunks[i]->references++;
    s->chunks[i] = before->chunks[i];
}

static bool can_share(const struct core_segment *before, size_t i, uint64_t generation)
{
    return before && before->chunks[i] && before->chunks[i]->generation == generation;
}

static int read_chunk(struct str key, struct str value, struct core_segment *s, size_t i, const struct sources *from)
{
    struct recent_run recent = recents_of_chunk(&from->recent, i);
    uint64_t generation;
    int err = core_get_chunk_generation(value, &generation);
    if (err)
        return err;
    if (can_share(from->before, i, recent_newest(&recent, generation))) {
        share_chunk(s, i, from->before);
        return 0;
    }
    s->chunks[i] = core_chunk_new();
    if (!s->chunks[i])
        return -ENOMEM;
    err = core_get_chunk(key, value, s->chunks[i]);
    return err ? err : recent_mark(&recent, s->chunks[i]);
}

/* Those that have recent marks only. */
static int make_chunks(struct core_segment *s, const struct sources *from)
{
    for (size_t at = 0; at < from->recent.count;) {
        size_t i = from->recent.at[at].document / CHUNK_DOCUMENTS;
        struct recent_run recent = recents_of_chunk(&from->recent, i);
        at += recent.count;
        if (s->chunks[i])
            continue;
        if (can_share(from->before, i, recent_newest(&recent, 0))) {
            share_chunk(s, i, from->before);
            continue;
        }
        s->chunks[i] = core_chunk_new();
        int err = s->chunks[i] ? recent_mark(&recent, s->chunks[i]) : -ENOMEM;
        if (err)
            return err;
    }
    return 0;
}

static int read_chunks(struct core_cursor *cursor, struct core_segment *s, const struct sources *from)
{
    struct core_key first = core_key_part(CORE_DELETIONS, s->id, 0);
    struct str key, value;
    int err = core_cursor_seek(cursor, core_key_str(&first), &key, &value);
    for (; !err && key.ptr[0] == CORE_DELETIONS; err = core_cursor_next(cursor, &key, &value)) {
        uint64_t id;
        uint32_t i;
        err = core_key_read_part(CORE_DELETIONS, key, &id, &i);
        if (err || id != s->id)
            return err;
        if (i >= s->chunk_count || s->chunks[i])
            return ERR_CORRUPT;
        err = read_chunk(key, value, s, i, from);
        if (err)
            return err;
    }
    return err == -ENOENT ? 0 : err;
}

static bool counts_agree(const struct core_segment *s)
{
    uint64_t deleted = 0;
    for (size_t i = 0; i < s->chunk_count; i++)
        deleted += s->chunks[i] ? s->chunks[i]->count : 0;
    return deleted == s->deleted;
}

static int read_deletions(struct core_cursor *cursor, struct core_segment *s, const struct sources *from)
{
    const struct core_segment *before = from->before;
    bool has_values = s->deleted;
    int err = recent_count(&from->recent, s);
    if (err)
        return err;
    s->chunk_count = core_chunks(s->documents);
    s->chunks = calloc(s->chunk_count + 1, sizeof(struct deletion_chunk *));
    if (!s->chunks)
        return -ENOMEM;
    if (before && before->documents != s->documents)
        return ERR_CORRUPT;
    if (before && before->generation == s->generation) {
        for (size_t i = 0; i < s->chunk_count; i++)
            share_chunk(s, i, before);
    } else {
        err = has_values ? read_chunks(cursor, s, from) : 0;
        if (!err)
            err = make_chunks(s, from);
    }
    return err ? err : counts_agree(s) ? 0 : ERR_CORRUPT;
}

static int fill(struct core_file *f, struct core_cursor *cursor, const struct core_meta *meta,
                const struct core_view *previous, struct core_view *v)
{
    int err = core_cursor_open(f, cursor);
    if (!err)
        err = read_ranges(cursor, v);
    if (!err)
        err = read_segments(cursor, previous, v);
    size_t at = 0;
    for (size_t i = 0; !err && i < v->segment_count; i++) {
        struct core_segment *s = &v->segments[i];
        const struct sources from = {same_segment(previous, &at, s->id), recents_of_segment(&meta->recent, s->id)};
        err = read_deletions(cursor, s, &from);
        v->documents += s->documents - s->deleted;
        v->total_length += s->live_length;
    }
    return err;
}

int core_view_read(struct core_file *f, struct core_view *previous, struct core_view **out)
{
    struct core_meta meta;
    int err = core_meta_read(f, &meta);
    if (err)
        return err;
    if (previous && previous->generation == meta.generation) {
        *out = core_view_hold(previous);
        return 0;
    }
    struct core_view *v = calloc(1, sizeof *v);
    if (!v)
        return -ENOMEM;
    *v = (struct core_view){
        .references = 1, .generation = meta.generation, .epoch = meta.epoch, .watermark = meta.watermark};
    struct core_cursor cursor = {0};
    err = fill(f, &cursor, &meta, previous, v);
    core_cursor_close(&cursor);
    if (err)
        core_view_release(v);
    else
        *out = v;
    return err;
}
