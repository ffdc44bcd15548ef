#include "index/core_commit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "index/core_ids.h"
#include "index/core_view.h"
#include "index/core_writing.h"
#include "index/image.h"

int writing_get(struct writing *w, const struct core_key *key, struct str *out)
{
    return core_file_get(w->file, core_key_str(key), out);
}

void writing_put(struct writing *w, struct str key, struct str value)
{
    core_file_put(w->file, key, value);
}

/* The first key at or above `from`; -ENOENT also if it is of another kind. */
static int first_of(struct writing *w, const struct core_key *from, struct str *out_key, struct str *out_value)
{
    struct core_cursor cursor = {0};
    int err = core_cursor_open(w->file, &cursor);
    if (!err)
        err = core_cursor_seek(&cursor, core_key_str(from), out_key, out_value);
    core_cursor_close(&cursor);
    return err || out_key->ptr[0] == from->bytes[0] ? err : -ENOENT;
}

/* ------------------------------------------------------------------------------------------------------------ position
 */

static int remove_all(struct writing *w, enum core_kind kind)
{
    struct core_key from = core_key(kind);
    for (;;) {
        struct str key, value;
        struct core_key gone;
        int err = first_of(w, &from, &key, &value);
        if (err)
            return err == -ENOENT ? 0 : err;
        if (key.len > sizeof gone.bytes)
            return ERR_CORRUPT;
        gone.len = key.len;
        memcpy(gone.bytes, key.ptr, key.len);
        core_file_delete(w->file, core_key_str(&gone));
    }
}

static int take_position(struct writing *w)
{
    static const enum core_kind kinds[] = {CORE_RANGE, CORE_TOMBSTONE, CORE_PASSING};
    const struct core_position *p = w->change->position;
    if (!p)
        return 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        int err = remove_all(w, kinds[i]);
        if (err)
            return err;
    }
    for (size_t i = 0; i < p->range_count; i++) {
        struct core_key key = core_key_u64(CORE_RANGE, p->ranges[i].first);
        writing_put(w, core_key_str(&key), core_put_u64(w->value, core_key_str(&key), p->ranges[i].end));
    }
    w->meta.watermark = p->watermark;
    if (w->meta.generation <= p->generation)
        w->meta.generation = p->generation + 1;
    return 0;
}

/* ---------------------------------------------------------------------------------------------------- applied ranges
 */

struct neighbours { /* of a range that is to be applied */
    struct core_range below, above;
    bool has_below, has_above;
};

static int range_at(struct str key, struct str value, struct core_range *out)
{
    int err = core_key_read_u64(CORE_RANGE, key, &out->first);
    return err ? err : core_get_u64(key, value, &out->end);
}

/* The last range that begins below `first`, and the first one that does not. */
static int find_neighbours(struct writing *w, uint64_t first, struct neighbours *out)
{
    struct core_key from = core_key_u64(CORE_RANGE, first);
    struct core_cursor cursor = {0};
    struct str key, value;
    int err = core_cursor_open(w->file, &cursor);
    if (!err)
        err = core_cursor_seek(&cursor, core_key_str(&from), &key, &value);
    if (!err && key.ptr[0] == CORE_RANGE) {
        out->has_above = true;
        err = range_at(key, value, &out->above);
    }
    if (!err)
        err = core_cursor_previous(&cursor, &key, &value);
    else if (err == -ENOENT)
        err = core_cursor_last(&cursor, &key, &value);
    if (!err && key.ptr[0] == CORE_RANGE) {
        out->has_below = true;
        err = range_at(key, value, &out->below);
    }
    core_cursor_close(&cursor);
    return err == -ENOENT ? 0 : err;
}

static void drop_range(struct writing *w, uint64_t first)
{
    struct core_key key = core_key_u64(CORE_RANGE, first);
    core_file_delete(w->file, core_key_str(&key));
}

