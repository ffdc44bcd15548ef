#include <errno.h>
#include <string.h>

#include "index/core.h"
#include "worker/report.h"
#include "worker/words.h"

/* SURVEY: what each core.mdb of a shard number says, before anything is written in this life of the coordinator. */

struct refusals {
    struct worker *worker;
    const place_message *place;
    struct core_refusal items[REPORT_REFUSALS];
    size_t count;
    size_t mark; /* of the scratch arena, before the strings of `items` */
};

static void send_refusals(struct refusals *r)
{
    if (r->count)
        report_surveyed_refusals(r->worker, r->place, r->items, r->count);
    r->count = 0;
    arena_rewind(&r->worker->scratch, r->mark);
}

static struct str keep(struct refusals *r, struct str s, size_t limit)
{
    s.len = s.len < limit ? s.len : limit;
    struct str copy = arena_copy(&r->worker->scratch, s);
    if (!copy.ptr)
        job_scratch_full(r->worker);
    return copy;
}

static int collect(void *context, const struct core_refusal *refusal)
{
    struct refusals *r = context;
    struct core_refusal *kept = &r->items[r->count++];
    *kept = *refusal;
    kept->id = keep(r, refusal->id, REPORT_MESSAGE);
    kept->code = keep(r, refusal->code, REPORT_CODE);
    kept->message = keep(r, refusal->message, REPORT_MESSAGE);
    if (r->count == REPORT_REFUSALS)
        send_refusals(r);
    return 0;
}

static int read_core(struct worker *w, const place_message *place, struct core *core)
{
    struct refusals refusals = {.worker = w, .place = place, .mark = arena_mark(&w->scratch)};
    int err = core_refusals(core, collect, &refusals);
    if (err)
        return err;
    send_refusals(&refusals);
    struct core_view *view;
    err = core_read(core, NULL, &view);
    if (err)
        return err;
    report_surveyed(w, place, view);
    core_view_release(view);
    return 0;
}

/* No core.mdb yet: nothing was ever committed there. */
static void report_nothing(struct worker *w, const place_message *place)
{
    struct core_view empty = {.watermark = 1};
    report_surveyed(w, place, &empty);
}

/* As a writer, where there is a file: that finds a commit whose worker was killed before readers could see it. */
static int open_core(const char *path, struct core **out)
{
    struct core *reader;
    int err = core_open_reader(path, &reader);
    if (err)
        return err;
    core_close(reader);
    return core_open_writer(path, out);
}

static void survey(struct worker *w, const place_message *place)
{
    char path[PLACE_PATH_MAX];
    struct core *core;
    job_place_path(place, path);
    int err = open_core(path, &core);
    if (!err) {
        err = read_core(w, place, core);
        core_close(core);
    }
    if (err == -ENOENT)
        report_nothing(w, place);
    else if (err)
        report_survey_failed(w, place, err);
}

enum exit_reason survey_run(struct worker *w)
{
    w->words->documents_total = w->job->n_survey;
    for (size_t i = 0; i < w->job->n_survey; i++) {
        survey(w, w->job->survey[i]);
        w->words->documents++;
    }
    report_survey_end(w);
    return EXIT_REASON_DONE;
}
