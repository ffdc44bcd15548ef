#include "index/resolve.h"
#include "index/postings.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
// cmocka wants the four above first
#include <cmocka.h>

#include <signal.h>

#include "common/err.h"
#include "common/hash.h"
#include "index/image.h"
#include "index/merge.h"
#include "index/score.h"
#include "index/store_writer.h"

/* Random puts and deletions of a few ids, cut into jobs that are committed in random order with merges between, against
 * the obvious: of an id, the applied operation with the highest stamp counts. */
enum { IDS = 12, OPERATIONS_MOST = 400, JOBS_MOST = 200, SNAPSHOTS = 6 };

struct operation {
    uint32_t id;
    bool is_deletion;
};

struct world {
    char directory[64];
    uint64_t random;
    struct operation operations[OPERATIONS_MOST + 1]; /* by sequence number */
    uint32_t count;
    struct core_range jobs[JOBS_MOST];
    uint32_t job_count;
    uint64_t next_segment, segment_step;
    struct core *core;
    struct snapshot *held[SNAPSHOTS];
};

static uint32_t pick(struct world *w, uint32_t below)
{
    w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(w->random >> 33) % below;
}

static uint64_t stamp_of(uint64_t sequence)
{
    return sequence * 3 + 100;
}

static uint8_t code_of(uint64_t stamp)
{
    return (uint8_t)(stamp % 60);
}

static struct str id_text(uint32_t id, char room[16])
{
    return (struct str){room, (size_t)snprintf(room, 16, "id%02u", id)};
}

static struct str key_of(uint32_t id, char room[16])
{
    return (struct str){room, (size_t)snprintf(room, 16, "sid%02u", id)};
}

/* -------------------------------------------------------------------------------------------------------------- a job
 */

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

static int run_job(struct world *w, struct core_range job)
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

/* ------------------------------------------------------------------------------------------------------------ a merge
 */

struct merging {
    struct snapshot *merged;
    uint64_t inputs[16];
    size_t count;
    struct segment *output;
};

static struct snapshot *look(struct world *w, struct snapshot *previous)
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

static bool begin_merge(struct world *w, struct merging *m)
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

static int end_merge(struct world *w, struct merging *m)
{
    struct resolve_merge merge = {
        .epoch = 1, .merged = m->merged, .inputs = m->inputs, .input_count = m->count, .output = m->output};
    uint64_t generation;
    int err = resolve_merge(w->core, &merge, &generation);
    snapshot_release(m->merged);
    segment_close(m->output);
    return err;
}

/* -------------------------------------------------------------------------------------------------------- the obvious
 */

static uint64_t expected_winner(const struct world *w, const struct core_view *v, uint32_t id)
{
    for (uint64_t n = w->count; n >= 1; n--) {
        if (w->operations[n].id == id && core_is_applied(v, n))
            return w->operations[n].is_deletion ? 0 : n;
    }
    return 0;
}

static void check_live_set(struct world *w, const struct snapshot *s)
{
    uint64_t documents = 0, length = 0;
    char room[16];
    for (uint32_t id = 0; id < IDS; id++) {
        uint64_t winner = expected_winner(w, s->view, id);
        size_t segment;
        uint32_t document;
        int err;
        struct str text = id_text(id, room);
        bool found = snapshot_find(s, hash64(text), text, &segment, &document, &err);
        assert_int_equal(err, 0);
        assert_int_equal(found, winner != 0);
        if (!found)
            continue;
        assert_int_equal(segment_stamps(s->segments[segment].segment)[document], stamp_of(winner));
        documents++;
        length += length_decoded[code_of(stamp_of(winner))];
    }
    assert_int_equal(s->view->documents, documents);
    assert_int_equal(s->view->total_length, length);
}

static int64_t count_live(const struct snapshot_segment *s, struct str key)
{
    struct term term;
    int err = 0;
    if (!segment_find_term(s->segment, key, &term, &err))
        return err;
    struct postings p;
    int64_t count = 0;
    for (postings_open(&p, s->segment, &term); p.document != POSTINGS_END; postings_next(&p))
        count += !core_is_deleted(s->core, p.document);
    return p.err ? p.err : count;
}

static int64_t frequency_of(struct snapshot_segment *s, struct str key)
{
    struct term term;
    return snapshot_term(s, key, &term);
}

static void check_frequencies(struct world *w, struct snapshot *s)
{
    char room[16];
    for (size_t i = 0; i < s->segment_count; i++) {
        struct str key = key_of(pick(w, IDS), room);
        assert_int_equal(frequency_of(&s->segments[i], key), count_live(&s->segments[i], key));
        assert_int_equal(frequency_of(&s->segments[i], STR("sall")),
                         s->segments[i].core->documents - s->segments[i].core->deleted);
    }
}

/* Old generations stay as they were while newer ones share their files. */
static void check(struct world *w)
{
    uint32_t newest = pick(w, SNAPSHOTS), from = pick(w, SNAPSHOTS);
    struct snapshot *s = look(w, w->held[from]);
    check_live_set(w, s);
    check_frequencies(w, s);
    snapshot_release(w->held[newest]);
    w->held[newest] = s;
    struct snapshot *old = w->held[pick(w, SNAPSHOTS)];
    if (old) {
        check_frequencies(w, old);
        check_live_set(w, old);
    }
}