/* Ranges that touch become one, and what touches the watermark moves it. */
static int apply_run(struct writing *w, struct core_range r)
{
    if (r.first == r.end)
        return 0;
    if (r.end < r.first || r.first == 0)
        return ERR_INVALID;
    struct neighbours near = {0};
    int err = find_neighbours(w, r.first, &near);
    if (err)
        return err;
    if (r.first < w->meta.watermark || (near.has_below && near.below.end > r.first) ||
        (near.has_above && near.above.first < r.end))
        return ERR_STALE;
    if (near.has_above && near.above.first == r.end) {
        drop_range(w, near.above.first);
        r.end = near.above.end;
    }
    if (near.has_below && near.below.end == r.first)
        r.first = near.below.first; /* its key is put again, with the new end */
    if (r.first == w->meta.watermark) {
        w->meta.watermark = r.end;
        return 0;
    }
    struct core_key key = core_key_u64(CORE_RANGE, r.first);
    writing_put(w, core_key_str(&key), core_put_u64(w->value, core_key_str(&key), r.end));
    return 0;
}

static int apply_range(struct writing *w)
{
    const struct core_change *c = w->change;
    struct core_range rest = c->applied;
    for (size_t i = 0; i < c->gap_count; i++) {
        const struct core_range *gap = &c->gaps[i];
        int err = gap->end > rest.end ? ERR_INVALID : apply_run(w, (struct core_range){rest.first, gap->first});
        if (err)
            return err;
        rest.first = gap->end;
    }
    return apply_run(w, rest);
}

/* ---------------------------------------------------------------------------------------------------------- segments
 */

int writing_read_segment(struct writing *w, uint64_t id, struct core_segment *out, struct str *out_image)
{
    struct core_key key = core_key_u64(CORE_SEGMENT, id);
    struct str value;
    int err = writing_get(w, &key, &value);
    if (err)
        return err;
    *out = (struct core_segment){.id = id};
    return core_get_segment(core_key_str(&key), value, out, out_image);
}

void writing_put_segment(struct writing *w, const struct core_segment *s, struct str image)
{
    struct core_key key = core_key_u64(CORE_SEGMENT, s->id);
    struct str k = core_key_str(&key);
    if (!image.len) {
        writing_put(w, k, core_put_segment(w->value, k, s));
        return;
    }
    size_t size;
    struct str head = core_put_image(w->value, k, s, &size);
    core_file_put_parts(w->file, k, head, image, size);
}

void writing_put_chunk(struct writing *w, uint64_t segment, uint32_t i, const struct deletion_chunk *chunk)
{
    struct core_key key = core_key_part(CORE_DELETIONS, segment, i);
    writing_put(w, core_key_str(&key), core_put_chunk(w->value, core_key_str(&key), chunk));
}

/* All values of a kind that a segment has in parts. */
static int remove_parts(struct writing *w, enum core_kind kind, uint64_t segment)
{
    struct core_key from = core_key_part(kind, segment, 0);
    for (;;) {
        struct str key, value;
        uint64_t id;
        uint32_t part;
        int err = first_of(w, &from, &key, &value);
        if (err)
            return err == -ENOENT ? 0 : err;
        err = core_key_read_part(kind, key, &id, &part);
        if (err || id != segment)
            return err;
        struct core_key gone = core_key_part(kind, id, part);
        core_file_delete(w->file, core_key_str(&gone));
    }
}

static int remove_input(struct writing *w, uint64_t id)
{
    struct core_segment s;
    struct str image;
    int err = writing_read_segment(w, id, &s, &image);
    if (err)
        return err == -ENOENT ? ERR_STALE : err;
    struct core_key key = core_key_u64(CORE_SEGMENT, id);
    core_file_delete(w->file, core_key_str(&key));
    recents_drop(&w->meta.recent, id);
    err = remove_parts(w, CORE_DELETIONS, id);
    return err ? err : remove_parts(w, CORE_IDS, id);
}

