#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/hash.h"
#include "index/added.h"
#include "index/bodies.h"
#include "index/differences.h"
#include "index/score.h"
#include "index/sort.h"
#include "worker/hooks.h"
#include "worker/idling.h"
#include "worker/indexing.h"
#include "worker/report.h"
#include "worker/words.h"

/* REANALYZE: the live documents of one edition of a shard become those of another one, analyzed by other settings; or those
 * of a shard's slots, from all shards that had some of them while there was another number of shards.
 *
 * What is to be done is always the difference of the two (index/differences.h), in a range of stamps: documents that the new one
 * lacks are read, analyzed and written to one segment, those that the old one has no more are marked as deleted. So a
 * job may be repeated, and one that was killed leaves nothing that the next one minds. The last job of an edition, when
 * nothing writes to the old one, takes over also what is known of its operations. */

enum { OPEN_TRIES = 10, BYTES_PER_MARK = 64 /* of malloc: marks, sorted */ };

struct edition {
    char directory[PLACE_PATH_MAX];
    struct core *core;
    struct snapshot *snapshot;
    struct bodies *bodies; /* one for each segment, opened when it is needed; only of one that is read */
};

struct reanalysis {
    struct worker *worker;
    struct indexing indexing;
    struct edition *from; /* of one shard, or of several */
    size_t from_count;
    struct edition to;
    struct core_mark *marks;
    size_t mark_count, mark_room;
    struct core_tombstone *tombstones;
    size_t tombstone_count, tombstone_room;
    uint64_t done; /* stamps below it are dealt with */
};

/* ------------------------------------------------------------------------------------------------------------- opening
 */

/* A merge may remove a file between the view and its opening: then there is a newer view. */
static void open_snapshot(struct worker *w, struct edition *e)
{
    struct segment_fault fault = {0};
    int err = -ENOENT;
    for (int tries = 0; err == -ENOENT && tries < OPEN_TRIES; tries++) {
        struct core_view *view;
        job_must(w, core_read(e->core, NULL, &view), "core.mdb cannot be read");
        err = snapshot_open(e->directory, view, NULL, &e->snapshot, &fault);
        if (err)
            core_view_release(view);
    }
    if (err)
        job_die_damaged(w, err, &fault);
}

static void open_shard(struct worker *w, uint32_t shard, struct edition *e)
{
    place_message place = *w->job->place;
    place.edition = w->job->from_edition;
    place.shard = shard;
    job_place_path(&place, e->directory);
    job_must(w, core_open_writer(e->directory, &e->core), "core.mdb of the edition that is read cannot be opened");
    open_snapshot(w, e);
    e->bodies = calloc(e->snapshot->segment_count + 1, sizeof *e->bodies);
}

static void open_from(struct reanalysis *r)
{
    const job_message *job = r->worker->job;
    r->from_count = job->n_from_shards ? job->n_from_shards : 1;
    r->from = calloc(r->from_count, sizeof *r->from);
    for (size_t i = 0; i < r->from_count; i++)
        open_shard(r->worker, job->n_from_shards ? job->from_shards[i] : job->place->shard, &r->from[i]);
    if (!job->n_from_shards) /* else it is not known how many of them are ours */
        r->worker->words->documents_total = r->from[0].snapshot->view->documents;
}

static void open_to(struct reanalysis *r)
{
    job_place_path(r->worker->job->place, r->to.directory);
    job_must(r->worker, core_open_writer(r->to.directory, &r->to.core), "core.mdb cannot be opened");
    open_snapshot(r->worker, &r->to);
}

/* ----------------------------------------------------------------------------------------------------------- documents
 */

static _Noreturn void die_damaged(const struct reanalysis *r, const struct snapshot_segment *s, const char *section,
                                  int err)
{
    words_stage(r->worker->words, STAGE_READING); /* it is the index that is damaged, and no document's fault */
    job_die_damaged(r->worker, err, &(struct segment_fault){s->core->id, segment_damaged(s->segment, section),
                                                          s->core->image});
}

static void mark(struct reanalysis *r, const struct difference *d)
{
    const struct snapshot_segment *s = &r->to.snapshot->segments[d->segment];
    if (r->mark_count == r->mark_room) {
        r->mark_room = r->mark_room ? r->mark_room * 2 : 64;
        r->marks = reallocarray(r->marks, r->mark_room, sizeof *r->marks);
    }
    r->marks[r->mark_count++] = (struct core_mark){
        .segment = s->core->id,
        .document = d->document,
        .length = length_decoded[segment_length_codes(s->segment)[d->document]],
    };
}

