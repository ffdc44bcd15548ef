#include "index/resolve.h"

#include <errno.h>
#include <stdlib.h>

#include "common/err.h"
#include "index/added.h"
#include "index/candidates.h"
#include "index/score.h"
#include "index/snapshot.h"
#include "index/sort.h"

/* A put or a deletion of this build. After `collapse` there is one for each id: the one with the highest stamp. */
struct entry {
    uint64_t hash, stamp;
    uint32_t at; /* of the segment's documents, or of the build's deletions */
    bool is_deletion;
    bool has_lost; /* something with a higher stamp is committed */
};

struct marks {
    struct core_mark *items;
    size_t count, room;
};

struct resolving {
    struct core *core;
    const struct resolve_build *build;
    struct added added;
    struct id_filter ids;
    struct entry *entries; /* by (hash, stamp) */
    size_t entry_count;
    uint64_t *hashes; /* of the entries */
    struct candidates candidates;
    struct marks marks;
    struct core_view *seen; /* its segments are looked through */
    struct segment_fault fault;
};

enum { ROUNDS = 4, OPEN_TRIES = 10 };

/* ------------------------------------------------------------------------------------------------- within the build */

static int by_hash_and_stamp(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (x->stamp > y->stamp) - (x->stamp < y->stamp);
}

static int id_of(struct resolving *r, const struct entry *e, struct str *out)
{
    uint64_t hash;
    if (!e->is_deletion)
        return segment_document_id(r->build->segment, e->at, out, &hash);
    *out = r->build->deletions[e->at].id;
    return 0;
}

static int collect(struct resolving *r)
{
    const struct segment *s = r->build->segment;
    uint32_t documents = s ? segment_documents(s) : 0;
    size_t count = documents + r->build->deletion_count;
    r->entries = count ? reallocarray(NULL, count, sizeof *r->entries) : NULL;
    if (count && !r->entries)
        return -ENOMEM;
    const uint64_t *stamps = s ? segment_stamps(s) : NULL;
    for (uint32_t i = 0; i < documents; i++) {
        struct entry e = {.stamp = stamps[i], .at = i};
        struct str id;
        int err = segment_document_id(s, i, &id, &e.hash);
        if (err)
            return err;
        r->entries[r->entry_count++] = e;
    }
    for (uint32_t i = 0; i < r->build->deletion_count; i++) {
        const struct core_tombstone *t = &r->build->deletions[i];
        r->entries[r->entry_count++] = (struct entry){.hash = t->hash, .stamp = t->stamp, .at = i, .is_deletion = true};
    }
    sort_in_place(r->entries, r->entry_count, sizeof *r->entries, by_hash_and_stamp);
    return 0;
}

static int lose(struct resolving *r, struct entry *e)
{
    e->has_lost = true;
    return e->is_deletion ? 0 : added_delete(&r->added, e->at);
}

/* `e` beats the winner of its id that stands among `winners`, if there is one; all have its hash. */
static int beat(struct resolving *r, struct entry *winners, size_t *count, const struct entry *e)
{
    struct str id, other;
    int err = id_of(r, e, &id);
    for (size_t i = 0; !err && i < *count; i++) {
        err = id_of(r, &winners[i], &other);
        if (err || !str_equal(id, other))
            continue;
        err = lose(r, &winners[i]);
        winners[i] = *e;
        return err;
    }
    winners[*count] = *e;
    ++*count;
    return err;
}

/* One entry for each id, in place: of versions of one id the last put or deletion stays. */
static int collapse(struct resolving *r)
{
    size_t kept = 0, run = 0; /* winners so far; where those of the current hash begin */
    for (size_t i = 0; i < r->entry_count; i++) {
        struct entry e = r->entries[i];
        if (kept > run && r->entries[run].hash != e.hash)
            run = kept;
        if (kept == run) {
            r->entries[kept++] = e;
            continue;
        }
        size_t count = kept - run;
        int err = beat(r, r->entries + run, &count, &e);
        if (err)
            return err;
        kept = run + count;
    }
    r->entry_count = kept;
    return 0;
}

/* --------------------------------------------------------------------------------------------------- other segments */

static int add_mark(struct marks *m, struct core_mark mark)
{
    if (m->count == m->room) {
        size_t room = m->room ? m->room * 2 : 64;
        struct core_mark *grown = reallocarray(m->items, room, sizeof *grown);
        if (!grown)
            return -ENOMEM;
        m->items = grown;
        m->room = room;
    }
    m->items[m->count++] = mark;
    return 0;
}

