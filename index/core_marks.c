/* Marks of documents that a commit replaces or deletes: into the meta value if there are few, else into the values of
 * their segments, and what stood in the meta value before them. */
#include "index/core_writing.h"

#include <errno.h>
#include <stdlib.h>

#include "common/err.h"

static int read_chunk(struct writing *w, uint64_t segment, uint32_t i, struct deletion_chunk *out)
{
    struct core_key key = core_key_part(CORE_DELETIONS, segment, i);
    struct str value;
    int err = writing_get(w, &key, &value);
    if (err == -ENOENT) {
        *out = (struct deletion_chunk){0};
        return 0;
    }
    return err ? err : core_get_chunk(core_key_str(&key), value, out);
}

static int read_marked(struct writing *w, uint64_t segment, struct core_segment *out, struct str *out_image)
{
    int err = writing_read_segment(w, segment, out, out_image);
    return err == -ENOENT ? ERR_INVALID : err;
}

/* ------------------------------------------------------------------------------------------------ to their segments */

static int mark(struct core_segment *s, struct deletion_chunk *chunk, const struct core_mark *m)
{
    uint64_t *word = &chunk->bits[m->document % CHUNK_DOCUMENTS / 64], bit = UINT64_C(1) << m->document % 64;
    if (m->document >= s->documents)
        return ERR_INVALID;
    if (*word & bit)
        return 0;
    if (s->live_length < m->length || s->deleted == s->documents)
        return ERR_CORRUPT;
    *word |= bit;
    chunk->count++;
    s->deleted++;
    s->live_length -= m->length;
    return 0;
}

struct run { /* of marks, in their order, all made by one commit as far as anybody is to know */
    const struct core_mark *marks;
    size_t count;
    uint64_t generation;
};

/* The marks at the front that are of one chunk: `*taken` of them. */
static int mark_chunk(struct writing *w, const struct run *run, struct deletion_chunk *chunk, size_t *taken)
{
    const struct core_mark *marks = run->marks;
    struct core_segment s;
    struct str image; /* stays where it is until the segment is written, here at the end */
    uint32_t i = marks->document / CHUNK_DOCUMENTS;
    int err = read_marked(w, marks->segment, &s, &image);
    if (!err)
        err = read_chunk(w, marks->segment, i, chunk);
    if (err)
        return err;
    uint32_t before = s.deleted;
    size_t n = 0;
    for (; !err && n < run->count && marks[n].segment == s.id && marks[n].document / CHUNK_DOCUMENTS == i; n++)
        err = mark(&s, chunk, &marks[n]);
    *taken = n;
    if (err || s.deleted == before)
        return err;
    chunk->generation = run->generation;
    s.generation = s.generation < run->generation ? run->generation : s.generation;
    writing_put_segment(w, &s, image);
    writing_put_chunk(w, s.id, i, chunk);
    return 0;
}

/* Those of one chunk have the generation of the last of them: so nothing has changed for who has seen it. */
static int settle_chunk(struct writing *w, const struct recent_run *recent, struct deletion_chunk *chunk)
{
    struct core_mark marks[CORE_RECENT_MOST];
    size_t taken;
    for (size_t i = 0; i < recent->count; i++)
        marks[i] = (struct core_mark){
            .segment = recent->at[i].segment, .document = recent->at[i].document, .length = recent->at[i].length};
    return mark_chunk(w, &(struct run){marks, recent->count, recent_newest(recent, 0)}, chunk, &taken);
}

/* All recent ones. */
static int settle(struct writing *w, struct deletion_chunk *chunk)
{
    struct core_recents *r = &w->meta.recent;
    for (size_t at = 0; at < r->count;) {
        struct recent_run of_segment = recents_of_segment(r, r->items[at].segment);
        struct recent_run run = recents_of_chunk(&of_segment, r->items[at].document / CHUNK_DOCUMENTS);
        int err = settle_chunk(w, &run, chunk);
        if (err)
            return err;
        at += run.count;
    }
    r->count = 0;
    return 0;
}

static int mark_all(struct writing *w, struct deletion_chunk *chunk)
{
    struct run left = {w->change->marks, w->change->mark_count, w->meta.generation};
    int err = 0;
    for (size_t taken = 0; !err && left.count > 0; left.marks += taken, left.count -= taken)
        err = mark_chunk(w, &left, chunk, &taken);
    return err;
}

/* ------------------------------------------------------------------------------------------------ to the meta value */

static int note(struct writing *w, const struct core_mark *m, struct deletion_chunk *chunk)
{
    struct core_segment s;
    struct str image;
    int err = read_marked(w, m->segment, &s, &image);
    if (!err && m->document >= s.documents)
        err = ERR_INVALID;
    if (!err)
        err = read_chunk(w, m->segment, m->document / CHUNK_DOCUMENTS, chunk);
    if (err || chunk->bits[m->document % CHUNK_DOCUMENTS / 64] >> m->document % 64 & 1)
        return err;
    recents_add(&w->meta.recent, &(struct core_recent){m->segment, w->meta.generation, m->document, m->length});
    struct recent_run of_segment = recents_of_segment(&w->meta.recent, m->segment);
    return recent_count(&of_segment, &s);
}

static int note_all(struct writing *w, struct deletion_chunk *chunk)
{
    int err = 0;
    for (size_t i = 0; !err && i < w->change->mark_count; i++)
        err = note(w, &w->change->marks[i], chunk);
    return err;
}

static int mark_documents(struct writing *w, struct deletion_chunk *chunk)
{
    size_t count = w->change->mark_count;
    int err = w->meta.recent.count + count > CORE_RECENT_MOST ? settle(w, chunk) : 0;
    if (err)
        return err;
    return count > CORE_RECENT_MOST ? mark_all(w, chunk) : note_all(w, chunk);
}

int writing_mark_documents(struct writing *w)
{
    if (!w->change->mark_count)
        return 0;
    struct deletion_chunk *chunk = core_chunk_new();
    if (!chunk)
        return -ENOMEM;
    int err = mark_documents(w, chunk);
    free(chunk);
    return err;
}
