#include "verify/look.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/err.h"
#include "index/core.h"
#include "index/segment.h"
#include "index/snapshot.h"

enum { PATH_ROOM = 200 };

static uint64_t size_of(const char *path)
{
    struct stat status;
    return stat(path, &status) < 0 ? 0 : (uint64_t)status.st_size;
}

static void look_at_segment(struct findings *f, const char *directory, const struct core_segment *s)
{
    char path[PATH_ROOM];
    const char *section = NULL;
    snapshot_segment_path(directory, s->id, path, sizeof path);
    uint64_t size = size_of(path);
    findings_file(f, path, size);
    int err = segment_verify(path, &section);
    if (err)
        findings_damage(f, path, "%s%s%s", section ? section : "", section ? ": " : "", err_str(err));
    else if (size != s->bytes)
        findings_damage(f, path, "it has %" PRIu64 " bytes, core.mdb says %" PRIu64, size, s->bytes);
}

static void look_at_image(struct findings *f, const char *directory, const struct core_segment *s)
{
    char path[PATH_ROOM];
    const char *section = NULL;
    int err = segment_verify_image(s->image, &section);
    snprintf(path, sizeof path, "%s/core.mdb", directory);
    if (err)
        findings_damage(f, path, "image of segment %" PRIu64 ", %s: %s", s->id, section ? section : "", err_str(err));
}

static void take_view(struct findings *f, const struct place *p, const char *directory, const struct core_view *v)
{
    findings_watermark(f, p, v->watermark);
    for (size_t i = 0; i < v->range_count; i++)
        findings_known(f, p, v->ranges[i].first, v->ranges[i].end);
    for (size_t i = 0; i < v->segment_count; i++) {
        if (v->segments[i].image)
            look_at_image(f, directory, &v->segments[i]);
        else
            look_at_segment(f, directory, &v->segments[i]);
    }
}

static int is_segment(const struct dirent *e)
{
    return strncmp(e->d_name, "seg-", 4) == 0;
}

/* A worker makes core.mdb before it writes a segment. */
static bool has_segments(const char *directory)
{
    struct dirent **entries;
    int count = scandir(directory, &entries, is_segment, NULL);
    for (int i = 0; i < count; i++)
        free(entries[i]);
    if (count >= 0)
        free(entries);
    return count > 0;
}

static void look(struct findings *f, const void *context)
{
    const struct place *p = context;
    char directory[PATH_ROOM - 60], path[PATH_ROOM];
    struct core *core;
    struct core_view *view;
    snprintf(directory, sizeof directory, "indexes/%" PRIu32 "/%" PRIu32 "/%" PRIu32, p->index, p->edition, p->shard);
    snprintf(path, sizeof path, "%s/core.mdb", directory);
    int err = core_open_alone(directory, &core);
    if (err == -ENOENT && size_of(path) == 0 && !has_segments(directory)) /* nothing was ever committed there */
        return;
    findings_file(f, path, size_of(path));
    if (err == -ENOENT) {
        findings_damage(f, path, "it is gone or cut");
        return;
    }
    if (!err)
        err = core_verify(core);
    if (!err)
        err = core_read(core, NULL, &view);
    if (err) {
        findings_damage(f, path, "%s", err_str(err));
        return;
    }
    take_view(f, p, directory, view);
    core_view_release(view);
    core_close(core);
}

void look_at_indexes(struct findings *f)
{
    for (size_t i = 0; i < f->place_count; i++) {
        const struct place p = f->places[i]; /* a copy: what is found goes to the table */
        size_t before = f->damaged;
        findings_of(f, look, &p);
        f->places[i].unreadable = f->damaged > before;
    }
}
