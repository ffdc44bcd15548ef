/* cgroup_test - control groups of workers: where ours is, what is written where, on trees that only look like one, and
 * on the kernel's own where this process may. */
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
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "coordinator/cap.h"
#include "coordinator/cgroup.h"

enum { MIB = 1 << 20, LIMIT = 48 * MIB };

static const char hybrid[] =
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:1 master:2 - cgroup cgroup rw,memory\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
static const char hybrid_own[] = "9:name=systemd:/\n4:memory:/a/b\n1:cpu:/c\n0::/d\n";

static void finds_our_own_group(void **state)
{
    static const struct {
        enum cgroup_version version;
        const char *own, *mounts, *found; /* NULL: not */
    } cases[] = {
        {CGROUP_V1, hybrid_own, hybrid, "/sys/fs/cgroup/memory/a/b"},
        {CGROUP_V2, hybrid_own, hybrid, "/sys/fs/cgroup/unified/d"},
        {CGROUP_V2, "0::/\n", hybrid, "/sys/fs/cgroup/unified"},
        {CGROUP_V1, "0::/\n", hybrid, NULL},
        {CGROUP_V1, "3:cpu:/x\n", hybrid, NULL},
        {CGROUP_V1, "7:hugetlb,memory:/x\n", "9 8 0:1 / /cg rw - cgroup none rw,hugetlb,memory\n", "/cg/x"},
        {CGROUP_V2, "0::/pod/x\n", "9 8 0:1 /pod /cg rw - cgroup2 none rw\n", "/cg/x"},
        {CGROUP_V2, "0::/pod\n", "9 8 0:1 /pod /cg rw - cgroup2 none rw\n", "/cg"},
        {CGROUP_V2, "0::/podium\n", "9 8 0:1 /pod /cg rw - cgroup2 none rw\n", NULL},
        {CGROUP_V2, "0::/\n", "9 8 0:1 /../.. /cg rw - cgroup2 none rw\n", NULL},
        {CGROUP_V2, "0::/x", "9 8 0:1 / /cg rw - cgroup2", "/cg/x"},
        {CGROUP_V2, "", "", NULL},
        {CGROUP_V2, "0:", "- - - - -\n\n \n", NULL},
        {CGROUP_V2, "0::\n0::x\n", hybrid, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[CGROUP_PATH] = "";
        bool found = cgroup_find(cases[i].version, cases[i].own, cases[i].mounts, path);
        assert_int_equal(found, cases[i].found != NULL);
        if (found)
            assert_string_equal(path, cases[i].found);
    }
}

/* --- a tree that looks like one: files that are there before, in directories that are there before */

struct fake {
    char root[64];
};

static void path_of(const struct fake *f, const char *name, char to[200])
{
    snprintf(to, 200, "%s/%s", f->root, name);
}

static void put(const struct fake *f, const char *name, const char *text)
{
    char path[200];
    path_of(f, name, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void assert_holds(const struct fake *f, const char *name, const char *text)
{
    char path[200], got[100] = "";
    path_of(f, name, path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    got[fread(got, 1, sizeof got - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(got, text);
}

static void put_directory(const struct fake *f, const char *name)
{
    char path[200];
    path_of(f, name, path);
    assert_return_code(mkdir(path, 0755), errno);
}

static bool is_there(const struct fake *f, const char *name)
{
    char path[200];
    path_of(f, name, path);
    return access(path, F_OK) == 0;
}

static int make_fake(void **state)
{
    struct fake *f = calloc(1, sizeof *f);
    strcpy(f->root, "/tmp/mayfly-cgroup-XXXXXX");
    *state = f;
    return mkdtemp(f->root) ? 0 : -1;
}

static int remove_fake(void **state)
{
    struct fake *f = *state;
    char command[100];
    snprintf(command, sizeof command, "rm -r %s", f->root);
    int rc = system(command);
    free(f);
    return rc;
}

static void limits_are_written_and_counts_read(void **state)
{
    struct fake *f = *state;
    struct cgroup g;
    char byte = '0';
    put_directory(f, "w-7");
    put(f, "w-7/memory.max", "");
    put(f, "w-7/memory.oom.group", "");
    put(f, "w-7/cgroup.procs", "");
    put(f, "w-7/memory.peak", "123456789\n");
    put(f, "w-7/memory.events", "low 0\nhigh 0\nmax 41\noom 0\noom_kill 2\noom_group_kill 1\n");
    assert_int_equal(cgroup_at(CGROUP_V2, f->root, "w-", &g), 0);
    int entrance = cgroup_make(&g, 7, 300 * MIB);
    assert_return_code(entrance, -entrance);
    assert_int_equal(write(entrance, &byte, 1), 1);
    close(entrance);
    assert_holds(f, "w-7/memory.max", "314572800");
    assert_holds(f, "w-7/memory.oom.group", "1");
    assert_holds(f, "w-7/cgroup.procs", "0");
    struct cgroup_counts n = cgroup_read(&g, 7);
    assert_int_equal(n.peak, 123456789);
    assert_int_equal(n.oom_kills, 2);
    assert_false(n.was_full);
    put(f, "w-7/memory.events", "oom 3\n");
    assert_true(cgroup_read(&g, 7).was_full);
    n = cgroup_read(&g, 8);
    assert_false(n.peak || n.oom_kills || n.was_full);
    cgroup_close(&g);
}

static void version_1_has_other_names(void **state)
{
    struct fake *f = *state;
    struct cgroup g;
    put_directory(f, "w-7");
    put(f, "w-7/memory.limit_in_bytes", "");
    put(f, "w-7/memory.memsw.limit_in_bytes", "");
    put(f, "w-7/tasks", "");
    put(f, "w-7/memory.max_usage_in_bytes", "3145728\n");
    put(f, "w-7/memory.oom_control", "oom_kill_disable 0\nunder_oom 1\noom_kill 1\n");
    assert_int_equal(cgroup_at(CGROUP_V1, f->root, "w-", &g), 0);
    int entrance = cgroup_make(&g, 7, 5 * MIB);
    assert_return_code(entrance, -entrance);
    close(entrance);
    assert_holds(f, "w-7/memory.limit_in_bytes", "5242880");
    assert_holds(f, "w-7/memory.memsw.limit_in_bytes", "5242880");
    struct cgroup_counts n = cgroup_read(&g, 7);
    assert_int_equal(n.peak, 3 * MIB);
    assert_int_equal(n.oom_kills, 1);
    assert_false(n.was_full);
    put(f, "w-7/memory.max_usage_in_bytes", "5242880\n");
    assert_true(cgroup_read(&g, 7).was_full);
    cgroup_close(&g);
}

static void version_2_needs_its_memory_handed_down(void **state)
{
    struct fake *f = *state;
    struct cgroup g;
    char why[CGROUP_WHY];
    put(f, "cgroup.controllers", "cpu pids memoryless\n");
    assert_int_equal(cgroup_open(CGROUP_V2, f->root, "w-", &g, why), -EOPNOTSUPP);
    assert_string_equal(why, "it does not count memory here: Operation not supported");
    put(f, "cgroup.controllers", "memory");
    assert_int_equal(cgroup_open(CGROUP_V2, f->root, "w-", &g, why), -ENOENT); /* no subtree_control */
    put(f, "cgroup.subtree_control", "");
    assert_int_equal(cgroup_open(CGROUP_V2, f->root, "w-", &g, why), -ENOENT); /* no cgroup.procs */
    assert_holds(f, "cgroup.subtree_control", "+memory");
    assert_false(is_there(f, "core"));
}

static void leftovers_go_and_strangers_stay(void **state)
{
    struct fake *f = *state;
    struct cgroup g;
    char why[CGROUP_WHY];
    put(f, "cgroup.procs", "");
    put_directory(f, "mayfly-1-2-17");
    put_directory(f, "mayfly-1-2-18");
    put(f, "mayfly-1-2-18/busy", "");
    put_directory(f, "mayfly-1-22-17");
    put_directory(f, "other");
    assert_int_equal(cgroup_open(CGROUP_V1, f->root, "mayfly-1-2-", &g, why), -ENOENT); /* no limit_in_bytes */
    assert_false(is_there(f, "mayfly-1-2-17") || is_there(f, "mayfly-1-2-0"));
    assert_true(is_there(f, "mayfly-1-2-18") && is_there(f, "mayfly-1-22-17") && is_there(f, "other"));
}

static void the_group_of_the_coordinator_is_left_out(void **state)
{
    struct fake *f = *state;
    struct cgroup g;
    char why[CGROUP_WHY], own[100];
    put_directory(f, "supervisor");
    put(f, "cgroup.controllers", "memory");
    put(f, "cgroup.subtree_control", "");
    snprintf(own, sizeof own, "%s/supervisor", f->root);
    cgroup_open(CGROUP_V2, own, "w-", &g, why);
    assert_holds(f, "cgroup.subtree_control", "+memory");
}

/* --- the kernel's own */

static struct cap *open_real(const struct fake *data, enum config_worker_cap wanted)
{
    struct cap *c;
    char why[CAP_WHY];
    if (cap_open(wanted, data->root, &c, why) == 0 && *cap_group(c))
        return c;
    print_message("skipped: %s: none can be made here\n", wanted == CAP_CGROUP1 ? "cgroup v1" : "cgroup v2");
    skip();
    return NULL;
}

static bool has_group(const struct fake *data, const struct cap *c, int job)
{
    char path[CGROUP_PATH + 100];
    struct stat s;
    assert_return_code(stat(data->root, &s), errno);
    snprintf(path, sizeof path, "%s/mayfly-%llx-%llx-%d", cap_group(c), (unsigned long long)s.st_dev,
             (unsigned long long)s.st_ino, job);
    return access(path, F_OK) == 0;
}

/* A child in a group of its own that touches so much shared memory, which RLIMIT_DATA does not count; its wait status.
 */
static int run_in(struct cap *c, uint64_t job, size_t bytes, struct cap_end *end)
{
    int entrance, status;
    uint64_t limit = cap_limit(c, LIMIT, (struct cap_need){0});
    assert_int_equal(cap_begin(c, job, limit, &entrance), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (write(entrance, "0", 1) != 1)
            _exit(3);
        char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            _exit(4);
        for (size_t i = 0; i < bytes; i += 4096)
            p[i] = 1;
        _exit(0);
    }
    close(entrance);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    *end = cap_end(c, job);
    if (end->peak)
        assert_true(end->peak <= limit);
    return status;
}

static void the_kernel_holds(const struct fake *data, enum config_worker_cap wanted)
{
    struct cap *c = open_real(data, wanted);
    struct cap_end end;
    int status = run_in(c, 1, 20 * MIB, &end);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_false(end.oom_killed);
    if (end.peak)
        assert_true(end.peak >= 20 * MIB);
    status = run_in(c, 2, 400 * (size_t)MIB, &end);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_true(end.oom_killed && end.was_full);
    status = run_in(c, 3, 40 * MIB, &end); /* what the one before did is not charged to it */
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0 && !end.oom_killed);
    for (int job = 0; job <= 3; job++)
        assert_false(has_group(data, c, job));
    cap_close(c);
}

static void version_1_holds_a_process(void **state)
{
    the_kernel_holds(*state, CAP_CGROUP1);
}

static void version_2_holds_a_process(void **state)
{
    the_kernel_holds(*state, CAP_CGROUP2);
}

static void a_group_that_is_not_empty_goes_later(void **state)
{
    struct cap *c = open_real(*state, CAP_CGROUP1);
    int entrance, in[2], out[2], status;
    char byte;
    assert_return_code(pipe(in), errno);
    assert_return_code(pipe(out), errno);
    assert_int_equal(cap_begin(c, 11, 64 * MIB, &entrance), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(in[1]);
        _exit(write(entrance, "0", 1) == 1 && write(out[1], "x", 1) == 1 && read(in[0], &byte, 1) == 0 ? 0 : 1);
    }
    assert_int_equal(read(out[0], &byte, 1), 1);
    cap_end(c, 11);
    assert_true(has_group(*state, c, 11));
    close(in[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(entrance);
    cap_end(c, 12); /* another's */
    assert_false(has_group(*state, c, 11));
    cap_close(c);
}

static void without_groups_the_limit_is_the_workers_own(void **state)
{
    (void)state;
    struct cap *c;
    char why[CAP_WHY];
    int entrance = 7;
    assert_int_equal(cap_open(CAP_RLIMIT, "/tmp", &c, why), 0);
    assert_string_equal(cap_name(c), "rlimit");
    assert_string_equal(cap_group(c), "");
    assert_int_equal(cap_begin(c, 1, 64 * MIB, &entrance), 0);
    assert_int_equal(entrance, -1);
    assert_false(cap_end(c, 1).oom_killed);
    assert_int_equal(cap_limit(c, 64 * MIB, (struct cap_need){.mapped = 1 << 30}), 64 * MIB);
    cap_close(c);
    assert_string_equal(cap_name(NULL), "rlimit");
    assert_false(cap_end(NULL, 1).oom_killed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_our_own_group),
        cmocka_unit_test_setup_teardown(limits_are_written_and_counts_read, make_fake, remove_fake),
        cmocka_unit_test_setup_teardown(version_1_has_other_names, make_fake, remove_fake),
        cmocka_unit_test_setup_teardown(version_2_needs_its_memory_handed_down, make_fake, remove_fake),
        cmocka_unit_test_setup_teardown(leftovers_go_and_strangers_stay, make_fake, remove_fake),
        cmocka_unit_test_setup_teardown(the_group_of_the_coordinator_is_left_out, make_fake, remove_fake),
        cmocka_unit_test_setup_teardown(version_1_holds_a_process, make_fake, remove_fake),
        cmocka_unit_test_setup_teardown(version_2_holds_a_process, make_fake, remove_fake),
        cmocka_unit_test_setup_teardown(a_group_that_is_not_empty_goes_later, make_fake, remove_fake),
        cmocka_unit_test(without_groups_the_limit_is_the_workers_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
