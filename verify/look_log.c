#include "verify/look.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/err.h"
#include "coordinator/oplog_scan.h"

enum { PATH_ROOM = 300 };

static void take_entry(struct findings *f, const struct oplog_entry *e)
{
    const struct place p = {.index = e->stream.index, .numbering = e->stream.edition, .shard = e->stream.shard};
    findings_known(f, &p, e->first, e->first + e->count);
}

/* Behind what was ever durable there may be half a write: a start cuts it off, and nobody was told that it is safe. */
static void judge_damage(struct findings *f, const char *path, const struct oplog_scan *s, const struct oplog_piece *p)
{
    if (p->from < s->synced)
        findings_damage(f, path, "bytes %zu to %zu are damaged", p->from, p->to);
    else
        findings_note(f, path, "its end is torn, as a kill leaves it: a start cuts it off");
}

static void scan(struct findings *f, const char *path, struct oplog_scan *s)
{
    struct oplog_piece p, last = {0};
    int event;
    while ((event = oplog_scan_next(s, &p)) > 0) {
        if (last.to)
            findings_damage(f, path, "bytes %zu to %zu are damaged", last.from, last.to);
        last = event == SCAN_DAMAGE ? p : (struct oplog_piece){0};
        if (event == SCAN_ENTRY)
            take_entry(f, &p.r.entry);
    }
    if (last.to)
        judge_damage(f, path, s, &last);
    if (event < 0)
        findings_damage(f, path, "%s", err_str(event));
}

static void look(struct findings *f, const void *context)
{
    const char *path = context;
    struct oplog_scan s = {0};
    struct stat status = {0};
    (void)stat(path, &status);
    findings_file(f, path, (uint64_t)status.st_size);
    int err = oplog_scan_open(&s, path, strtoull(path + strlen("log/"), NULL, 10));
    if (err == ERR_CORRUPT)
        findings_note(f, path, "it has no whole header, as a kill leaves it: nothing in it was acknowledged");
    else if (err == ERR_VERSION)
        findings_damage(f, path, "it is of another format, this program reads %d", OPLOG_VERSION);
    else if (err)
        findings_damage(f, path, "%s", err_str(err));
    if (err)
        return;
    if (s.bad_header)
        findings_damage(f, path, "its header is damaged");
    scan(f, path, &s);
    oplog_scan_finish(&s);
}

static int is_log(const struct dirent *e)
{
    size_t digits = strspn(e->d_name, "0123456789");
    return digits > 0 && strcmp(e->d_name + digits, ".log") == 0;
}

void look_at_log(struct findings *f)
{
    struct dirent **files;
    char path[PATH_ROOM];
    int count = scandir("log", &files, is_log, alphasort);
    if (count < 0) {
        findings_damage(f, "log", "%s", err_str(-errno));
        return;
    }
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "log/%.280s", files[i]->d_name);
        findings_of(f, look, path);
        free(files[i]);
    }
    free(files);
}

void look_for_lost(struct findings *f)
{
    for (size_t i = 0; i < f->place_count; i++) {
        const struct place *p = &f->places[i];
        const struct ranges *known = &p->known;
        struct range gap;
        char path[PATH_ROOM];
        uint64_t end = known->count ? known->at[known->count - 1].end : 0, at = p->watermark;
        snprintf(path, sizeof path, "indexes/%" PRIu32 "/%" PRIu32 "/%" PRIu32, p->index, p->edition, p->shard);
        while (!p->unreadable && ranges_gap(known, at, end, &gap)) {
            findings_damage(f, path, "operations %" PRIu64 " to %" PRIu64 " are neither applied nor in the log",
                            gap.first, gap.end - 1);
            at = gap.end;
        }
    }
}
