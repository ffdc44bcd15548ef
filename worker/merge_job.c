#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/err.h"
#include "index/analyzer.h"
#include "index/image.h"
#include "index/merge.h"
#include "index/resolve.h"
#include "index/store_writer.h"
#include "worker/hooks.h"
#include "worker/idling.h"
#include "worker/report.h"
#include "worker/words.h"

enum { REST_OF_MERGE = 16 << 20, SHARE_OF_PAIRS = 4, LARGEST_PAIRS = 64 << 20 };

/* MERGE: several segments, files and images, to one, in bounded memory, and the commit that puts it in their place. It is a
 * file; where it is a fold of small images and small enough, one image. */

struct merging {
    struct worker *worker;
    struct core *core;
    struct snapshot *merged;
    struct merge_input *inputs;
    struct str analyzer; /* of the inputs */
    char directory[PLACE_PATH_MAX];
    char path[PLACE_PATH_MAX + 40];
    struct image *image;    /* that was written; NULL: it is at `path` */
    struct segment *output; /* NULL: no document was live */
};

static const struct snapshot_segment *find_input(const struct snapshot *s, uint64_t id)
{
    for (size_t i = 0; i < s->segment_count; i++)
        if (s->segments[i].core->id == id)
            return &s->segments[i];
    return NULL;
}

static enum exit_reason superseded(struct merging *m)
{
    struct core_view *view;
    job_must(m->worker, core_read(m->core, NULL, &view), "core.mdb cannot be read");
    report_outcome(m->worker, false, (struct core_range){0}, view);
    return EXIT_REASON_SUPERSEDED;
}

static void open_snapshot(struct merging *m)
{
    struct worker *w = m->worker;
    struct core_view *view;
    struct segment_fault fault;
    job_place_path(w->job->place, m->directory);
    snprintf(m->path, sizeof m->path, "%s/seg-%llu.mdb", m->directory, (unsigned long long)w->job->segment);
    job_must(w, core_open_writer(m->directory, &m->core), "core.mdb cannot be opened");
    job_must(w, core_read(m->core, NULL, &view), "core.mdb cannot be read");
    int err = snapshot_open_only(m->directory, view, w->job->inputs, w->job->n_inputs, &m->merged, &fault);
    if (err)
        job_die_damaged(w, err, &fault);
}

/* False if one is gone: another merge was first. */
static bool find_inputs(struct merging *m)
{
    const job_message *job = m->worker->job;
    m->inputs = calloc(job->n_inputs + 1, sizeof *m->inputs);
    for (size_t i = 0; i < job->n_inputs; i++) {
        const struct snapshot_segment *s = find_input(m->merged, job->inputs[i]);
        if (!s)
            return false;
        m->inputs[i] = (struct merge_input){.segment = s->segment, .core = s->core};
        m->worker->words->documents_total += s->core->documents - s->core->deleted;
        m->analyzer = segment_analyzer(s->segment);
    }
    return true;
}

static int on_progress(void *context, uint32_t documents)
{
    struct worker *w = context;
    w->words->documents = documents;
    return 0;
}

static void remove_file(const struct merging *m)
{
    if (!m->image)
        unlink(m->path);
}

static void open_output(struct merging *m)
{
    const char *section;
    int err = m->image ? segment_open_image(m->image, &m->output, &section) : segment_open(m->path, &m->output);
    job_must(m->worker, err, "the merged segment cannot be opened");
}

/* Lists of pairs come last: a part of what the rest of a merge leaves. More makes them no faster. */
static size_t memory_of_pairs(const struct worker *w)
{
    uint64_t cap = w->job->memory_cap, share = cap > REST_OF_MERGE ? (cap - REST_OF_MERGE) / SHARE_OF_PAIRS : 1;
    return share < LARGEST_PAIRS ? (size_t)share : (size_t)LARGEST_PAIRS;
}

static void write_output(struct merging *m)
{
    struct worker *w = m->worker;
    struct segment_options options = {
        .id = w->job->segment,
        .transaction = w->transaction,
        .analyzer = m->analyzer,
        .image = w->job->fold ? IMAGE_MOST : 0,
        .pairs = {.memory = memory_of_pairs(w), .wanted = hooks_pairs()}, /* of an image none are made */
    };
    struct segment_result result;
    size_t culprit = w->job->n_inputs;
    words_stage(w->words, STAGE_WRITING);
    int err = merge_segments(m->path, &options, m->inputs, w->job->n_inputs, on_progress, w, &result, &culprit);
    if (err && culprit < w->job->n_inputs) {
        w->words->input_segment = w->job->inputs[culprit];
        const char *section = segment_damaged(m->inputs[culprit].segment, "contents");
        bool in_core = segment_image(m->inputs[culprit].segment);
        job_die_damaged(w, err, &(struct segment_fault){w->words->input_segment, section, in_core});
    }
    job_must(w, err, "the merged segment cannot be written");
    m->image = result.image;
    if (result.documents == 0)
        remove_file(m); /* nothing lives: the inputs go, and nothing comes */
    else
        open_output(m);
}

/* core.mdb has no room for one more. */
static void turn_to_file(struct merging *m, struct resolve_merge *merge)
{
    struct worker *w = m->worker;
    struct store_options options = {.path = m->path, .transaction = w->transaction};
    uint64_t bytes;
    job_must(w, store_write_file(&options, m->image, &bytes), "the merged segment cannot be written");
    m->image = NULL;
    open_output(m);
    merge->output = m->output;
}

static enum exit_reason commit(struct merging *m)
{
    struct worker *w = m->worker;
    uint64_t generation;
    struct resolve_merge merge = {
        .epoch = w->job->epoch,
        .merged = m->merged,
        .inputs = w->job->inputs,
        .input_count = w->job->n_inputs,
        .output = m->output,
        .refusals_saved = w->job->refusals_saved,
    };
    idling_end();
    words_stage(w->words, STAGE_COMMITTING);
    int err = resolve_merge(m->core, &merge, &generation);
    if (err == ERR_FULL && m->image) {
        turn_to_file(m, &merge);
        err = resolve_merge(m->core, &merge, &generation);
    }
    if (err == ERR_STALE) {
        if (m->output)
            remove_file(m);
        return superseded(m);
    }
    job_must(w, err, "the commit failed");
    w->words->generation = generation;
    struct core_view *view;
    job_must(w, core_read(m->core, NULL, &view), "core.mdb cannot be read after the commit");
    report_outcome(w, true, (struct core_range){0}, view);
    return EXIT_REASON_DONE;
}

enum exit_reason merge_run(struct worker *w)
{
    struct merging m = {.worker = w};
    if (w->job->n_inputs == 0)
        words_die(w->words, EXIT_REASON_CORRUPT, "a merge of nothing");
    open_snapshot(&m);
    if (!find_inputs(&m))
        return superseded(&m);
    write_output(&m);
    return commit(&m);
}
