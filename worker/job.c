#include "worker/job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/err.h"
#include "common/fd.h"
#include "common/region.h"
#include "worker/child.h"
#include "worker/malloc.h"
#include "worker/words.h"

enum { AHEAD_MOST = 32 << 10 /* coordinator/jobs_standby.c: what may be said to who waits */ };
enum { LARGEST_TRANSACTION = 4 << 20, SHARE_OF_TRANSACTION = 8 };

static const struct {
    job_kind *run;
    bool has_place;
} kinds[] = {
    [MAYFLY__INTERNAL__JOB__KIND__SURVEY] = {survey_run, false},
    [MAYFLY__INTERNAL__JOB__KIND__BUILD] = {build_run, true},
    [MAYFLY__INTERNAL__JOB__KIND__MERGE] = {merge_run, true},
    [MAYFLY__INTERNAL__JOB__KIND__REANALYZE] = {reanalyze_run, true},
    [MAYFLY__INTERNAL__JOB__KIND__BACKUP] = {backup_run, false},
};

void job_place_path(const place_message *place, char out[PLACE_PATH_MAX])
{
    snprintf(out, PLACE_PATH_MAX, "indexes/%u/%u/%u", place->index, place->edition, place->shard);
}

void job_must(const struct worker *w, int err, const char *what)
{
    if (err)
        words_die(w->words, words_reason(err), "%s: %s", what, err_str(err));
}

void job_die_damaged(const struct worker *w, int err, const struct segment_fault *fault)
{
    char where[FAULT_TEXT];
    segment_fault_text(fault, where);
    words_die(w->words, words_reason(err), "%s: %s", where, err_str(err));
}

const Mayfly__Internal__Skip *job_find_skip(const job_message *job, uint64_t sequence)
{
    for (size_t i = 0; i < job->n_skip; i++)
        if (job->skip[i]->sequence == sequence)
            return job->skip[i];
    return NULL;
}

void job_scratch_full(struct worker *w)
{
    words_die(w->words, EXIT_REASON_CAP, "a document's scratch arena reached worker_memory");
}

void *job_scratch(struct worker *w, size_t count, size_t size)
{
    void *block = arena_array(&w->scratch, count, size);
    if (!block)
        job_scratch_full(w);
    return block;
}

static const job_message *decode_job(const struct worker *w, struct str bytes)
{
    const job_message *job = mayfly__internal__job__unpack(NULL, bytes.len, (const uint8_t *)(const void *)bytes.ptr);
    if (!job || (size_t)job->kind >= sizeof kinds / sizeof kinds[0])
        words_die(w->words, EXIT_REASON_CORRUPT, "the job does not decode");
    if (kinds[job->kind].has_place && !job->place)
        words_die(w->words, EXIT_REASON_CORRUPT, "the job names no index");
    return job;
}

static const job_message *read_job(struct worker *w, int fd)
{
    struct region region;
    job_must(w, region_map_sealed(&region, fd, 0), "the job cannot be read");
    const job_message *job = decode_job(w, (struct str){region.base, region.used});
    region_close(&region);
    return job;
}

/* From here on all that the job brings with it counts. */
static void set_cap(struct worker *w, uint64_t memory)
{
    size_t cap = memory < SIZE_MAX / 2 ? (size_t)memory : SIZE_MAX / 2;
    heap_begin(w->words, cap);
    w->transaction =
        cap / SHARE_OF_TRANSACTION < LARGEST_TRANSACTION ? cap / SHARE_OF_TRANSACTION : LARGEST_TRANSACTION;
    job_must(w, arena_init(&w->scratch, cap, ARENA_HUGE_PAGES), "no address space for the scratch arena");
}

/* A job is small, so reading it comes before the cap. */
static void take_job(struct worker *w, const struct ticket *ticket)
{
    w->job = read_job(w, ticket->fds[TICKET_JOB]);
    set_cap(w, w->job->memory_cap);
}

/* Forked ahead: all that can be done before the job is known is done by then. End of file: it is not needed. */
static void await_job(struct worker *w, struct ticket *t)
{
    static uint8_t bytes[AHEAD_MOST];
    set_cap(w, t->ahead_memory);
    words_stage(w->words, STAGE_WAITING);
    t->count = FD_PASS_MAX;
    ssize_t got = fd_receive(w->lifeline, bytes, sizeof bytes, t->fds, &t->count, 0);
    if (got == 0 || got == -ECONNRESET)
        words_die(w->words, EXIT_REASON_DONE, "no job came");
    job_must(w, got < 0 ? (int)got : 0, "the job cannot be read");
    w->regions = t->fds;
    w->region_count = t->count;
    w->job = decode_job(w, (struct str){(const char *)bytes, (size_t)got});
    if (w->job->memory_cap != t->ahead_memory)
        words_die(w->words, EXIT_REASON_CORRUPT, "the job has another cap than its worker");
}

void job_work(void *analysis, struct ticket *ticket)
{
    struct worker w = {
        .analysis = analysis,
        .words = words_open(ticket->fds[TICKET_WORDS]),
        .lifeline = ticket->fds[TICKET_LIFELINE],
        .regions = ticket->fds + TICKET_REGIONS,
        .region_count = ticket->count - TICKET_REGIONS,
    };
    if (!w.words)
        _exit(EXIT_STATUS_CORRUPT); /* nowhere to say why */
    if (ticket->group_err)
        words_die(w.words, EXIT_REASON_WRITE, "its control group cannot be entered: %s", err_str(ticket->group_err));
    if (ticket->ahead_memory)
        await_job(&w, ticket);
    else
        take_job(&w, ticket);
    words_stage(w.words, STAGE_READING);
    enum exit_reason reason = kinds[w.job->kind].run(&w);
    words_stage(w.words, STAGE_DONE);
    words_die(w.words, reason, "%s", exit_reason_name(reason));
}