static const struct snapshot_segment *segment_of(const struct reanalysis *r, const struct difference *d)
{
    return &r->from[d->snapshot].snapshot->segments[d->segment];
}

static struct str body_of(struct reanalysis *r, const struct difference *d)
{
    const struct snapshot_segment *s = segment_of(r, d);
    struct bodies *bodies = &r->from[d->snapshot].bodies[d->segment];
    struct str body;
    if (!bodies->segment)
        job_must(r->worker, bodies_open(bodies, s->segment), "documents cannot be read");
    int err = bodies_get(bodies, d->document, &body);
    if (err)
        die_damaged(r, s, "documents", err);
    return body;
}

static void refuse(struct reanalysis *r, const struct indexed *d, const char *code, const char *message)
{
    const struct core_refusal refusal = {
        .sequence = d->stamp, .id = d->id, .code = str_of(code), .message = str_of(message)};
    indexing_refuse(&r->indexing, &refusal);
}

static void read_id(const struct reanalysis *r, const struct difference *d, struct str *out, uint64_t *out_hash)
{
    const struct snapshot_segment *s = segment_of(r, d);
    int err = segment_document_id(s->segment, d->document, out, out_hash);
    if (err)
        die_damaged(r, s, "ids", err);
}

/* Another shard's. */
static bool is_foreign(const struct reanalysis *r, const struct difference *d)
{
    const job_message *job = r->worker->job;
    struct str id;
    uint64_t hash;
    if (!job->n_from_shards || d->is_surplus)
        return false;
    read_id(r, d, &id, &hash);
    return hash_slot(hash) < job->first_slot || hash_slot(hash) >= job->end_slot;
}

static void copy(struct reanalysis *r, const struct difference *d)
{
    struct indexed document = {.stamp = d->stamp};
    struct refused why;
    read_id(r, d, &document.id, &document.hash);
    const Mayfly__Internal__Skip *skip = job_find_skip(r->worker->job, d->stamp);
    if (skip) {
        refuse(r, &document, skip->code, skip->message);
        return;
    }
    hooks_obey(document.id);
    document.body = body_of(r, d);
    if (indexing_put(&r->indexing, &document, &why))
        refuse(r, &document, why.code, why.message);
}

/* Of the next document nothing is held yet but that it is there. The first one is taken whatever its size. */
static bool is_past_soft_mark(struct reanalysis *r, const struct difference *d)
{
    size_t marks = (r->mark_count + r->indexing.refusal_count) * BYTES_PER_MARK;
    uint64_t size = 0;
    if (!d->is_surplus) {
        const struct snapshot_segment *s = segment_of(r, d);
        int err = segment_body_size(s->segment, d->document, &size);
        if (err)
            die_damaged(r, s, "documents", err);
    }
    return indexing_is_past_soft_mark(&r->indexing, size, size + marks) && r->worker->words->documents;
}

static int open_differences(const struct reanalysis *r, struct differences *out, struct segment_fault *out_fault)
{
    const struct snapshot **from = calloc(r->from_count, sizeof *from);
    for (size_t i = 0; i < r->from_count; i++)
        from[i] = r->from[i].snapshot;
    return differences_open(out, from, r->from_count, r->to.snapshot, r->worker->job->resume, out_fault);
}

static void walk(struct reanalysis *r)
{
    const job_message *job = r->worker->job;
    struct last_words *words = r->worker->words;
    struct differences differences;
    struct difference d;
    struct segment_fault fault;
    int err = open_differences(r, &differences, &fault);
    if (err)
        job_die_damaged(r->worker, err, &fault);
    words_stage(words, STAGE_INDEXING);
    r->done = job->stop;
    while (differences_next(&differences, &d) && d.stamp < job->stop) {
        if (is_foreign(r, &d))
            continue;
        if (is_past_soft_mark(r, &d)) {
            r->done = d.stamp;
            break;
        }
        words->sequence = d.stamp;
        if (d.is_surplus)
            mark(r, &d);
        else
            copy(r, &d);
        words->documents++;
    }
    words->sequence = 0; /* from here on it is no single document's fault */
    differences_close(&differences);
}

/* -------------------------------------------------------------------------------------------------------------- commit
 */

