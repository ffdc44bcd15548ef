#include "resolve_world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants the four above first
#include <cmocka.h>

#include "common/err.h"
#include "common/hash.h"
#include "index/image.h"
#include "index/merge.h"
#include "index/store_writer.h"

uint32_t pick(struct world *w, uint32_t below)
{
    w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(w->random >> 33) % below;
}

uint64_t stamp_of(uint64_t sequence)
{
    return sequence * 3 + 100;
}

uint8_t code_of(uint64_t stamp)
{
    return (uint8_t)(stamp % 60);
}

struct str id_text(uint32_t id, char room[16])
{
    return (struct str){room, (size_t)snprintf(room, 16, "id%02u", id)};
}

struct str key_of(uint32_t id, char room[16])
{
    return (struct str){room, (size_t)snprintf(room, 16, "sid%02u", id)};
}

/* ----------------------------------------------------------------------------------------------- a job */

static void write_documents(struct segment_writer *writer, const struct world *w, struct core_range job)
{
    char room[16];
    for (uint64_t n = job.first; n < job.end; n++) {
        if (w->operations[n].is_deletion)
            continue;
        struct segment_document d = {.stamp = stamp_of(n),
                                     .id = id_text(w->operations[n].id, room),
                                     .body = STR("{}"),
                                     .length_code = code_of(stamp_of(n))};
        d.hash = hash64(d.id);
        segment_writer_document(writer, &d);
    }
}

static void write_term(struct segment_writer *writer, const struct world *w, struct core_range job, int64_t id)
{
    char room[16];
    bool is_begun = false;
    uint32_t document = 0;
    const uint32_t p = 1;
    for (uint64_t n = job.first; n < job.end; n++) {
        if (w->operations[n].is_deletion)
            continue;
        if (id < 0 || w->operations[n].id == (uint32_t)id) {
            if (!is_begun)
                segment_writer_term(writer, id < 0 ? STR("sall") : key_of((uint32_t)id, room));
            is_begun = true;
            segment_writer_posting(writer, document, 1, &p, 1);
        }
        document++;
    }
}

static uint64_t new_segment(struct world *w, char path[128])
{
    uint64_t id = w->next_segment;
    w->next_segment += w->segment_step;
    snapshot_segment_path(w->directory, id, path, 128);
    return id;
}

/* Two of three are images where there is room. */
static struct segment *write_segment(struct world *w, struct core_range job, char path[128])
{
    struct segment_options options = {.id = new_segment(w, path), .transaction = 1 << 20, .analyzer = STR("1 test")};
    options.image = options.id % 3 ? IMAGE_MOST : 0;
    struct segment_writer *writer;
    assert_int_equal(segment_writer_open(path, &options, &writer), 0);
    segment_writer_field(writer, STR("f"));
    write_documents(writer, w, job);
    write_term(writer, w, job, -1);
    for (uint32_t id = 0; id < IDS; id++)
        write_term(writer, w, job, id);
    struct segment_result result;
    assert_int_equal(segment_writer_finish(writer, &result), 0);
    struct segment *s;
    const char *section;
    int err = result.image ? segment_open_image(result.image, &s, &section) : segment_open(path, &s);
    assert_int_equal(err, 0);
    image_release(result.image);
    return s;
}

static struct segment *write_file(struct segment *s, const char *path)
{
    struct store_options options = {.path = path, .transaction = 1 << 20};
    struct segment *file;
    uint64_t bytes;
    assert_int_equal(store_write_file(&options, segment_image(s), &bytes), 0);
    assert_int_equal(segment_open(path, &file), 0);
    segment_close(s);
    return file;
}

static size_t deletions_of(const struct world *w, struct core_range job, struct core_tombstone *out, char rooms[][16])
{
    size_t count = 0;
    for (uint64_t n = job.first; n < job.end; n++) {
        if (!w->operations[n].is_deletion)
            continue;
        struct core_tombstone t = {
            .stamp = stamp_of(n), .sequence = n, .id = id_text(w->operations[n].id, rooms[count])};
        t.hash = hash64(t.id);
        out[count++] = t;
    }
    return count;
}