static void check_end(struct world *w)
{
    check(w);
    struct core_view *v;
    assert_int_equal(core_read(w->core, NULL, &v), 0);
    assert_int_equal(v->watermark, w->count + 1);
    assert_int_equal(v->range_count, 0);
    core_view_release(v);
    uint64_t hash;
    assert_int_equal(core_begin(w->core), 0);
    assert_int_equal(core_seek_tombstone(w->core, 0, &hash), -ENOENT);
    core_abort(w->core);
}

/* --------------------------------------------------------------------------------------------------------- the worlds
 */

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

static struct world *make_world(uint64_t seed)
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

static void end_world(struct world *w)
{
    for (size_t i = 0; i < SNAPSHOTS; i++)
        snapshot_release(w->held[i]);
    core_close(w->core);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", w->directory);
    assert_int_equal(system(command), 0);
    free(w);
}

static uint64_t worlds(uint64_t usual)
{
    const char *wanted = getenv("MAYFLY_RESOLVE_WORLDS");
    return wanted ? strtoull(wanted, NULL, 10) : usual;
}

static void any_order_of_commits_gives_the_same_documents(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= worlds(12); seed++) {
        struct world *w = make_world(seed);
        assert_int_equal(core_open_writer(w->directory, &w->core), 0);
        struct merging m;
        bool is_merging = false;
        for (uint32_t i = 0; i < w->job_count; i++) {
            if (!is_merging && pick(w, 6) == 0)
                is_merging = begin_merge(w, &m);
            assert_int_equal(run_job(w, w->jobs[i]), 0);
            assert_int_equal(run_job(w, w->jobs[i]), ERR_STALE);
            if (is_merging && pick(w, 4) == 0) {
                assert_int_equal(end_merge(w, &m), 0);
                is_merging = false;
            }
            check(w);
        }
        if (is_merging)
            assert_int_equal(end_merge(w, &m), 0);
        check_end(w);
        end_world(w);
    }
}

static void of_two_merges_of_a_segment_one_is_refused(void **state)
{
    (void)state;
    struct world *w = make_world(77);
    assert_int_equal(core_open_writer(w->directory, &w->core), 0);
    for (uint32_t i = 0; i < w->job_count; i++)
        assert_int_equal(run_job(w, w->jobs[i]), 0);
    struct merging one, other;
    while (!begin_merge(w, &one))
        continue;
    do {
        while (!begin_merge(w, &other))
            continue;
        if (other.inputs[0] == one.inputs[0])
            break;
        snapshot_release(other.merged);
        segment_close(other.output);
    } while (true);
    assert_int_equal(end_merge(w, &one), 0);
    assert_int_equal(end_merge(w, &other), ERR_STALE);
    check_end(w);
    end_world(w);
}

/* One process each, as workers are; each commits its share of the jobs in its own order, one of them merges. */
static _Noreturn void work(struct world *w, uint32_t number, uint32_t of)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    w->random += number;
    w->next_segment = 1000 + number;
    w->segment_step = of;
    if (core_open_writer(w->directory, &w->core))
        _exit(1);
    for (uint32_t i = number; i < w->job_count; i += of) {
        struct merging m;
        bool is_merging = number == 0 && begin_merge(w, &m);
        int err = run_job(w, w->jobs[i]);
        if (err)
            _exit(2);
        err = is_merging ? end_merge(w, &m) : 0;
        if (err)
            _exit(3);
    }
    core_close(w->core);
    _exit(0);
}

static void workers_at_the_same_time_give_the_same_documents(void **state)
{
    (void)state;
    enum { WORKERS = 4 };
    for (uint64_t seed = 1; seed <= worlds(6); seed++) {
        struct world *w = make_world(seed + 1000);
        pid_t children[WORKERS];
        for (uint32_t i = 0; i < WORKERS; i++) {
            children[i] = fork();
            if (children[i] == 0)
                work(w, i, WORKERS);
        }
        for (uint32_t i = 0; i < WORKERS; i++) {
            int status;
            assert_int_equal(waitpid(children[i], &status, 0), children[i]);
            assert_int_equal(status, 0);
        }
        assert_int_equal(core_open_writer(w->directory, &w->core), 0);
        check_end(w);
        end_world(w);
    }
}

/* A file that was unlinked is met by whoever opens it. */
static void who_adds_an_id_opens_no_file_that_cannot_have_it(void **state)
{
    (void)state;
    char path[128];
    struct world *w = make_world(1);
    w->count = 3;
    w->operations[1] = (struct operation){.id = 1};
    w->operations[2] = (struct operation){.id = 2};
    w->operations[3] = (struct operation){.id = 1};
    w->next_segment = w->segment_step = 3; /* files */
    assert_int_equal(core_open_writer(w->directory, &w->core), 0);
    assert_int_equal(run_job(w, (struct core_range){1, 2}), 0);
    snapshot_segment_path(w->directory, 3, path, sizeof path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(run_job(w, (struct core_range){2, 3}), 0);
    assert_int_equal(run_job(w, (struct core_range){3, 4}), -ENOENT);
    end_world(w);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_order_of_commits_gives_the_same_documents),
        cmocka_unit_test(who_adds_an_id_opens_no_file_that_cannot_have_it),
        cmocka_unit_test(of_two_merges_of_a_segment_one_is_refused),
        cmocka_unit_test(workers_at_the_same_time_give_the_same_documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
