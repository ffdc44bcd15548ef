/* Damage that the scan at start met: what is torn and what is lost. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"
#include "common/err.h"
#include "common/logger.h"
#include "coordinator/oplog_files.h"

enum { MOST_LINES = 50 };

void oplog_add_damage(struct oplog_files *f, uint64_t number, const struct oplog_piece *p)
{
    struct damage *grown = realloc(f->damages, (f->damage_count + 1) * sizeof *grown);
    require(grown != NULL);
    f->damages = grown;
    const struct oplog_entry *e = &p->r.entry;
    struct damage d = {.number = number, .from = p->from, .to = p->to, .named = p->named};
    if (p->named) {
        d.stream = e->stream;
        d.first = e->first;
        d.end = e->first + e->count;
        d.task = e->task;
    }
    grown[f->damage_count++] = d;
}

void oplog_mark_proven(struct oplog_files *f, uint64_t number, uint64_t synced)
{
    for (size_t i = f->damage_count; i-- > 0 && f->damages[i].number == number;)
        f->damages[i].proven = f->damages[i].from < synced;
}

static size_t place_of(const struct oplog_files *f, uint64_t number)
{
    size_t at = 0;
    while (f->files[at].number != number)
        at++;
    return at;
}

/* Writing goes on in the next file only after a failure, when all is written again, or once this one is durable. */
static bool is_followed(const struct oplog_files *f, size_t at)
{
    while (++at < f->count)
        if (f->files[at].extent_count)
            return true;
    return false;
}

static int cut(struct oplog_files *f, size_t at, uint64_t end)
{
    char path[OPLOG_PATH];
    struct log_file *file = &f->files[at];
    oplog_path(f->directory, file->number, path);
    log_warn("cut a torn tail of %llu bytes: %s", (unsigned long long)(file->bytes - end), path);
    if (truncate(path, (off_t)end) < 0)
        return -errno;
    oplog_note_size(f, file->number, end);
    return 0;
}

static void report(const struct oplog_files *f, const struct damage *d)
{
    enum log_level level = d->proven ? LOG_ERROR : LOG_WARN;
    const char *what = d->proven ? "a log file is damaged" : "a log file has a hole that was perhaps never durable";
    if (d->named)
        log_at(level, "%s file=%s/%llu.log offset=%llu bytes=%llu index=%u edition=%u shard=%u first=%llu end=%llu task=%llu",
               what, f->directory, (unsigned long long)d->number, (unsigned long long)d->from,
               (unsigned long long)(d->to - d->from), d->stream.index, d->stream.edition, d->stream.shard,
               (unsigned long long)d->first, (unsigned long long)d->end, (unsigned long long)d->task);
    else
        log_at(level, "%s file=%s/%llu.log offset=%llu bytes=%llu, whose operations they were it does not say", what,
               f->directory, (unsigned long long)d->number, (unsigned long long)d->from,
               (unsigned long long)(d->to - d->from));
}

/* A group that could not be written stands in the next file again. */
static bool is_repeated(const struct oplog_files *f, const struct damage *d)
{
    struct ranges present = {.at = NULL};
    struct range gap;
    oplog_files_present(f, &d->stream, &present);
    bool repeated = d->named && !ranges_gap(&present, d->first, d->end, &gap);
    ranges_finish(&present);
    return repeated;
}

/* Nothing that was acknowledged. A piece at a file's end that is shorter than a header was never a record. */
static bool is_torn(const struct oplog_files *f, const struct damage *d, const uint64_t *ends)
{
    size_t at = place_of(f, d->number);
    bool is_scrap = !d->named && d->to - d->from < OPLOG_RECORD_HEADER;
    return d->from >= ends[at] && (is_scrap || !is_followed(f, at) || is_repeated(f, d));
}

int oplog_settle_damage(struct oplog_files *f, const uint64_t *ends)
{
    size_t kept = 0, lines = 0;
    int err = 0;
    for (size_t i = 0; i < f->damage_count; i++) {
        struct damage *d = &f->damages[i];
        if (is_torn(f, d, ends))
            continue;
        d->proven |= is_followed(f, place_of(f, d->number));
        if (d->named)
            oplog_claim(f, &d->stream, d->end);
        if (lines++ < MOST_LINES)
            report(f, d);
        f->damages[kept++] = *d;
    }
    f->damage_count = kept;
    if (lines > MOST_LINES)
        log_error("the log has %zu damaged places in all", lines);
    for (size_t i = 0; i < f->count && !err; i++)
        if (ends[i] && ends[i] < f->files[i].bytes && !is_followed(f, i))
            err = cut(f, i, ends[i]);
    return err;
}

bool oplog_has_unnamed_damage(const struct oplog_files *f)
{
    for (size_t i = 0; i < f->damage_count; i++)
        if (!f->damages[i].named)
            return true;
    return false;
}

/* Of which task the numbers from `first` on were, and up to where: as a damaged record's header says, else if those
 * before and after are of one task. 0: nobody knows. */
uint64_t oplog_task_of_lost(const struct oplog_files *f, const struct oplog_stream *s, uint64_t first, uint64_t *end)
{
    uint64_t before = 0, after = 0;
    for (size_t i = 0; i < f->damage_count; i++) {
        const struct damage *d = &f->damages[i];
        if (!d->named || memcmp(&d->stream, s, sizeof *s) != 0)
            continue;
        if (d->first <= first && first < d->end) {
            *end = *end < d->end ? *end : d->end;
            return d->task;
        }
        if (d->first > first && d->first < *end)
            *end = d->first;
    }
    for (size_t i = 0; i < f->count; i++)
        for (size_t k = 0; k < f->files[i].extent_count; k++) {
            const struct extent *e = &f->files[i].extents[k];
            if (memcmp(&f->streams[e->stream].stream, s, sizeof *s) != 0)
                continue;
            before = e->end == first ? e->last_task : before;
            after = e->first == *end ? e->first_task : after;
        }
    return before == after ? before : 0;
}
