/* writes_test - worker/writes.c in the place of libc's: what goes in pieces arrives whole, and says how much of it did. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

enum { SIZE = 1 << 20, PIECE = 128 << 10 };

struct place {
    FILE *file;
    int fd;
    char *from, *back;
};

static int make(void **state)
{
    static struct place p;
    p = (struct place){.file = tmpfile(), .from = malloc(SIZE), .back = malloc(SIZE)};
    assert_true(p.file && p.from && p.back);
    p.fd = fileno(p.file);
    for (size_t i = 0; i < SIZE; i++)
        p.from[i] = (char)(i * 2654435761u >> 13);
    *state = &p;
    return 0;
}

static int drop(void **state)
{
    struct place *p = *state;
    fclose(p->file);
    free(p->from);
    free(p->back);
    return 0;
}

static void expect(struct place *p, off_t at, size_t size)
{
    assert_int_equal(pread(p->fd, p->back, SIZE, at), size);
    assert_memory_equal(p->back, p->from, size);
}

static void pwrite_of_any_size_arrives_whole(void **state)
{
    struct place *p = *state;
    static const size_t sizes[] = {0, 1, 4096, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, SIZE};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(ftruncate(p->fd, 0), 0);
        assert_int_equal(pwrite(p->fd, p->from, sizes[i], 12345), sizes[i]);
        expect(p, 12345, sizes[i]);
    }
}

/* In one call: none, small ones, some of which fit a piece together, and one that is larger than a piece. */
static void writev_of_any_parts_arrives_whole(void **state)
{
    struct place *p = *state;
    static const size_t parts[][5] = {{0},
                                      {1, 2, 3, 4, 5},
                                      {PIECE, 1, PIECE, PIECE - 1, 1},
                                      {4096, 3 * PIECE + 7, 0, 4096, 1},
                                      {PIECE / 2, PIECE / 2, PIECE / 2, PIECE / 2, 2 * PIECE}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct iovec all[5];
        size_t size = 0;
        for (size_t k = 0; k < 5; k++) {
            all[k] = (struct iovec){p->from + size, parts[i][k]};
            size += parts[i][k];
        }
        assert_int_equal(ftruncate(p->fd, 0), 0);
        assert_int_equal(lseek(p->fd, 0, SEEK_SET), 0);
        assert_int_equal(writev(p->fd, all, 5), size);
        expect(p, 0, size);
        assert_int_equal(lseek(p->fd, 0, SEEK_CUR), size);
    }
}

static void says_how_much_there_was_room_for(void **state)
{
    struct place *p = *state;
    struct rlimit before, small;
    struct iovec all[2] = {{p->from, PIECE}, {p->from + PIECE, 2 * PIECE}};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){2 * PIECE + 100, before.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    ssize_t put = pwrite(p->fd, p->from, 3 * PIECE, 0), again = writev(p->fd, all, 2);
    ssize_t none = pwrite(p->fd, p->from, 1, 4 * PIECE);
    int error = errno;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(put, small.rlim_cur);
    assert_int_equal(again, small.rlim_cur);
    assert_int_equal(none, -1);
    assert_int_equal(error, EFBIG);
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    struct iovec one = {(char[]){"x"}, 1};
    errno = 0;
    assert_int_equal(pwrite(-1, "x", 1, 0), -1);
    assert_int_equal(errno, EBADF);
    errno = 0;
    assert_int_equal(writev(-1, &one, 1), -1);
    assert_int_equal(errno, EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pwrite_of_any_size_arrives_whole, make, drop),
        cmocka_unit_test_setup_teardown(writev_of_any_parts_arrives_whole, make, drop),
        cmocka_unit_test_setup_teardown(says_how_much_there_was_room_for, make, drop),
        cmocka_unit_test(says_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