int run_job(struct world *w, struct core_range job)
{
    struct core_tombstone deletions[OPERATIONS_MOST];
    static char rooms[OPERATIONS_MOST][16];
    size_t count = deletions_of(w, job, deletions, rooms);
    char path[128];
    struct segment *s = count < job.end - job.first ? write_segment(w, job, path) : NULL;
    struct resolve_build build = {.directory = w->directory,
                                  .epoch = 1,
                                  .applied = job,
                                  .segment = s,
                                  .deletions = deletions,
                                  .deletion_count = count};
    uint64_t generation;
    struct segment_fault culprit = {0};
    int err = resolve_build(w->core, &build, &generation, &culprit);
    if (err == ERR_FULL) {
        build.segment = s = write_file(s, path);
        err = resolve_build(w->core, &build, &generation, &culprit);
    }
    segment_close(s);
    return err;
}

/* --------------------------------------------------------------------------------------------- a merge */

struct snapshot *look(struct world *w, struct snapshot *previous)
{
    for (int tries = 0;; tries++) {
        struct core_view *view;
        struct snapshot *s;
        struct segment_fault culprit;
        assert_int_equal(core_read(w->core, previous ? previous->view : NULL, &view), 0);
        int err = snapshot_open(w->directory, view, previous, &s, &culprit);
        if (!err)
            return s;
        core_view_release(view);
        assert_true(err == -ENOENT && tries < 100);
    }
}

bool begin_merge(struct world *w, struct merging *m)
{
    *m = (struct merging){.merged = look(w, NULL)};
    struct merge_input inputs[16];
    for (size_t i = 0; i < m->merged->segment_count && m->count < 8; i++) {
        if (pick(w, 3) == 0)
            continue;
        inputs[m->count] = (struct merge_input){m->merged->segments[i].segment, m->merged->segments[i].core};
        m->inputs[m->count++] = m->merged->segments[i].core->id;
    }
    if (m->count == 0) {
        snapshot_release(m->merged);
        return false;
    }
    char path[128];
    struct segment_options options = {.id = new_segment(w, path), .transaction = 1 << 20, .analyzer = STR("1 test")};
    struct segment_result result;
    assert_int_equal(merge_segments(path, &options, inputs, m->count, NULL, NULL, &result, NULL), 0);
    if (result.documents)
        assert_int_equal(segment_open(path, &m->output), 0);
    return true;
}

int end_merge(struct world *w, struct merging *m)
{
    struct resolve_merge merge = {
        .epoch = 1, .merged = m->merged, .inputs = m->inputs, .input_count = m->count, .output = m->output};
    uint64_t generation;
    int err = resolve_merge(w->core, &merge, &generation);
    snapshot_release(m->merged);
    segment_close(m->output);
    return err;
}

/* ------------------------------------------------------------------------------------------ the worlds */

static void make_operations(struct world *w)
{
    w->count = 20 + pick(w, OPERATIONS_MOST - 20);
    for (uint32_t n = 1; n <= w->count; n++)
        w->operations[n] = (struct operation){.id = pick(w, IDS), .is_deletion = pick(w, 3) == 0};
    for (uint32_t n = 1; n <= w->count;) {
        uint32_t size = pick(w, 4) ? 1 + pick(w, 4) : 1 + pick(w, 30);
        uint32_t end = n + size <= w->count + 1 ? n + size : w->count + 1;
        if (w->job_count == JOBS_MOST - 1)
            end = w->count + 1;
        w->jobs[w->job_count++] = (struct core_range){n, end};
        n = end;
    }
    for (uint32_t i = w->job_count; i > 1; i--) { /* mostly in order, or not at all */
        uint32_t other = pick(w, 2) ? pick(w, i) : i - 1 - pick(w, i < 5 ? i : 5);
        struct core_range swapped = w->jobs[i - 1];
        w->jobs[i - 1] = w->jobs[other];
        w->jobs[other] = swapped;
    }
}

struct world *make_world(uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    w->next_segment = 1;
    w->segment_step = 1;
    strcpy(w->directory, "/tmp/mayfly-resolve-XXXXXX");
    assert_non_null(mkdtemp(w->directory));
    make_operations(w);
    return w;
}

void end_world(struct world *w)
{
    for (size_t i = 0; i < SNAPSHOTS; i++)
        snapshot_release(w->held[i]);
    core_close(w->core);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", w->directory);
    assert_int_equal(system(command), 0);
    free(w);
}