static int remove_inputs(struct writing *w)
{
    int err = 0;
    for (size_t i = 0; !err && i < w->change->removed_count; i++)
        err = remove_input(w, w->change->removed[i]);
    return err;
}

struct images { /* that are there */
    size_t count;
    uint64_t bytes;
};

static int count_images(struct writing *w, struct core_cursor *cursor, struct images *out)
{
    struct core_key from = core_key(CORE_SEGMENT);
    struct str key, value;
    int err = core_cursor_open(w->file, cursor);
    if (!err)
        err = core_cursor_seek(cursor, core_key_str(&from), &key, &value);
    for (; !err && key.ptr[0] == CORE_SEGMENT; err = core_cursor_next(cursor, &key, &value)) {
        struct core_segment s = {0};
        struct str image;
        err = core_get_segment(key, value, &s, &image);
        if (err)
            return err;
        out->count += image.len > 0;
        out->bytes += image.len;
    }
    return err == -ENOENT ? 0 : err;
}

/* Whether there is room for it. */
static int check_image(struct writing *w, const struct core_segment *added)
{
    struct images there = {0};
    struct core_cursor cursor = {0};
    int err = count_images(w, &cursor, &there);
    core_cursor_close(&cursor);
    if (err)
        return err;
    if (added->bytes != added->image->size)
        return ERR_INVALID;
    if (there.count >= CORE_IMAGES_MOST || there.bytes + added->bytes > CORE_IMAGE_BYTES_MOST)
        return ERR_FULL;
    return 0;
}

static struct str image_of(const struct core_segment *s)
{
    return s->image ? (struct str){(const char *)s->image->bytes, s->image->size} : (struct str){0};
}

static int add_segment(struct writing *w)
{
    const struct core_segment *added = w->change->added;
    if (!added)
        return 0;
    struct core_segment s;
    struct str image;
    int err = writing_read_segment(w, added->id, &s, &image);
    if (err != -ENOENT)
        return err ? err : ERR_STALE;
    err = added->image ? check_image(w, added) : 0;
    if (err)
        return err;
    s = *added;
    s.generation = w->meta.generation;
    s.deleted = 0;
    for (uint32_t i = 0; i < s.chunk_count; i++) {
        if (!s.chunks[i] || s.chunks[i]->count == 0)
            continue;
        s.deleted += s.chunks[i]->count;
        s.chunks[i]->generation = w->meta.generation;
        writing_put_chunk(w, s.id, i, s.chunks[i]);
    }
    if (s.deleted != added->deleted || s.chunk_count != core_chunks(s.documents))
        return ERR_INVALID;
    writing_put_segment(w, &s, image_of(added));
    if (w->change->ids)
        core_ids_put(w->file, w->change->ids);
    return 0;
}

/* -------------------------------------------------------------------------------------------------------- tombstones
 */

/* Of several deletions of an id the latest counts: it has the highest stamp and is passed last. */
static int put_tombstone(struct writing *w, const struct core_tombstone *t)
{
    if (t->id.len > CORE_ID_MAX)
        return ERR_INVALID;
    struct core_key key = core_key_tombstone(t->hash, t->id), passing = core_key_u64(CORE_PASSING, t->sequence);
    struct str value;
    uint64_t stamp, sequence;
    int err = writing_get(w, &key, &value);
    if (!err)
        err = core_get_tombstone(core_key_str(&key), value, &stamp, &sequence);
    if (err && err != -ENOENT)
        return err;
    if (!err && stamp >= t->stamp)
        return 0;
    if (!err) {
        struct core_key old = core_key_u64(CORE_PASSING, sequence);
        core_file_delete(w->file, core_key_str(&old));
    }
    writing_put(w, core_key_str(&key), core_put_tombstone(w->value, core_key_str(&key), t->stamp, t->sequence));
    writing_put(w, core_key_str(&passing), core_put_passing(w->value, core_key_str(&passing), t->hash, t->id));
    return 0;
}

