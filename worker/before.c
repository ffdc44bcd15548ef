#include "worker/before.h"

#include <errno.h>

#include "common/err.h"
#include "worker/words.h"

enum { OPEN_TRIES = 10 };

static _Noreturn void die_damaged(const struct before *b, int err, const struct segment_fault *fault)
{
    words_stage(b->worker->words, STAGE_READING);
    job_die_damaged(b->worker, err, fault);
}

void before_die(const struct before *b, int err, const struct snapshot_segment *s, const char *section)
{
    if (err == ERR_FULL || err == -ENOMEM)
        job_scratch_full(b->worker);
    die_damaged(b, err, &(struct segment_fault){s->core->id, segment_damaged(s->segment, section), s->core->image});
}

/* A merge may remove a file between the view and its opening: then there is a newer view. */
static int open_snapshot(struct before *b, enum before_use use, struct segment_fault *fault)
{
    int err = -ENOENT;
    for (int tries = 0; err == -ENOENT && tries < OPEN_TRIES; tries++) {
        struct core_view *view;
        job_must(b->worker, core_read(b->core, NULL, &view), "core.mdb cannot be read");
        err = use == BEFORE_IDS ? snapshot_open_for_ids(b->directory, view, NULL, &b->snapshot, fault)
                                : snapshot_open(b->directory, view, NULL, &b->snapshot, fault);
        if (err)
            core_view_release(view);
    }
    return err;
}

const struct snapshot *before_open(struct before *b, uint64_t first, enum before_use use)
{
    if (b->snapshot)
        return b->snapshot;
    struct segment_fault fault = {0};
    int err = open_snapshot(b, use, &fault);
    if (err)
        die_damaged(b, err, &fault);
    if (b->snapshot->view->watermark < first)
        words_die(b->worker->words, EXIT_REASON_CORRUPT, "the job came before what it depends on was applied");
    return b->snapshot;
}
