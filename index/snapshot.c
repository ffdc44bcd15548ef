#include "index/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "index/snapshot_file.h"

void snapshot_segment_path(const char *directory, uint64_t segment, char *out, size_t size)
{
    snprintf(out, size, "%s/seg-%" PRIu64 ".mdb", directory, segment);
}

struct opening {
    const char *directory;
    const struct snapshot *previous;
    size_t at; /* among its segments */
    bool for_ids;
    const uint64_t *only; /* NULL: all */
    size_t only_count;
};

static int fill_segment(const struct opening *o, struct snapshot_segment *s, const struct snapshot_segment *before,
                        struct segment_fault *out_fault)
{
    if (before) {
        s->file = snapshot_file_hold(before->file);
        s->marks = snapshot_file_advance(s->file, before->core, before->marks, s->core);
    } else {
        int err = snapshot_file_open(o->directory, s->core, o->for_ids, &s->file, out_fault);
        if (err)
            return err;
        s->marks = s->file->first;
    }
    s->segment = s->file->segment;
    return 0;
}

static const struct snapshot_segment *same_segment(const struct snapshot *previous, size_t *at, uint64_t id)
{
    while (previous && *at < previous->segment_count && previous->segments[*at].core->id < id)
        ++*at;
    bool found = previous && *at < previous->segment_count && previous->segments[*at].core->id == id;
    return found ? &previous->segments[*at] : NULL;
}

static void free_segments(struct snapshot *s)
{
    for (size_t i = 0; i < s->segment_count; i++)
        snapshot_file_release(s->segments[i].file);
    free(s->segments);
    free(s);
}

static bool is_wanted(const struct opening *o, uint64_t id)
{
    bool found = !o->only;
    for (size_t i = 0; !found && i < o->only_count; i++)
        found = o->only[i] == id;
    return found;
}

/* One more of the view's segments. */
static int add_segment(struct opening *o, const struct core_segment *core, struct snapshot *s,
                       struct segment_fault *out_fault)
{
    struct snapshot_segment *next = &s->segments[s->segment_count];
    next->core = core;
    int err = fill_segment(o, next, same_segment(o->previous, &o->at, core->id), out_fault);
    s->segment_count += !err;
    return err;
}

static int open_snapshot(struct opening *o, struct core_view *view, struct snapshot **out,
                         struct segment_fault *out_fault)
{
    *out_fault = (struct segment_fault){0};
    struct snapshot *s = calloc(1, sizeof *s);
    if (s)
        s->segments = calloc(view->segment_count + 1, sizeof *s->segments);
    if (!s || !s->segments) {
        free(s);
        return -ENOMEM;
    }
    s->references = 1;
    s->view = view;
    for (size_t i = 0; i < view->segment_count; i++) {
        int err = is_wanted(o, view->segments[i].id) ? add_segment(o, &view->segments[i], s, out_fault) : 0;
        if (err) {
            free_segments(s);
            return err;
        }
    }
    *out = s;
    return 0;
}

int snapshot_open(const char *directory, struct core_view *view, struct snapshot *previous, struct snapshot **out,
                  struct segment_fault *out_fault)
{
    struct opening o = {.directory = directory, .previous = previous};
    return open_snapshot(&o, view, out, out_fault);
}

int snapshot_open_for_ids(const char *directory, struct core_view *view, struct snapshot *previous,
                          struct snapshot **out, struct segment_fault *out_fault)
{
    struct opening o = {.directory = directory, .previous = previous, .for_ids = true};
    return open_snapshot(&o, view, out, out_fault);
}

int snapshot_open_only(const char *directory, struct core_view *view, const uint64_t *ids, size_t count,
                       struct snapshot **out, struct segment_fault *out_fault)
{
    struct opening o = {.directory = directory, .only = ids, .only_count = count};
    return open_snapshot(&o, view, out, out_fault);
}

struct snapshot *snapshot_hold(struct snapshot *s)
{
    s->references++;
    return s;
}

void snapshot_release(struct snapshot *s)
{
    if (!s || --s->references > 0)
        return;
    struct core_view *view = s->view;
    free_segments(s);
    core_view_release(view);
}

void snapshot_footprint(const struct snapshot *s, struct footprint *out)
{
    *out = (struct footprint){.heap = sizeof *s + s->segment_count * sizeof *s->segments + core_view_heap(s->view)};
    for (size_t i = 0; i < s->segment_count; i++) {
        out->mapped += s->segments[i].core->image ? 0 : segment_bytes(s->segments[i].segment);
        out->heap += snapshot_file_heap(s->segments[i].file);
    }
}

void snapshot_trim(const struct snapshot *s)
{
    for (size_t i = 0; i < s->segment_count; i++)
        segment_trim(s->segments[i].segment);
}

int64_t snapshot_live(struct snapshot_segment *s, const struct term *t)
{
    if (s->core->deleted == 0)
        return t->documents;
    int64_t deleted = snapshot_file_deleted(s->file, s->core, s->marks, t);
    return deleted < 0 ? deleted : (int64_t)t->documents - deleted;
}

int64_t snapshot_term(struct snapshot_segment *s, struct str key, struct term *out)
{
    int err = 0;
    if (!segment_find_term(s->segment, key, out, &err)) {
        out->documents = 0;
        return err;
    }
    return snapshot_live(s, out);
}

/* The newest segments first: that is where most live versions of what changes often are. */
bool snapshot_find(const struct snapshot *s, uint64_t hash, struct str id, size_t *out_segment, uint32_t *out_document,
                   int *err)
{
    *err = 0;
    for (size_t i = s->segment_count; i-- > 0;) {
        uint32_t from = 0, document;
        *out_segment = i;
        while (segment_find_id(s->segments[i].segment, hash, id, &from, &document, err)) {
            if (core_is_deleted(s->segments[i].core, document))
                continue;
            *out_document = document;
            return true;
        }
        if (*err)
            return false;
    }
    return false;
}
