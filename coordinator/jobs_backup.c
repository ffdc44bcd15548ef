#include "coordinator/jobs_state.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/check.h"
#include "common/err.h"

enum { RETRY_MS = 50, TRIES = 200 };

/* One part, in one worker, and in another one where LMDB has ended it over a damaged file: that one goes on behind the place
 * that was in hand. Whatever else ends it is told to its owner. */
struct backup_run {
    const struct backup_part *part;
    unsigned tries; /* to start it */
    size_t from;    /* of the places */
    jobs_done *done;
    void *context;
};

static void give_up(struct backup_run *b, int err, const char *why)
{
    b->done(b->context, err, why);
    free(b);
}

void jobs_backup(struct jobs *j, const struct backup_part *part, jobs_done *done, void *context)
{
    require(!j->backup);
    j->backup = calloc(1, sizeof *j->backup);
    require(j->backup);
    *j->backup = (struct backup_run){.part = part, .done = done, .context = context};
    jobs_dispatch(j);
}

void backup_start_waiting(struct jobs *j)
{
    struct backup_run *b = j->backup;
    if (!b)
        return;
    struct job *job = job_new(j, &job_backup, NULL);
    job->backup = b;
    job->writes_memory = b->part->in_memory;
    int err = job_start(job);
    if (!err) {
        j->backup = NULL;
        return;
    }
    job_free(job);
    if (++b->tries < TRIES) {
        jobs_wake_at(j, uv_now(j->to.loop) + RETRY_MS);
        return;
    }
    j->backup = NULL;
    give_up(b, err, "no worker can be started");
}

void backup_drop_waiting(struct jobs *j)
{
    struct backup_run *b = j->backup;
    j->backup = NULL;
    if (b)
        give_up(b, ERR_CLOSED, "the server is stopping");
}

struct damage_rows {
    Mayfly__Internal__Damaged damaged;
    Mayfly__Internal__Place place;
};

static void fill_damaged(struct job *job, Mayfly__Internal__Job *m, const struct backup_part *part)
{
    struct damage_rows *rows = calloc(part->damage_count + 1, sizeof *rows);
    Mayfly__Internal__Damaged **pointers = calloc(part->damage_count + 1, sizeof(*pointers));
    require(rows != NULL && pointers != NULL);
    for (size_t i = 0; i < part->damage_count; i++) {
        const struct backup_damage *d = &part->damages[i];
        mayfly__internal__damaged__init(&rows[i].damaged);
        mayfly__internal__place__init(&rows[i].place);
        rows[i].place.index = d->place.index;
        rows[i].place.edition = d->place.edition;
        rows[i].place.shard = d->place.shard;
        rows[i].damaged.place = &rows[i].place;
        rows[i].damaged.what = d->what;
        pointers[i] = &rows[i].damaged;
    }
    m->damaged = pointers;
    m->n_damaged = part->damage_count;
    job->scratch[2] = rows;
    job->scratch[3] = pointers;
}

static void fill(struct job *job, Mayfly__Internal__Job *m)
{
    static const Mayfly__Internal__Job__Part parts[] = {[BACKUP_CORES] = MAYFLY__INTERNAL__JOB__PART__CORES,
                                                        [BACKUP_SEGMENTS] = MAYFLY__INTERNAL__JOB__PART__SEGMENTS,
                                                        [BACKUP_MANIFEST] = MAYFLY__INTERNAL__JOB__PART__MANIFEST};
    const struct backup_part *part = job->backup->part;
    job_fill_places(job, m, part->places, part->place_count);
    fill_damaged(job, m, part);
    m->backup = message_string(part->directory);
    m->part = parts[part->stage];
    m->from = (uint32_t)job->backup->from;
}

/* Where nothing can be linked; it counts where what is written is memory. */
static uint64_t writes(const struct job *job)
{
    uint64_t bytes = 0;
    for (const struct index *i = job->jobs->to.indexes->first; i; i = i->next)
        bytes += index_bytes(i);
    return bytes;
}

static void reported(struct job *job, const Mayfly__Internal__JobReport *report)
{
    const struct backup_run *b = job->backup;
    const Mayfly__Internal__Place *p = report->damaged ? report->damaged->place : NULL;
    if (p)
        b->part->on_damaged(b->context, &(struct place){p->index, p->edition, p->shard}, report->damaged->what);
}

/* The nursery could not fork it, or ended before: nothing has been done. */
static bool has_not_begun(const struct job *job)
{
    return job->lost && job->pid == 0;
}

static void try_again(struct job *job)
{
    job->jobs->backup = job->backup;
    jobs_wake_at(job->jobs, uv_now(job->jobs->to.loop) + RETRY_MS);
}

static bool is_known(const struct backup_part *part, const struct place *p)
{
    for (size_t i = 0; i < part->damage_count; i++) {
        const struct place *d = &part->damages[i].place;
        if (d->index == p->index && d->edition == p->edition && d->shard == p->shard)
            return true;
    }
    return false;
}

/* Over the files of a place that nobody knew to be damaged; its number is in the last words. */
static bool is_ended_by_damage(const struct job *job, const struct death *d)
{
    const struct backup_run *b = job->backup;
    const struct last_words *w = job_words(job);
    bool died = d->signal == SIGSEGV || d->signal == SIGBUS || d->signal == SIGABRT || d->reason == EXIT_REASON_CRASHED;
    return died && b->part->stage != BACKUP_MANIFEST && w->documents >= b->from && w->documents < b->part->place_count &&
           !is_known(b->part, &b->part->places[w->documents]);
}

static void go_on_behind(struct job *job)
{
    struct backup_run *b = job->backup;
    b->from = (size_t)job_words(job)->documents;
    b->tries = 0;
    b->part->on_damaged(b->context, &b->part->places[b->from], "the process that read its files was ended by what is in them");
    try_again(job);
}

static void ended(struct job *job, const struct death *d)
{
    struct backup_run *b = job->backup;
    if (d && has_not_begun(job) && ++b->tries < TRIES) {
        try_again(job);
        return;
    }
    if (d && is_ended_by_damage(job, d)) {
        go_on_behind(job);
        return;
    }
    const struct last_words *w = job_words(job);
    char why[sizeof w->text];
    snprintf(why, sizeof why, "%.*s", (int)sizeof w->text - 1, d && w->text[0] ? w->text : d ? exit_reason_name(d->reason) : "");
    job->backup = NULL;
    b->done(b->context, d ? ERR_CLOSED : 0, d ? why : NULL);
    free(b);
}

const struct job_kind job_backup = {.name = "backup",
                                    .kind = MAYFLY__INTERNAL__JOB__KIND__BACKUP,
                                    .fill = fill,
                                    .writes = writes,
                                    .reported = reported,
                                    .ended = ended,
                                    .memory = BACKUP_MEMORY,
                                    .beside = true};
