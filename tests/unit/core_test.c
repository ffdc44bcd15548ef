#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/err.h"
#include "index/core.h"
#include "index/core_file.h"
#include "index/core_keys.h"
#include "index/image.h"

/* ------------------------------------------------------------------------------------------------------------ scenery
 */

struct place {
    char root[64];
    char directory[96];
};

static int make_place(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    strcpy(p->root, "/tmp/mayfly-core-XXXXXX");
    assert_non_null(mkdtemp(p->root));
    snprintf(p->directory, sizeof p->directory, "%s/7/1/0", p->root);
    *state = p;
    return 0;
}

static int drop_place(void **state)
{
    struct place *p = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", p->root);
    assert_int_equal(system(command), 0);
    free(p);
    return 0;
}

static struct core *writer(void **state)
{
    struct place *p = *state;
    struct core *c;
    assert_int_equal(core_open_writer(p->directory, &c), 0);
    return c;
}

static int try_commit(struct core *c, const struct core_change *change)
{
    uint64_t generation;
    assert_int_equal(core_begin(c), 0);
    return core_commit(c, change, &generation);
}

static struct core_view *read_view(struct core *c, struct core_view *previous)
{
    struct core_view *v;
    assert_int_equal(core_read(c, previous, &v), 0);
    return v;
}

static void apply(struct core *c, uint64_t first, uint64_t end)
{
    struct core_change change = {.epoch = 1, .applied = {first, end}};
    assert_int_equal(try_commit(c, &change), 0);
}

/* A segment whose documents are all of length 10. */
static void add(struct core *c, uint64_t id, uint32_t documents)
{
    struct deletion_chunk *none[64] = {0};
    struct core_segment s = {.id = id,
                             .documents = documents,
                             .live_length = (uint64_t)documents * 10,
                             .bytes = 4096,
                             .first_stamp = id * 1000,
                             .last_stamp = id * 1000 + documents,
                             .chunk_count = core_chunks(documents),
                             .chunks = none};
    struct core_change change = {.epoch = 1, .added = &s};
    assert_true(s.chunk_count <= 64);
    assert_int_equal(try_commit(c, &change), 0);
}

static void mark(struct core *c, uint64_t segment, uint32_t first, uint32_t count)
{
    struct core_mark *marks = calloc(count, sizeof *marks);
    for (uint32_t i = 0; i < count; i++)
        marks[i] = (struct core_mark){.segment = segment, .document = first + i, .length = 10};
    struct core_change change = {.epoch = 1, .marks = marks, .mark_count = count};
    assert_int_equal(try_commit(c, &change), 0);
    free(marks);
}

/* One whose bytes are `fill`; nobody looks at them here. */
static int try_add_image(struct core *c, uint64_t id, uint32_t bytes, char fill)
{
    struct deletion_chunk *none[1] = {0};
    char *content = malloc(bytes);
    memset(content, fill, bytes);
    struct core_segment s = {
        .id = id, .documents = 100, .live_length = 1000, .bytes = bytes, .chunk_count = 1, .chunks = none};
    assert_int_equal(image_copy((struct str){content, bytes}, &s.image), 0);
    struct core_change change = {.epoch = 1, .added = &s};
    int err = try_commit(c, &change);
    image_release(s.image);
    free(content);
    return err;
}

static void expect_image(const struct core_segment *s, uint32_t bytes, char fill)
{
    assert_non_null(s->image);
    assert_int_equal(s->bytes, bytes);
    assert_int_equal(s->image->size, bytes);
    assert_int_equal((uintptr_t)s->image->bytes % 32, 0);
    for (uint32_t i = 0; i < bytes; i++)
        assert_int_equal(s->image->bytes[i], fill);
}

/* -------------------------------------------------------------------------------------------------------------- cases
 */

static void reader_finds_no_file_until_a_writer_made_it(void **state)
{
    struct place *p = *state;
    struct core *reader, *c;
    assert_int_equal(core_open_reader(p->directory, &reader), -ENOENT);
    c = writer(state);
    assert_int_equal(core_open_reader("/nonexistent", &reader), -ENOENT);
    struct core_view *v = read_view(c, NULL);
    assert_int_equal(v->generation, 0);
    assert_int_equal(v->watermark, 1);
    assert_int_equal(v->segment_count, 0);
    assert_false(core_is_applied(v, 1));
    core_view_release(v);
    core_close(c);
    char path[128];
    snprintf(path, sizeof path, "%s/core.mdb", p->directory);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(core_open_reader(p->directory, &reader), -ENOENT);
}