struct opened { /* a segment that may have entries */
    const struct core_segment *core;
    struct segment *segment;
};

static int meet(struct resolving *r, struct entry *e, const struct opened *o, uint32_t document)
{
    int err = segment_check_document(o->segment, document);
    if (err)
        return err;
    if (segment_stamps(o->segment)[document] >= e->stamp)
        return lose(r, e);
    if (core_is_deleted(o->core, document))
        return 0;
    struct core_mark mark = {.segment = o->core->id,
                             .document = document,
                             .length = length_decoded[segment_length_codes(o->segment)[document]]};
    return add_mark(&r->marks, mark);
}

static int probe(struct resolving *r, struct entry *e, const struct opened *o)
{
    struct str id;
    uint32_t from = 0, document;
    int err = id_of(r, e, &id);
    while (!err && segment_find_id(o->segment, e->hash, id, &from, &document, &err))
        err = meet(r, e, o, document);
    return err;
}

static int probe_candidates(struct resolving *r, const struct opened *o)
{
    for (size_t i = 0; i < r->candidates.found; i++) {
        struct entry *e = &r->entries[r->candidates.places[i]];
        int err = e->has_lost ? 0 : probe(r, e, o);
        if (err) {
            r->fault = (struct segment_fault){o->core->id, segment_damaged(o->segment, "ids"), o->core->image};
            return err;
        }
    }
    return 0;
}

/* Dead versions need no look: what killed them has a higher stamp, and is alive or has a tombstone. Nor do segments that
 * can have none of the ids, which are most. */
static int look_into(struct resolving *r, const struct core_segment *s)
{
    struct opened o = {.core = s};
    int err = s->deleted == s->documents ? 0 : candidates_find(&r->candidates, s);
    if (err || s->deleted == s->documents || !r->candidates.found)
        return err;
    err = snapshot_open_segment(r->build->directory, s, true, &o.segment, &r->fault);
    if (err)
        return err;
    err = probe_candidates(r, &o);
    segment_close(o.segment);
    return err;
}

