/* One attempt at a job: what its worker is given, and what it says. */
#include "coordinator/jobs_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/arena.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/logger.h"

enum { REPORT_MOST = 256 << 10, REPORT_MEMORY = 32 << 20, FIXED_DESCRIPTORS = 3 };

/* ------------------------------------------------------------------------------------------------------------- the message */

static void fill_place(Mayfly__Internal__Place *to, const struct stream *s)
{
    mayfly__internal__place__init(to);
    to->index = s->index->number;
    to->edition = s->index->edition;
    to->shard = s->shard;
}

static bool fill_build(struct job *job, Mayfly__Internal__Job *m, struct arena *a)
{
    size_t regions = 0;
    for (struct bundle *b = job->bundles; b; b = b->next)
        regions++;
    Mayfly__Internal__Range *ranges = arena_new_array(a, regions, Mayfly__Internal__Range);
    m->regions = arena_new_array(a, regions, Mayfly__Internal__Range *);
    Mayfly__Internal__Skip *skips = arena_new_array(a, job->skip_count, Mayfly__Internal__Skip);
    m->skip = arena_new_array(a, job->skip_count, Mayfly__Internal__Skip *);
    if (!ranges || !m->regions || !skips || !m->skip)
        return false;
    for (struct bundle *b = job->bundles; b; b = b->next) {
        Mayfly__Internal__Range *r = &ranges[m->n_regions];
        mayfly__internal__range__init(r);
        r->first = b->first;
        r->end = b->end;
        m->regions[m->n_regions++] = r;
    }
    for (size_t i = 0; i < job->skip_count; i++) {
        mayfly__internal__skip__init(&skips[i]);
        skips[i].sequence = job->skips[i].sequence;
        skips[i].code = message_string(job->skips[i].code);
        skips[i].message = job->skips[i].message;
        m->skip[m->n_skip++] = &skips[i];
    }
    m->resume = job->first;
    m->stop = job->stop;
    return true;
}

static bool fill_survey(struct job *job, Mayfly__Internal__Job *m, struct arena *a)
{
    size_t count = 0;
    for (struct index *i = job->jobs->indexes->first; i; i = i->next)
        count++;
    Mayfly__Internal__Place *places = arena_new_array(a, count, Mayfly__Internal__Place);
    m->survey = arena_new_array(a, count, Mayfly__Internal__Place *);
    if (!places || !m->survey)
        return false;
    for (struct index *i = job->jobs->indexes->first; i; i = i->next) {
        fill_place(&places[m->n_survey], &i->streams[job->shard]);
        m->survey[m->n_survey] = &places[m->n_survey];
        m->n_survey++;
    }
    m->shard = job->shard;
    return true;
}

static bool fill(struct job *job, Mayfly__Internal__Job *m, Mayfly__Internal__Place *place, struct arena *a)
{
    struct jobs *j = job->jobs;
    static const Mayfly__Internal__Job__Kind kinds[] = {[JOB_SURVEY] = MAYFLY__INTERNAL__JOB__KIND__SURVEY,
                                                        [JOB_BUILD] = MAYFLY__INTERNAL__JOB__KIND__BUILD,
                                                        [JOB_MERGE] = MAYFLY__INTERNAL__JOB__KIND__MERGE};
    m->job = job->id;
    m->kind = kinds[job->kind];
    m->epoch = catalog_epoch(j->catalog);
    m->memory_cap = j->config->worker_memory;
    m->max_document_size = j->config->max_document_size;
    if (job->kind == JOB_SURVEY)
        return fill_survey(job, m, a);
    struct index *index = job->stream->index;
    fill_place(place, job->stream);
    m->place = place;
    m->settings = message_data((struct str){index->settings.data, index->settings.len});
    m->primary_key = index->primary_key;
    m->segment = job->segment;
    m->refusals_saved = job->stream->refusals_saved;
    if (job->kind == JOB_BUILD)
        return fill_build(job, m, a);
    m->inputs = job->inputs;
    m->n_inputs = job->input_count;
    return true;
}