static void ranges_meet_and_move_the_watermark(void **state)
{
    struct core *c = writer(state);
    apply(c, 5, 7);
    apply(c, 9, 10);
    apply(c, 20, 30);
    struct core_view *v = read_view(c, NULL);
    assert_int_equal(v->watermark, 1);
    assert_int_equal(v->range_count, 3);
    assert_true(core_is_applied(v, 6) && core_is_applied(v, 9) && core_is_applied(v, 20) && core_is_applied(v, 29));
    assert_false(core_is_applied(v, 4) || core_is_applied(v, 7) || core_is_applied(v, 30));
    core_view_release(v);
    apply(c, 7, 9);
    v = read_view(c, NULL);
    assert_int_equal(v->range_count, 2);
    assert_int_equal(v->ranges[0].first, 5);
    assert_int_equal(v->ranges[0].end, 10);
    core_view_release(v);
    apply(c, 1, 5);
    v = read_view(c, NULL);
    assert_int_equal(v->watermark, 10);
    assert_int_equal(v->range_count, 1);
    core_view_release(v);
    apply(c, 10, 20);
    v = read_view(c, NULL);
    assert_int_equal(v->watermark, 30);
    assert_int_equal(v->range_count, 0);
    core_view_release(v);
    core_close(c);
}

static void refuses_what_is_applied_old_or_gone(void **state)
{
    struct core *c = writer(state);
    apply(c, 1, 10);
    apply(c, 20, 30);
    add(c, 3, 10);
    struct core_view *before = read_view(c, NULL);
    static const struct core_range twice[] = {{1, 10}, {9, 12}, {9, 11}, {15, 21}, {25, 26}, {29, 40}, {12, 40}};
    for (size_t i = 0; i < sizeof twice / sizeof *twice; i++)
        assert_int_equal(try_commit(c, &(struct core_change){.epoch = 1, .applied = twice[i]}), ERR_STALE);
    assert_int_equal(try_commit(c, &(struct core_change){.epoch = 0, .applied = {10, 11}}), ERR_STALE);
    uint64_t gone = 4;
    assert_int_equal(try_commit(c, &(struct core_change){.epoch = 1, .removed = &gone, .removed_count = 1}), ERR_STALE);
    struct deletion_chunk *none = NULL;
    struct core_segment again = {.id = 3, .documents = 1, .chunk_count = 1, .chunks = &none};
    assert_int_equal(try_commit(c, &(struct core_change){.epoch = 1, .added = &again}), ERR_STALE);
    struct core_mark nowhere = {.segment = 4};
    assert_int_equal(try_commit(c, &(struct core_change){.epoch = 1, .marks = &nowhere, .mark_count = 1}), ERR_INVALID);
    struct core_mark past = {.segment = 3, .document = 10};
    assert_int_equal(try_commit(c, &(struct core_change){.epoch = 1, .marks = &past, .mark_count = 1}), ERR_INVALID);
    struct core_view *after = read_view(c, before);
    assert_ptr_equal(before, after);
    core_view_release(after);
    core_view_release(before);
    apply(c, 12, 13);
    core_close(c);
}

static void epoch_only_rises(void **state)
{
    struct core *c = writer(state);
    assert_int_equal(try_commit(c, &(struct core_change){.epoch = 5, .applied = {1, 2}}), 0);
    assert_int_equal(try_commit(c, &(struct core_change){.epoch = 4, .applied = {2, 3}}), ERR_STALE);
    struct core_view *v = read_view(c, NULL);
    assert_int_equal(v->epoch, 5);
    core_view_release(v);
    core_close(c);
}

static void counts_follow_the_marks(void **state)
{
    struct core *c = writer(state);
    add(c, 1, 200000);
    add(c, 2, 5);
    mark(c, 1, 65530, 10);
    mark(c, 1, 65530, 11);
    mark(c, 2, 4, 1);
    struct core_view *v = read_view(c, NULL);
    assert_int_equal(v->segments[0].deleted, 11);
    assert_int_equal(v->segments[0].live_length, (200000 - 11) * 10);
    assert_null(v->segments[0].chunks[2]);
    assert_true(core_is_deleted(&v->segments[0], 65530) && core_is_deleted(&v->segments[0], 65540));
    assert_false(core_is_deleted(&v->segments[0], 65529) || core_is_deleted(&v->segments[0], 65541));
    assert_int_equal(v->documents, 200000 - 11 + 4);
    assert_int_equal(v->total_length, (200000 - 11 + 4) * 10);
    core_view_release(v);
    core_close(c);
}