static int add_tombstones(struct writing *w)
{
    for (size_t i = 0; i < w->change->tombstone_count; i++) {
        const struct core_tombstone *t = &w->change->tombstones[i];
        int err = t->sequence < w->meta.watermark ? 0 : put_tombstone(w, t);
        if (err)
            return err;
    }
    return 0;
}

/* Everything before them is applied: no version can come any more that they would have to delete. */
static int pass_tombstones(struct writing *w)
{
    struct core_key from = core_key(CORE_PASSING);
    for (;;) {
        struct str key, value, id;
        uint64_t sequence, hash;
        int err = first_of(w, &from, &key, &value);
        if (!err)
            err = core_key_read_u64(CORE_PASSING, key, &sequence);
        if (err || sequence >= w->meta.watermark)
            return err == -ENOENT ? 0 : err;
        err = core_get_passing(key, value, &hash, &id);
        if (err)
            return err;
        struct core_key tombstone = core_key_tombstone(hash, id), passing = core_key_u64(CORE_PASSING, sequence);
        core_file_delete(w->file, core_key_str(&tombstone));
        core_file_delete(w->file, core_key_str(&passing));
    }
}

/* ---------------------------------------------------------------------------------------------------------- refusals
 */

static int forget_refusals(struct writing *w)
{
    struct core_key from = core_key(CORE_REFUSAL);
    for (;;) {
        struct str key, value;
        uint64_t generation, sequence;
        int err = first_of(w, &from, &key, &value);
        if (!err)
            err = core_key_read_pair(CORE_REFUSAL, key, &generation, &sequence);
        if (err || generation > w->change->refusals_saved)
            return err == -ENOENT ? 0 : err;
        struct core_key gone = core_key_refusal(generation, sequence);
        core_file_delete(w->file, core_key_str(&gone));
    }
}

static int put_refusal(struct writing *w, const struct core_refusal *r)
{
    if (r->id.len > CORE_MESSAGE_MAX || r->code.len > CORE_MESSAGE_MAX || r->message.len > CORE_MESSAGE_MAX)
        return ERR_TOO_LARGE;
    struct core_key key = core_key_refusal(w->meta.generation, r->sequence);
    char *room = malloc(core_refusal_size(r));
    if (!room)
        return -ENOMEM;
    writing_put(w, core_key_str(&key), core_put_refusal(room, core_key_str(&key), r));
    free(room);
    return 0;
}

static int add_refusals(struct writing *w)
{
    int err = 0;
    for (size_t i = 0; !err && i < w->change->refusal_count; i++)
        err = put_refusal(w, &w->change->refusals[i]);
    return err;
}

/* ------------------------------------------------------------------------------------------------------------- commit
 */

static int open_generation(struct writing *w)
{
    int err = core_meta_read(w->file, &w->meta);
    if (err)
        return err;
    if (w->change->epoch < w->meta.epoch)
        return ERR_STALE;
    w->meta.epoch = w->change->epoch;
    w->meta.generation++;
    return 0;
}

static int write_meta(struct writing *w)
{
    struct core_key key = core_key(CORE_META);
    writing_put(w, core_key_str(&key), core_put_meta(w->value, core_key_str(&key), &w->meta));
    return 0;
}

int core_change_write(struct core_file *f, const struct core_change *change, uint64_t *out_generation)
{
    /* The range first: everything after it relies on the new watermark. Marks after segments came and went. */
    static int (*const steps[])(struct writing *) = {
        open_generation, take_position,  apply_range,     remove_inputs,   add_segment, writing_mark_documents,
        add_tombstones,  pass_tombstones, forget_refusals, add_refusals, write_meta,
    };
    struct writing *w = malloc(sizeof *w);
    if (!w)
        return -ENOMEM;
    *w = (struct writing){.file = f, .change = change};
    int err = 0;
    for (size_t i = 0; !err && i < sizeof steps / sizeof *steps; i++)
        err = steps[i](w);
    if (!err)
        *out_generation = w->meta.generation;
    free(w);
    return err;
}
