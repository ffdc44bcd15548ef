#include <stdlib.h>
#include <unistd.h>

#include "common/err.h"
#include "index/resolve.h"
#include "index/store_writer.h"
#include "worker/build.h"
#include "worker/idling.h"
#include "worker/report.h"
#include "worker/words.h"

static _Noreturn void die_uncommitted(struct worker *w, int err, const struct segment_fault *fault)
{
    if (fault->segment)
        job_die_damaged(w, err, fault);
    words_die(w->words, words_reason(err), "the commit failed: %s", err_str(err));
}

static struct core_view *read_view(struct worker *w, struct core *core)
{
    struct core_view *view;
    job_must(w, core_read(core, NULL, &view), "core.mdb cannot be read after the commit");
    return view;
}

/* core.mdb has as many images as it may: this one becomes a file, as if it were large. */
static void turn_to_file(struct build *b, struct resolve_build *build)
{
    struct indexing *x = &b->indexing;
    struct store_options options = {.path = x->path, .transaction = b->worker->transaction};
    uint64_t bytes;
    job_must(b->worker, store_write_file(&options, x->image, &bytes), "the segment cannot be written");
    x->image = NULL;
    build->segment = indexing_segment(x);
}

static int resolve(struct build *b, struct resolve_build *build, uint64_t *out_generation,
                   struct segment_fault *out_fault)
{
    int err = resolve_build(b->core, build, out_generation, out_fault);
    if (err != ERR_FULL || !b->indexing.image)
        return err;
    turn_to_file(b, build);
    return resolve_build(b->core, build, out_generation, out_fault);
}

/* Somebody applied the range before: the file that is not named is nobody's. */
static enum exit_reason superseded(struct build *b, struct core_range applied)
{
    if (b->indexing.documents && !b->indexing.image)
        unlink(b->indexing.path);
    report_outcome(b->worker, false, applied, read_view(b->worker, b->core));
    return EXIT_REASON_SUPERSEDED;
}

static struct resolve_build what_is_done(const struct build *b)
{
    const job_message *job = b->worker->job;
    return (struct resolve_build){
        .directory = b->indexing.directory,
        .epoch = job->epoch,
        .applied = {.first = b->regions.first, .end = b->done},
        .deletions = b->deletions,
        .deletion_count = b->deletion_count,
        .refusals = b->indexing.refusals,
        .refusal_count = b->indexing.refusal_count,
        .refusals_saved = job->refusals_saved,
        .is_settled = b->is_settled,
    };
}

static void take_gaps(const struct build *b, struct resolve_build *build)
{
    struct core_range *gaps = calloc(b->regions.count, sizeof *gaps);
    build->gap_count = regions_gaps(&b->regions, b->done, gaps);
    build->gaps = gaps;
}

void build_commit_part(struct build *b)
{
    struct worker *w = b->worker;
    struct resolve_build build = what_is_done(b);
    struct segment_fault fault = {0};
    uint64_t generation;
    idling_end();
    words_stage(w->words, STAGE_COMMITTING);
    build.applied.end = build.applied.first;
    int err = resolve_build(b->core, &build, &generation, &fault);
    if (err)
        die_uncommitted(w, err, &fault);
    report_refusals(w, b->indexing.refusals, b->indexing.refusal_count, generation);
    b->deletion_count = b->indexing.refusal_count = 0;
    words_stage(w->words, STAGE_INDEXING);
}

enum exit_reason build_commit(struct build *b)
{
    struct worker *w = b->worker;
    struct resolve_build build = what_is_done(b);
    struct segment_fault fault = {0};
    uint64_t generation;
    build.segment = indexing_segment(&b->indexing);
    take_gaps(b, &build);
    idling_end();
    words_stage(w->words, STAGE_COMMITTING);
    int err = resolve(b, &build, &generation, &fault);
    if (err == ERR_STALE)
        return superseded(b, build.applied);
    if (err)
        die_uncommitted(w, err, &fault);
    w->words->generation = generation;
    report_refusals(w, b->indexing.refusals, b->indexing.refusal_count, generation);
    report_outcome(w, true, build.applied, read_view(w, b->core));
    return b->done < b->regions.end ? EXIT_REASON_RETIRED : EXIT_REASON_DONE;
}