static void many_marks_become_bits_and_stay_exact(void **state)
{
    struct core *c = writer(state);
    add(c, 1, 70000);
    mark(c, 1, 100, 1900);
    mark(c, 1, 2000, 1);
    mark(c, 1, 2001, 50000);
    mark(c, 1, 0, 70000);
    struct core_view *v = read_view(c, NULL);
    assert_int_equal(v->segments[0].deleted, 70000);
    assert_int_equal(v->segments[0].live_length, 0);
    assert_int_equal(v->segments[0].chunks[1]->count, 70000 - 65536);
    core_view_release(v);
    core_close(c);
}

static void views_share_what_did_not_change(void **state)
{
    struct core *c = writer(state);
    add(c, 1, 200000);
    add(c, 2, 100);
    mark(c, 1, 5, 1);
    mark(c, 1, 70000, 1);
    mark(c, 2, 5, 1);
    struct core_view *first = read_view(c, NULL);
    mark(c, 1, 6, 1);
    struct core_view *second = read_view(c, first);
    assert_ptr_not_equal(first, second);
    assert_ptr_not_equal(first->segments[0].chunks[0], second->segments[0].chunks[0]);
    assert_ptr_equal(first->segments[0].chunks[1], second->segments[0].chunks[1]);
    assert_ptr_equal(first->segments[1].chunks[0], second->segments[1].chunks[0]);
    assert_false(core_is_deleted(&first->segments[0], 6));
    assert_true(core_is_deleted(&second->segments[0], 6));
    core_view_release(first);
    assert_true(core_is_deleted(&second->segments[0], 70000));
    core_view_release(second);
    core_close(c);
}

static void a_merge_replaces_its_inputs(void **state)
{
    struct core *c = writer(state);
    add(c, 1, 70000);
    add(c, 2, 5);
    add(c, 3, 5);
    mark(c, 1, 1, 1);
    mark(c, 1, 66000, 1);
    mark(c, 3, 1, 1);
    struct deletion_chunk *born = core_chunk_new();
    born->count = 1;
    born->bits[0] = 4;
    struct core_segment out = {
        .id = 9, .documents = 10, .deleted = 1, .live_length = 90, .chunk_count = 1, .chunks = &born};
    uint64_t inputs[] = {1, 2};
    struct core_change change = {.epoch = 1, .added = &out, .removed = inputs, .removed_count = 2};
    assert_int_equal(try_commit(c, &change), 0);
    core_chunk_release(born);
    struct core_view *v = read_view(c, NULL);
    assert_int_equal(v->segment_count, 2);
    assert_int_equal(v->segments[0].id, 3);
    assert_int_equal(v->segments[1].id, 9);
    assert_true(core_is_deleted(&v->segments[1], 2));
    assert_int_equal(v->documents, 4 + 9);
    assert_int_equal(v->total_length, 40 + 90);
    core_view_release(v);
    core_close(c);
}

static void delete_by_id(struct core *c, uint64_t sequence, uint64_t stamp, const char *id)
{
    struct core_tombstone t = {.hash = strlen(id), .stamp = stamp, .sequence = sequence, .id = str_of(id)};
    struct core_change change = {
        .epoch = 1, .applied = {sequence, sequence + 1}, .tombstones = &t, .tombstone_count = 1};
    assert_int_equal(try_commit(c, &change), 0);
}

static int64_t tombstone(struct core *c, const char *id)
{
    uint64_t stamp;
    assert_int_equal(core_begin(c), 0);
    int err = core_find_tombstone(c, strlen(id), str_of(id), &stamp);
    core_abort(c);
    return err ? err : (int64_t)stamp;
}