static int pack(struct job *job, struct region *out)
{
    struct arena a;
    Mayfly__Internal__Job m = MAYFLY__INTERNAL__JOB__INIT;
    Mayfly__Internal__Place place;
    int err = arena_init(&a, REPORT_MEMORY, 0);
    if (err)
        return err;
    if (!fill(job, &m, &place, &a))
        err = ERR_FULL;
    size_t size = err ? 0 : mayfly__internal__job__get_packed_size(&m);
    if (!err)
        err = region_open(out, "mayfly-job", size ? size : 1);
    if (!err) {
        out->used = mayfly__internal__job__pack(&m, (uint8_t *)out->base);
        err = region_seal(out);
    }
    arena_finish(&a);
    return err;
}

/* ------------------------------------------------------------------------------------------------------------- reports */

static bool read_report(struct job *job)
{
    struct arena a;
    static char bytes[REPORT_MOST]; /* read whole before anything else is */
    int none[1];
    size_t count = 0;
    ssize_t got = fd_receive(job->lifeline, bytes, sizeof bytes, none, &count, MSG_DONTWAIT);
    if (got == -EAGAIN)
        return false;
    if (got <= 0) {
        job->hung_up = true;
        return false;
    }
    if (arena_init(&a, REPORT_MEMORY, 0))
        return false;
    Mayfly__Internal__JobReport *report = (Mayfly__Internal__JobReport *)message_unpack_any(
        &a, &mayfly__internal__job_report__descriptor, (struct str){bytes, (size_t)got});
    if (report && report->job == job->id)
        job_take_report(job, report);
    else
        log_error("a worker's report cannot be read job=%llu", (unsigned long long)job->id);
    arena_finish(&a);
    return true;
}

static void on_lifeline(uv_poll_t *poll, int status, int events)
{
    struct job *job = poll->data;
    (void)status, (void)events;
    while (job->poll == poll && read_report(job)) {
    }
    if (job->poll != poll || !job->hung_up)
        return;
    uv_poll_stop(poll);
    if (job->reaped)
        job_attempt_ended(job);
}

static void free_poll(uv_handle_t *poll)
{
    free(poll);
}

static int listen_to(struct job *job)
{
    job->poll = calloc(1, sizeof *job->poll);
    if (!job->poll)
        return -ENOMEM;
    int err = fd_set_nonblocking(job->lifeline);
    if (!err)
        err = uv_poll_init(job->jobs->loop, job->poll, job->lifeline);
    if (err) {
        free(job->poll);
        job->poll = NULL;
        return err;
    }
    job->poll->data = job;
    return uv_poll_start(job->poll, UV_READABLE | UV_DISCONNECT, on_lifeline);
}

/* ------------------------------------------------------------------------------------------------------------- the attempt */

static int send_job(struct job *job, int worker_end, int message)
{
    int fds[FIXED_DESCRIPTORS + NURSERY_MAX_REGIONS] = {message, job->words.fd, worker_end};
    size_t count = FIXED_DESCRIPTORS;
    for (struct bundle *b = job->bundles; b; b = b->next)
        fds[count++] = b->region.fd;
    return nursery_send(job->jobs->nursery, job->id, fds, count);
}

static int prepare(struct job *job)
{
    int pair[2];
    struct region message = REGION_NONE;
    int err = region_open_shared(&job->words, "mayfly-last-words", LAST_WORDS_SIZE);
    if (!err)
        err = fd_socketpair(SOCK_SEQPACKET, pair);
    if (err)
        return err;
    job->lifeline = pair[0];
    scoped(fd) int worker_end = pair[1];
    err = pack(job, &message);
    if (!err)
        err = listen_to(job);
    if (!err)
        err = send_job(job, worker_end, message.fd);
    region_close(&message);
    return err;
}

int job_start(struct job *job)
{
    struct jobs *j = job->jobs;
    job->id = ++j->next_id;
    if (job->kind != JOB_SURVEY && (job->segment = catalog_next(j->catalog, NUMBER_SEGMENT)) == 0)
        return -ENOSPC; /* the catalog said why */
    job->committed = job->superseded = job->reaped = job->hung_up = false;
    int err = prepare(job);
    if (err) {
        job_finish_attempt(job);
        return err;
    }
    job->running = true;
    log_debug("job started job=%llu kind=%d", (unsigned long long)job->id, (int)job->kind);
    return 0;
}

void job_finish_attempt(struct job *job)
{
    if (job->poll)
        uv_close((uv_handle_t *)job->poll, free_poll);
    job->poll = NULL;
    fd_close(&job->pidfd);
    fd_close(&job->lifeline); /* uv has let go of it: uv_close stops polling at once */
    region_close(&job->words);
    job->running = false;
    job->pid = 0;
}
