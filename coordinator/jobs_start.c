#include "coordinator/jobs_state.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/check.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/logger.h"

/* The beginning of a run: what the worker is to do, by what it is heard, what it may take, and the ticket with all that to the
 * nursery; or, where one waits that was forked ahead, the message alone, to it. */

enum { FIXED_FDS = 3 };

/* --- the message */

static void fill_common(const struct job *job, Mayfly__Internal__Job *m, Mayfly__Internal__Place *place)
{
    const struct jobs *j = job->jobs;
    m->job = job->number;
    m->kind = job->kind->kind;
    m->epoch = catalog_epoch(j->to.catalog);
    m->memory_cap = job_memory(job);
    m->max_document_size = j->to.config->max_document_size;
    m->segment = job->segment;
    if (!job->stream)
        return;
    const struct index *i = job->stream->index;
    place->index = i->number;
    place->edition = i->edition;
    place->shard = job->stream->shard;
    m->place = place;
    m->settings = message_data((struct str){.ptr = i->settings.data, .len = i->settings.len});
    m->primary_key = message_string(i->primary_key);
    m->refusals_saved = job->stream->refusals_saved;
}

void job_fill_places(struct job *job, Mayfly__Internal__Job *m, const struct place *places, size_t count)
{
    Mayfly__Internal__Place *rows = calloc(count + 1, sizeof *rows);
    Mayfly__Internal__Place **pointers = calloc(count + 1, sizeof *pointers);
    require(rows && pointers);
    for (size_t i = 0; i < count; i++) {
        mayfly__internal__place__init(&rows[i]);
        rows[i].index = places[i].index;
        rows[i].edition = places[i].edition;
        rows[i].shard = places[i].shard;
        pointers[i] = &rows[i];
    }
    m->survey = pointers;
    m->n_survey = count;
    job->scratch[0] = rows;
    job->scratch[1] = pointers;
}

static void free_scratch(struct job *job)
{
    for (size_t i = 0; i < sizeof job->scratch / sizeof job->scratch[0]; i++) {
        free(job->scratch[i]);
        job->scratch[i] = NULL;
    }
}

struct buf job_message(struct job *job)
{
    Mayfly__Internal__Job message;
    Mayfly__Internal__Place place;
    mayfly__internal__job__init(&message);
    mayfly__internal__place__init(&place);
    fill_common(job, &message, &place);
    job->kind->fill(job, &message);
    struct buf packed = {0};
    uint8_t *bytes = buf_extend(&packed, mayfly__internal__job__get_packed_size(&message));
    require(bytes);
    mayfly__internal__job__pack(&message, bytes);
    free_scratch(job);
    return packed;
}

static int seal_message(struct job *job, struct region *out)
{
    struct buf message = job_message(job);
    int err = region_create(out, "mayfly-job");
    if (!err)
        err = region_put(out, message.data, message.len, 0);
    if (!err)
        err = region_seal(out);
    buf_finish(&message);
    return err;
}

size_t job_regions(const struct job *job, int *fds)
{
    size_t count = 0;
    for (const struct bundle *b = job->batch ? job->batch->bundles : NULL; b && b->first < job->batch->attempt.stop; b = b->next)
        fds[count++] = b->region.fd;
    return count;
}

/* --- what it may take */

/* Page tables of what a worker maps: the segments of its stream. */
static struct cap_need need_of(const struct job *job)
{
    struct cap_need need = {.written = job->kind->writes ? job->kind->writes(job) : 0, .in_memory = job->writes_memory};
    for (size_t i = 0; job->stream && i < job->stream->segment_count; i++)
        need.mapped += job->stream->segments[i].bytes;
    if (job->kind == &job_reanalyze)
        need.mapped += need.written; /* what it reads is as much */
    return need;
}

uint64_t job_memory(const struct job *job)
{
    return job->kind->memory ? job->kind->memory : job->jobs->to.config->worker_memory;
}

uint64_t job_limit(const struct job *job)
{
    return cap_limit(job->jobs->to.cap, job_memory(job), need_of(job));
}

int job_make_group(struct job *job)
{
    int err = cap_begin(job->jobs->to.cap, job->number, job->limit, &job->entrance);
    job->has_group = !err && job->entrance >= 0;
    return err;
}

/* --- the ticket */

static int open_lifeline(struct job *job, int *out_worker_end)
{
    int pair[2], err = fd_socketpair(SOCK_SEQPACKET, pair);
    if (err)
        return err;
    scoped(fd) int ours = pair[0];
    *out_worker_end = pair[1];
    err = fd_set_nonblocking(ours);
    if (!err)
        err = watch_open(job->jobs->to.loop, ours, job_on_lifeline, job, &job->lifeline);
    if (!err)
        fd_take(&ours);
    return err;
}

static int send_ticket(struct job *job, int message, int worker_end)
{
    int fds[FD_PASS_MAX] = {message, job->words.fd, worker_end};
    size_t count = FIXED_FDS + job_regions(job, fds + FIXED_FDS);
    if (job->has_group)
        fds[count++] = job->entrance;
    const struct nursery_ticket ticket = {.job = job->number, .fds = fds, .count = count, .has_group = job->has_group, .urgent = job->small};
    return nursery_send(job->jobs->to.nursery, &ticket);
}

/* One that is to wait has no message yet, and no regions: what it may take is in the ticket. */
static int send_ticket_ahead(struct job *job, int worker_end)
{
    const int fds[] = {job->words.fd, worker_end, job->entrance};
    const struct nursery_ticket ticket = {.job = job->number,
                                          .fds = fds,
                                          .count = job->has_group ? 3 : 2,
                                          .has_group = job->has_group,
                                          .urgent = true,
                                          .ahead_memory = job_memory(job)};
    return nursery_send(job->jobs->to.nursery, &ticket);
}

static int run(struct job *job)
{
    scoped(fd) int worker_end = -1;
    struct region message = REGION_NONE;
    bool is_ahead = job->kind == &job_standby;
    int err = is_ahead ? 0 : seal_message(job, &message);
    if (!err)
        err = region_open_shared(&job->words, "mayfly-words", LAST_WORDS_SIZE);
    if (!err)
        err = open_lifeline(job, &worker_end);
    if (!err && !is_ahead)
        err = job_make_group(job);
    if (!err)
        err = is_ahead ? send_ticket_ahead(job, worker_end) : send_ticket(job, message.fd, worker_end);
    fd_close(&job->entrance);
    region_close(&message);
    return err;
}

int job_start(struct job *job)
{
    struct jobs *j = job->jobs;
    if (job->kind != &job_standby)
        job->limit = job_limit(job);
    int err = standby_take(job) ? 0 : run(job);
    if (err) {
        watch_close(&job->lifeline);
        return err;
    }
    job->next = j->running;
    j->running = job;
    job_count_slot(job, 1);
    if (job->stream)
        job->stream->jobs->running++;
    hang_check(j);
    log_debug("job begins job=%llu kind=%s index=%s", (unsigned long long)job->number, job->kind->name,
              job->stream ? job->stream->index->name : "-");
    return 0;
}

void job_start_failed(int err)
{
    if (err != -ENOSPC /* the catalog has said so */ && err != -EAGAIN && err != -EPIPE && err != -ECONNRESET && err != ERR_CLOSED)
        log_error("cannot start a worker, trying again: %s", err_str(err));
}