static void tombstones_stay_until_the_watermark_passes_them(void **state)
{
    struct core *c = writer(state);
    delete_by_id(c, 1, 100, "a");
    assert_int_equal(tombstone(c, "a"), -ENOENT);
    delete_by_id(c, 3, 300, "b");
    delete_by_id(c, 5, 500, "b");
    delete_by_id(c, 6, 600, "c");
    delete_by_id(c, 9, 900, "dd");
    assert_int_equal(tombstone(c, "b"), 500);
    assert_int_equal(tombstone(c, "c"), 600);
    uint64_t hash;
    assert_int_equal(core_begin(c), 0);
    assert_int_equal(core_seek_tombstone(c, 0, &hash), 0);
    assert_int_equal(hash, 1);
    assert_int_equal(core_seek_tombstone(c, 2, &hash), 0);
    assert_int_equal(hash, 2);
    assert_int_equal(core_seek_tombstone(c, 3, &hash), -ENOENT);
    core_abort(c);
    apply(c, 2, 3);
    assert_int_equal(tombstone(c, "b"), 500);
    apply(c, 4, 5);
    assert_int_equal(tombstone(c, "b"), -ENOENT);
    assert_int_equal(tombstone(c, "c"), -ENOENT);
    assert_int_equal(tombstone(c, "dd"), 900);
    apply(c, 7, 9);
    assert_int_equal(tombstone(c, "dd"), -ENOENT);
    core_close(c);
}

struct seen {
    size_t count;
    uint64_t stamps, sequences;
    size_t ids; /* bytes */
};

static int see_tombstone(void *context, const struct core_tombstone *t)
{
    struct seen *s = context;
    s->count++;
    s->stamps += t->stamp;
    s->sequences += t->sequence;
    s->ids += t->id.len;
    assert_int_equal(t->hash, t->id.len);
    return 0;
}

static struct seen tombstones(struct core *c)
{
    struct seen s = {0};
    assert_int_equal(core_tombstones(c, see_tombstone, &s), 0);
    return s;
}

/* Of another edition: whatever the file had is replaced, and generations go on above those that were there. */
static void a_position_is_taken_over_whole(void **state)
{
    struct core *c = writer(state);
    apply(c, 1, 4);
    apply(c, 8, 9);
    delete_by_id(c, 20, 2000, "old");
    add(c, 3, 10);
    assert_int_equal(tombstones(c).count, 1);
    static const struct core_range ranges[] = {{60, 70}, {80, 81}};
    const struct core_position position = {.generation = 500, .watermark = 50, .ranges = ranges, .range_count = 2};
    const struct core_tombstone kept[] = {{.hash = 2, .stamp = 6500, .sequence = 65, .id = STR("aa")},
                                          {.hash = 3, .stamp = 8000, .sequence = 80, .id = STR("bbb")},
                                          {.hash = 4, .stamp = 4000, .sequence = 40, .id = STR("past")}};
    struct core_change change = {.epoch = 1, .position = &position, .tombstones = kept, .tombstone_count = 3};
    assert_int_equal(try_commit(c, &change), 0);
    struct core_view *v = read_view(c, NULL);
    assert_int_equal(v->generation, 501);
    assert_int_equal(v->watermark, 50);
    assert_int_equal(v->range_count, 2);
    assert_memory_equal(v->ranges, ranges, sizeof ranges);
    assert_int_equal(v->segment_count, 1);
    core_view_release(v);
    struct seen s = tombstones(c);
    assert_int_equal(s.count, 2);
    assert_int_equal(s.stamps, 14500);
    assert_int_equal(s.sequences, 145);
    assert_int_equal(s.ids, 5);
    apply(c, 50, 60); /* and it goes on from there */
    assert_int_equal(tombstones(c).count, 1);
    core_close(c);
}

static int count_refusal(void *context, const struct core_refusal *r)
{
    uint64_t *sum = context;
    assert_true(str_equal(r->code, STR("invalid_document")));
    assert_int_equal(r->message.len, 3000);
    *sum += r->sequence * 1000 + r->generation;
    return 0;
}

static void refusals_stay_until_saved(void **state)
{
    struct core *c = writer(state);
    char message[3000];
    memset(message, 'm', sizeof message);
    for (uint64_t i = 1; i <= 3; i++) {
        struct core_refusal r = {.sequence = i,
                                 .task = 4,
                                 .position = i,
                                 .id = STR("x"),
                                 .code = STR("invalid_document"),
                                 .message = {message, sizeof message}};
        struct core_change change = {.epoch = 1, .applied = {i, i + 1}, .refusals = &r, .refusal_count = 1};
        assert_int_equal(try_commit(c, &change), 0);
    }
    uint64_t sum = 0;
    assert_int_equal(core_refusals(c, count_refusal, &sum), 0);
    assert_int_equal(sum, 6006);
    assert_int_equal(try_commit(c, &(struct core_change){.epoch = 1, .applied = {4, 5}, .refusals_saved = 2}), 0);
    sum = 0;
    assert_int_equal(core_refusals(c, count_refusal, &sum), 0);
    assert_int_equal(sum, 3003);
    core_close(c);
}

