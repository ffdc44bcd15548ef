/* Who opens core.mdb first makes LMDB's lock table. One that is killed while it does leaves nothing that misleads who comes next. */
#include "index/core.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core_place.h"

static int stops_at = -1; /* of a process that is to stand still where the table is made, and nobody has the file's number yet */

/* LMDB reads the head of the file by it, between the two. */
__attribute__((visibility("default"))) ssize_t pread(int fd, void *to, size_t size, off_t at)
{
    if (stops_at >= 0) {
        if (write(stops_at, "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    return syscall(SYS_pread64, fd, to, size, at);
}

static pid_t stand_still_in_the_middle(const char *directory)
{
    int said[2];
    char byte;
    assert_int_equal(pipe(said), 0);
    pid_t child = fork();
    if (child == 0) {
        struct core *c;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        stops_at = said[1];
        core_open_writer(directory, &c);
        _exit(1);
    }
    close(said[1]);
    assert_int_equal(read(said[0], &byte, 1), 1);
    close(said[0]);
    return child;
}

/* Its end: 0 if it finds that generation and can commit the next one. */
static pid_t open_and_commit(const char *directory, uint64_t generation)
{
    pid_t child = fork();
    if (child == 0) {
        struct core *c;
        struct core_view *v;
        uint64_t next;
        struct core_change change = {.epoch = 1, .applied = {1000 + 2 * generation, 1001 + 2 * generation}};
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (core_open_builder(directory, &c) || core_read(c, NULL, &v))
            _exit(1);
        if (v->generation != generation)
            _exit(2);
        _exit(core_begin(c) || core_commit(c, &change, &next) || next != generation + 1 ? 3 : 0);
    }
    return child;
}

static bool waits_for_a_lock(pid_t pid)
{
    char path[64], line[16] = "";
    snprintf(path, sizeof path, "/proc/%d/syscall", (int)pid);
    FILE *file = fopen(path, "r");
    if (file && !fgets(line, sizeof line, file))
        line[0] = 0;
    if (file)
        fclose(file);
    int number = -1;
    return sscanf(line, "%d", &number) == 1 && (number == SYS_fcntl || number == SYS_flock);
}

static void die_while_another_waits(void **state, uint64_t generations)
{
    struct place *p = *state;
    int status;
    pid_t first = stand_still_in_the_middle(p->directory), second = open_and_commit(p->directory, generations);
    while (!waits_for_a_lock(second))
        usleep(1000); /* nothing tells that another process waits */
    kill(first, SIGKILL);
    waitpid(first, NULL, 0);
    assert_int_equal(waitpid(second, &status, 0), second);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* LMDB has two heads, which take turns: either may be the newest. */
static void who_waits_for_one_that_dies_finds_the_newest(void **state)
{
    for (uint64_t commits = 1; commits <= 2; commits++) {
        struct core *c = core_place_writer(state);
        for (uint64_t n = 0; n < commits; n++)
            apply(c, 100 * commits + 2 * n, 100 * commits + 2 * n + 1);
        struct core_view *v = read_view(c, NULL);
        uint64_t generation = v->generation;
        core_view_release(v);
        core_close(c);
        die_while_another_waits(state, generation);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_waits_for_one_that_dies_finds_the_newest, core_place_make, core_place_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
