/* Writers and readers that are killed at any moment. */
#include "index/core.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "core_place.h"

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

/* Lets one write, and kills it at a random moment, which may be while it opens the file, or only after its first
 * commit. How many commits it has said. */
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
    struct core *c = core_place_writer(state);
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
        c = core_place_writer(state);
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
    struct core *c = core_place_writer(state);
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

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, core_place_make, core_place_drop)
    static const struct CMUnitTest tests[] = {
        CASE(a_killed_writer_leaves_a_whole_file_and_a_free_lock),
        CASE(slots_of_killed_readers_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