/* Every byte of the file that holds a live value, turned over: no view comes of it that differs from the true one. */
static void damage_is_found(void **state)
{
    struct place *p = *state;
    struct core *c = writer(state);
    add(c, 1, 100);
    mark(c, 1, 7, 3);
    apply(c, 4, 6);
    core_close(c);
    char path[128];
    snprintf(path, sizeof path, "%s/core.mdb", p->directory);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    off_t size = lseek(fd, 0, SEEK_END);
    assert_true(fd >= 0 && size > 0);
    uint32_t found = 0;
    static const char magic[] = "MFCV";
    for (off_t at = 0; at + 4 < size; at++) {
        char here[4];
        assert_int_equal(pread(fd, here, 4, at), 4);
        if (memcmp(here, magic, 4) != 0)
            continue;
        for (off_t i = 0; i < 30; i += 3) {
            char byte;
            assert_int_equal(pread(fd, &byte, 1, at + i), 1);
            char turned = (char)(byte ^ 0x10);
            assert_int_equal(pwrite(fd, &turned, 1, at + i), 1);
            struct core_view *v = NULL;
            int err = core_open_reader(p->directory, &c);
            assert_int_equal(err, 0);
            err = core_read(c, NULL, &v);
            assert_true(err == 0 || err == ERR_CORRUPT || err == ERR_VERSION);
            found += err != 0;
            if (!err) { /* the value was an old one, in a page that is free */
                assert_int_equal(v->documents, 97);
                core_view_release(v);
            }
            core_close(c);
            assert_int_equal(pwrite(fd, &byte, 1, at + i), 1);
        }
    }
    close(fd);
    assert_true(found >= 30);
}

/* ------------------------------------------------------------------------------------------------------------- crashes
 */

/* Commits ranges one by one, each with a tombstone that goes away again and marks, until it is killed; says each commit
 * on `said` before the next begins. */
static _Noreturn void write_until_killed(const char *directory, uint64_t from, int said)
{
    struct core *c;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (core_open_writer(directory, &c))
        _exit(1);
    for (uint64_t n = from;; n++) {
        struct core_mark m = {.segment = 1, .document = (uint32_t)(n % 100000), .length = 10};
        struct core_tombstone t = {.hash = n, .stamp = n, .sequence = n + 1, .id = STR("an id")};
        struct core_change change = {
            .epoch = 1, .applied = {n, n + 1}, .marks = &m, .mark_count = 1, .tombstones = &t, .tombstone_count = 1};
        uint64_t generation;
        if (core_begin(c) || core_commit(c, &change, &generation) || write(said, "", 1) != 1)
            _exit(2);
    }
}

/* Lets one write, and kills it at a random moment, which may be while it opens the file, or only after its first commit.
 * How many commits it has said. */
static uint64_t kill_a_writer(const char *directory, uint64_t from, bool after_a_commit)
{
    int said[2], status;
    char bytes[4096];
    assert_int_equal(pipe(said), 0);
    pid_t child = fork();
    if (child == 0)
        write_until_killed(directory, from, said[1]);
    close(said[1]);
    uint64_t commits = after_a_commit;
    ssize_t size = read(said[0], bytes, commits);
    assert_int_equal(size, commits);
    usleep((useconds_t)(rand() % 12000));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    while ((size = read(said[0], bytes, sizeof bytes)) > 0)
        commits += (uint64_t)size;
    close(said[0]);
    return commits;
}

static void check_whole(const struct core_view *v)
{
    assert_int_equal(v->range_count, 0);
    assert_int_equal(v->generation, v->watermark); /* one commit each, and one for the segment */
    uint64_t deleted = v->watermark - 1 < 100000 ? v->watermark - 1 : 100000;
    assert_int_equal(v->segments[0].deleted, deleted);
    assert_int_equal(v->documents, 100000 - deleted);
    assert_int_equal(v->total_length, v->documents * 10);
}