static bool has_segment(const struct core_view *v, uint64_t id)
{
    size_t low = 0, high = v ? v->segment_count : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (v->segments[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return v && low < v->segment_count && v->segments[low].id == id;
}

/* Looks through the segments of `view` that have not been looked through; takes over the view. */
static int look_through(struct resolving *r, struct core_view *view)
{
    int err = 0;
    for (size_t i = 0; !err && i < view->segment_count; i++)
        if (!has_segment(r->seen, view->segments[i].id))
            err = look_into(r, &view->segments[i]);
    if (err) {
        core_view_release(view);
        return err;
    }
    core_view_release(r->seen);
    r->seen = view;
    return 0;
}

/* Without the lock, until nothing new comes or it has been tried often enough. A merge may have removed a file between
 * the view and its opening: then there is a newer view, and what was found before is marked twice, which changes nothing. */
static int look_ahead(struct resolving *r)
{
    int rounds = 0, tries = 0;
    while (rounds < ROUNDS) {
        struct core_view *view;
        int err = core_read(r->core, r->seen, &view);
        if (err)
            return err;
        bool is_news = view != r->seen;
        bool is_stale =
            r->build->applied.first < r->build->applied.end && core_is_applied(view, r->build->applied.first);
        if (!is_news || is_stale) {
            core_view_release(view);
            return is_stale ? ERR_STALE : 0;
        }
        err = look_through(r, view);
        if (err && (err != -ENOENT || ++tries == OPEN_TRIES))
            return err;
        rounds += !err;
    }
    return 0;
}

/* --------------------------------------------------------------------------------------------------- under the lock */

static size_t first_entry(const struct resolving *r, uint64_t hash)
{
    size_t low = 0, high = r->entry_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->entries[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int meet_tombstone(struct resolving *r, struct entry *e)
{
    struct str id;
    uint64_t stamp;
    int err = id_of(r, e, &id);
    if (!err)
        err = core_find_tombstone(r->core, e->hash, id, &stamp);
    if (err)
        return err == -ENOENT ? 0 : err;
    return stamp >= e->stamp ? lose(r, e) : 0;
}

/* Tombstones and entries, both by hash: each side skips to what the other has. */
static int meet_tombstones(struct resolving *r)
{
    for (size_t i = 0; i < r->entry_count;) {
        uint64_t hash;
        int err = core_seek_tombstone(r->core, r->entries[i].hash, &hash);
        if (err)
            return err == -ENOENT ? 0 : err;
        if (hash > r->entries[i].hash) {
            i = first_entry(r, hash);
            continue;
        }
        for (; !err && i < r->entry_count && r->entries[i].hash == hash; i++)
            err = meet_tombstone(r, &r->entries[i]);
        if (err)
            return err;
    }
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const struct core_mark *x = a, *y = b;
    if (x->segment != y->segment)
        return x->segment < y->segment ? -1 : 1;
    return (x->document > y->document) - (x->document < y->document);
}

/* What stood in a segment that is merged away was found again in the output. */
static void settle_marks(struct resolving *r)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->marks.count; i++) {
        if (has_segment(r->seen, r->marks.items[i].segment))
            r->marks.items[kept++] = r->marks.items[i];
    }
    r->marks.count = kept;
    sort_in_place(r->marks.items, kept, sizeof *r->marks.items, by_place);
}

/* Of the deletions those that won: earlier versions may still come. The commit drops what cannot be needed. */
static int tombstones_of(struct resolving *r, struct core_tombstone **out, size_t *out_count)
{
    size_t count = 0;
    struct core_tombstone *t = NULL;
    if (r->build->is_settled)
        return 0;
    if (r->build->deletion_count)
        t = reallocarray(NULL, r->build->deletion_count, sizeof *t);
    if (r->build->deletion_count && !t)
        return -ENOMEM;
    for (size_t i = 0; i < r->entry_count; i++) {
        if (r->entries[i].is_deletion && !r->entries[i].has_lost)
            t[count++] = r->build->deletions[r->entries[i].at];
    }
    *out = t;
    *out_count = count;
    return 0;
}

static int recheck(struct resolving *r)
{
    struct core_view *now;
    int err = core_begin_view(r->core, r->seen, &now);
    if (!err)
        err = look_through(r, now);
    return err ? err : meet_tombstones(r);
}

static int commit(struct resolving *r, uint64_t *out_generation)
{
    struct core_tombstone *tombstones = NULL;
    size_t tombstone_count = 0;
    int err = recheck(r);
    if (!err)
        err = tombstones_of(r, &tombstones, &tombstone_count);
    if (err) {
        core_abort(r->core);
        return err;
    }
    settle_marks(r);
    struct core_change change = {
        .epoch = r->build->epoch,
        .applied = r->build->applied,
        .gaps = r->build->gaps,
        .gap_count = r->build->gap_count,
        .added = r->build->segment ? &r->added.core : NULL,
        .ids = r->ids.blocks ? &r->ids : NULL,
        .marks = r->marks.items,
        .mark_count = r->marks.count,
        .tombstones = tombstones,
        .tombstone_count = tombstone_count,
        .refusals = r->build->refusals,
        .refusal_count = r->build->refusal_count,
        .refusals_saved = r->build->refusals_saved,
    };
    err = core_commit(r->core, &change, out_generation);
    free(tombstones);
    return err;
}

/* What is asked of each segment. */
static int make_candidates(struct resolving *r)
{
    uint32_t *places = malloc(r->entry_count * sizeof *places + 1);
    r->hashes = malloc(r->entry_count * sizeof *r->hashes + 1);
    r->candidates =
        (struct candidates){.core = r->core, .hashes = r->hashes, .count = r->entry_count, .places = places};
    if (!r->hashes || !places)
        return -ENOMEM;
    for (size_t i = 0; i < r->entry_count; i++)
        r->hashes[i] = r->entries[i].hash;
    return 0;
}

static int resolve(struct resolving *r, uint64_t *out_generation)
{
    int err = r->build->segment ? added_open(r->build->segment, &r->added) : 0;
    if (!err && r->build->segment)
        err = added_ids(&r->added, &r->ids);
    if (!err)
        err = collect(r);
    if (!err)
        err = collapse(r);
    if (!err)
        err = make_candidates(r);
    if (!err)
        err = look_ahead(r);
    if (!err)
        err = core_begin(r->core);
    return err ? err : commit(r, out_generation);
}

int resolve_build(struct core *c, const struct resolve_build *build, uint64_t *out_generation,
                  struct segment_fault *out_fault)
{
    struct resolving r = {.core = c, .build = build};
    if (build->deletion_count > UINT32_MAX)
        return ERR_TOO_LARGE;
    int err = resolve(&r, out_generation);
    if (err && out_fault)
        *out_fault = r.fault;
    core_view_release(r.seen);
    added_close(&r.added);
    id_filter_free(&r.ids);
    free(r.hashes);
    free(r.candidates.places);
    free(r.entries);
    free(r.marks.items);
    return err;
}