static int keep_tombstone(void *context, const struct core_tombstone *t)
{
    struct reanalysis *r = context;
    if (r->tombstone_count == r->tombstone_room) {
        r->tombstone_room = r->tombstone_room ? r->tombstone_room * 2 : 64;
        r->tombstones = reallocarray(r->tombstones, r->tombstone_room, sizeof *r->tombstones);
    }
    struct core_tombstone *kept = &r->tombstones[r->tombstone_count++];
    *kept = *t;
    kept->id = arena_copy(&r->worker->scratch, t->id);
    if (!kept->id.ptr)
        job_scratch_full(r->worker);
    return 0;
}

/* Whether `e` is still as it was when it was opened. */
static bool is_unchanged(struct worker *w, const struct edition *e)
{
    struct core_view *now;
    job_must(w, core_read(e->core, e->snapshot->view, &now), "core.mdb cannot be read");
    bool same = now == e->snapshot->view;
    core_view_release(now);
    return same;
}

/* What is known of the operations of the edition that is read, if nothing has written to it. */
static bool take_position(struct reanalysis *r, struct core_position *out)
{
    const struct edition *from = &r->from[0];
    const struct core_view *v = from->snapshot->view;
    *out = (struct core_position){
        .generation = v->generation, .watermark = v->watermark, .ranges = v->ranges, .range_count = v->range_count};
    job_must(r->worker, core_tombstones(from->core, keep_tombstone, r), "core.mdb cannot be read");
    return is_unchanged(r->worker, from);
}

static int by_place(const void *a, const void *b)
{
    const struct core_mark *x = a, *y = b;
    if (x->segment != y->segment)
        return x->segment < y->segment ? -1 : 1;
    return (x->document > y->document) - (x->document < y->document);
}

static enum exit_reason superseded(struct reanalysis *r)
{
    struct core_view *view;
    if (r->indexing.documents)
        unlink(r->indexing.path);
    job_must(r->worker, core_read(r->to.core, NULL, &view), "core.mdb cannot be read");
    report_outcome(r->worker, false, (struct core_range){0}, view);
    return EXIT_REASON_SUPERSEDED;
}

/* Only one job at a time writes to an edition that is being made. */
static int commit_change(struct reanalysis *r, const struct core_change *change, uint64_t *out_generation)
{
    struct core_view *now;
    int err = core_begin(r->to.core);
    if (!err)
        err = core_begin_view(r->to.core, r->to.snapshot->view, &now);
    if (err)
        return err;
    bool same = now == r->to.snapshot->view;
    core_view_release(now);
    if (!same) {
        core_abort(r->to.core);
        return ERR_STALE;
    }
    return core_commit(r->to.core, change, out_generation);
}

static enum exit_reason commit(struct reanalysis *r)
{
    struct worker *w = r->worker;
    struct core_position position;
    struct added added = {0};
    struct core_change change = {.epoch = w->job->epoch, .marks = r->marks, .mark_count = r->mark_count};
    struct segment *segment = indexing_segment(&r->indexing);
    uint64_t generation;
    idling_end();
    words_stage(w->words, STAGE_COMMITTING);
    if (segment) {
        job_must(w, added_open(segment, &added), "the segment just written cannot be taken");
        change.added = &added.core;
    }
    sort_in_place(r->marks, r->mark_count, sizeof *r->marks, by_place);
    if (w->job->last && r->done == w->job->stop) {
        if (!take_position(r, &position))
            return superseded(r);
        change.position = &position;
        change.tombstones = r->tombstones;
        change.tombstone_count = r->tombstone_count;
    }
    int err = commit_change(r, &change, &generation);
    if (err == ERR_STALE)
        return superseded(r);
    job_must(w, err, "the commit failed");
    w->words->generation = generation;
    report_refusals(w, r->indexing.refusals, r->indexing.refusal_count, generation);
    struct core_view *view;
    job_must(w, core_read(r->to.core, NULL, &view), "core.mdb cannot be read after the commit");
    report_outcome(w, true, (struct core_range){w->job->resume, r->done}, view);
    return r->done < w->job->stop ? EXIT_REASON_RETIRED : EXIT_REASON_DONE;
}

enum exit_reason reanalyze_run(struct worker *w)
{
    struct reanalysis r = {.worker = w};
    const job_message *job = w->job;
    bool has_slots = job->first_slot < job->end_slot && job->end_slot <= SLOTS && !job->last;
    if (job->resume >= job->stop || job->from_edition == job->place->edition || (job->n_from_shards && !has_slots))
        words_die(w->words, EXIT_REASON_CORRUPT, "a re-analysis of nothing");
    indexing_open(&r.indexing, w);
    open_from(&r);
    open_to(&r);
    indexing_begin(&r.indexing);
    walk(&r);
    indexing_write(&r.indexing);
    return commit(&r);
}