static void a_killed_writer_leaves_a_whole_file_and_a_free_lock(void **state)
{
    struct place *p = *state;
    struct core *c = writer(state);
    add(c, 1, 100000);
    core_close(c);
    /* The reader keeps the file and its lock table in use, as a shard does: else the next writer would make a new one.
     * Both are processes: one process must not open the file twice. */
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t holder = fork();
    if (holder == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        struct core *reader;
        struct core_view *v;
        if (core_open_reader(p->directory, &reader) || core_read(reader, NULL, &v) || write(ready[1], "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    uint64_t next = 1;
    srand(7);
    for (int round = 0; round < 40; round++) {
        uint64_t commits = kill_a_writer(p->directory, next, round % 2);
        uint64_t begun = clock_us();
        c = writer(state);
        struct core_view *v = read_view(c, NULL);
        check_whole(v);
        /* All that it said, and at most the one that it did not come to say. */
        assert_in_range(v->watermark, next + commits, next + commits + 1);
        next = v->watermark;
        core_view_release(v);
        struct core_mark m = {.segment = 1, .document = (uint32_t)(next % 100000), .length = 10};
        struct core_change change = {.epoch = 1, .applied = {next, next + 1}, .marks = &m, .mark_count = 1};
        assert_int_equal(try_commit(c, &change), 0);
        next++;
        core_close(c);
        assert_true(clock_us() - begun < 5000000);
    }
    assert_int_equal(kill(holder, SIGKILL), 0);
    waitpid(holder, NULL, 0);
    close(ready[0]);
    close(ready[1]);
}

/* More killed readers than the table has slots: sweeping, or a look that finds it full, gets them back. */
static void slots_of_killed_readers_come_back(void **state)
{
    struct place *p = *state;
    struct core *c = writer(state);
    apply(c, 1, 2);
    core_close(c);
    for (int i = 0; i < 150; i++) {
        pid_t child = fork();
        if (child == 0) {
            struct core *reader;
            struct core_view *v;
            if (core_open_reader(p->directory, &reader) || core_read(reader, NULL, &v))
                _exit(1);
            kill(getpid(), SIGKILL);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
    }
    assert_int_equal(core_open_reader(p->directory, &c), 0);
    struct core_view *v = read_view(c, NULL);
    assert_int_equal(core_sweep(c), 0);
    core_view_release(v);
    core_close(c);
}

static void images_are_kept_and_shared_by_views(void **state)
{
    struct core *c = writer(state);
    static const uint32_t sizes[] = {1, 100, 2039, 2040, 4096, 30000, IMAGE_MOST};
    size_t count = sizeof sizes / sizeof *sizes;
    for (uint64_t i = 0; i < count; i++)
        assert_int_equal(try_add_image(c, i + 1, sizes[i], (char)('a' + i)), 0);
    add(c, 90, 5);
    struct core_view *first = read_view(c, NULL);
    mark(c, 2, 5, 3); /* its value is written anew, with the image */
    mark(c, 6, 0, 100);
    struct core_view *second = read_view(c, first), *fresh = read_view(c, NULL);
    for (uint64_t i = 0; i < count; i++) {
        expect_image(&first->segments[i], sizes[i], (char)('a' + i));
        expect_image(&fresh->segments[i], sizes[i], (char)('a' + i));
        assert_ptr_equal(first->segments[i].image, second->segments[i].image);
    }
    assert_null(first->segments[count].image);
    assert_int_equal(second->segments[1].deleted, 3);
    assert_int_equal(second->segments[5].live_length, 0);
    assert_true(core_view_heap(second) > 30000 + IMAGE_MOST);
    core_view_release(first);
    expect_image(&second->segments[6], IMAGE_MOST, 'g');
    core_view_release(second);
    core_view_release(fresh);
    core_close(c);
}

static void so_many_images_fit_and_so_much_together(void **state)
{
    struct core *c = writer(state);
    uint64_t inputs[CORE_IMAGES_MOST];
    for (uint64_t i = 0; i < CORE_IMAGES_MOST; i++) {
        inputs[i] = i + 1;
        assert_int_equal(try_add_image(c, i + 1, 100, 'x'), 0);
    }
    assert_int_equal(try_add_image(c, 50, 100, 'x'), ERR_FULL);
    add(c, 51, 5); /* a file does */
    struct core_view *v = read_view(c, NULL);
    assert_int_equal(v->segment_count, CORE_IMAGES_MOST + 1);
    core_view_release(v);
    struct core_change fold = {.epoch = 1, .removed = inputs, .removed_count = CORE_IMAGES_MOST};
    assert_int_equal(try_commit(c, &fold), 0);
    uint64_t last = CORE_IMAGE_BYTES_MOST / IMAGE_MOST;
    for (uint64_t i = 0; i < last; i++)
        assert_int_equal(try_add_image(c, 60 + i, IMAGE_MOST, 'y'), 0);
    assert_int_equal(try_add_image(c, 99, 1, 'z'), ERR_FULL);
    core_close(c);
}

/* Damage in front of the image is the value's, in it the segment's, and an image that is cut is the value's again. */
static void a_damaged_value_with_an_image_is_refused(void **state)
{
    (void)state;
    char value[CORE_IMAGE_AT + 3000];
    struct core_key key = core_key_u64(CORE_SEGMENT, 7);
    struct str k = core_key_str(&key), image;
    struct core_segment s = {.documents = 10, .bytes = 2500}, out;
    size_t size;
    memset(value, 'i', sizeof value);
    core_put_image(value, k, &s, &size);
    assert_int_equal(size, CORE_IMAGE_AT + 2500);
    assert_int_equal(core_get_segment(k, (struct str){value, size}, &out, &image), 0);
    assert_ptr_equal(image.ptr, value + CORE_IMAGE_AT);
    assert_int_equal(image.len, 2500);
    for (size_t at = 0; at < CORE_IMAGE_AT; at++) {
        value[at] ^= 0x20;
        int err = core_get_segment(k, (struct str){value, size}, &out, &image);
        value[at] ^= 0x20;
        assert_true(err == ERR_CORRUPT || (err == ERR_VERSION && (at == 4 || at == 5)));
    }
    assert_int_equal(core_get_segment(k, (struct str){value, size - 1}, &out, &image), ERR_CORRUPT);
    s.bytes = 10; /* filled up to what has pages of its own */
    core_put_image(value, k, &s, &size);
    assert_int_equal(size, 2040);
    assert_int_equal(core_get_segment(k, (struct str){value, size}, &out, &image), 0);
    assert_int_equal(image.len, 10);
}

/* What a program without images does with a version that it does not know. */
static void a_value_of_a_later_version_is_refused_by_its_version(void **state)
{
    struct place *p = *state;
    struct core *c = writer(state);
    assert_int_equal(try_add_image(c, 1, 100, 'x'), 0);
    core_close(c);
    char path[160];
    struct core_file *f;
    struct core_key key = core_key_u64(CORE_SEGMENT, 1);
    struct str value;
    snprintf(path, sizeof path, "%s/core.mdb", p->directory);
    assert_int_equal(core_file_open(path, true, &f), 0);
    assert_int_equal(core_file_begin(f), 0);
    assert_int_equal(core_file_get(f, core_key_str(&key), &value), 0);
    char *later = malloc(value.len);
    size_t size = value.len;
    memcpy(later, value.ptr, size);
    later[4] = 3;
    core_file_put(f, core_key_str(&key), (struct str){later, size});
    assert_int_equal(core_file_commit(f), 0);
    core_file_close(f);
    free(later);
    c = writer(state);
    struct core_view *v;
    assert_int_equal(core_read(c, NULL, &v), ERR_VERSION);
    core_close(c);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, make_place, drop_place)
    static const struct CMUnitTest tests[] = {
        CASE(reader_finds_no_file_until_a_writer_made_it),
        CASE(ranges_meet_and_move_the_watermark),
        CASE(refuses_what_is_applied_old_or_gone),
        CASE(epoch_only_rises),
        CASE(counts_follow_the_marks),
        CASE(many_marks_become_bits_and_stay_exact),
        CASE(views_share_what_did_not_change),
        CASE(a_merge_replaces_its_inputs),
        CASE(tombstones_stay_until_the_watermark_passes_them),
        CASE(a_position_is_taken_over_whole),
        CASE(refusals_stay_until_saved),
        CASE(damage_is_found),
        CASE(a_killed_writer_leaves_a_whole_file_and_a_free_lock),
        CASE(slots_of_killed_readers_come_back),
        CASE(images_are_kept_and_shared_by_views),
        CASE(so_many_images_fit_and_so_much_together),
        CASE(a_damaged_value_with_an_image_is_refused),
        CASE(a_value_of_a_later_version_is_refused_by_its_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
