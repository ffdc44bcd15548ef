/* activation_test - sockets that a service manager passes are taken by kind and name, and what is none is refused. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/err.h"
#include "coordinator/activation.h"

enum { FIRST = 40 }; /* far from what the test itself has open */

static char why[256];

static void place(int fd, int at)
{
    assert_true(fd >= 0);
    assert_int_equal(dup2(fd, at), at);
    close(fd);
}

static void place_listener(int family, int at)
{
    int fd = socket(family, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    if (family == AF_UNIX) {
        struct sockaddr_un any = {.sun_family = AF_UNIX}; /* the kernel makes up an abstract name */
        assert_int_equal(bind(fd, (const struct sockaddr *)&any, sizeof(sa_family_t)), 0);
    }
    assert_int_equal(listen(fd, 1), 0);
    place(fd, at);
}

static void say(const char *count, const char *names)
{
    char pid[32];
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", count, 1);
    if (names)
        setenv("LISTEN_FDNAMES", names, 1);
}

static int close_all(void **state)
{
    (void)state;
    for (int fd = FIRST; fd < FIRST + 4; fd++)
        close(fd);
    return 0;
}

static void both_kinds_are_taken(void **state)
{
    (void)state;
    struct activation a;
    place_listener(AF_UNIX, FIRST);
    place_listener(AF_INET, FIRST + 1);
    say("2", "unix:tcp");
    assert_int_equal(activation_take(FIRST, &a, why), 0);
    assert_int_equal(a.count, 2);
    assert_true(a.sockets[0].is_unix && !a.sockets[1].is_unix);
    assert_string_equal(a.sockets[0].name, "unix");
    assert_string_equal(a.sockets[1].name, "tcp");
    assert_int_equal(a.sockets[1].fd, FIRST + 1);
    assert_true(fcntl(FIRST, F_GETFD) & FD_CLOEXEC);
    assert_true(activation_has(&a, true) && activation_has(&a, false));
    assert_null(getenv("LISTEN_FDS")); /* or children would take them for theirs */
    assert_null(getenv("LISTEN_PID"));
    assert_null(getenv("LISTEN_FDNAMES"));
}

static void names_may_be_missing(void **state)
{
    (void)state;
    struct activation a;
    place_listener(AF_UNIX, FIRST);
    place_listener(AF_UNIX, FIRST + 1);
    say("2", "one");
    assert_int_equal(activation_take(FIRST, &a, why), 0);
    assert_string_equal(a.sockets[0].name, "one");
    assert_string_equal(a.sockets[1].name, "unknown");
    assert_false(activation_has(&a, false));
}

static void those_of_another_process_are_left_alone(void **state)
{
    (void)state;
    struct activation a;
    place_listener(AF_UNIX, FIRST);
    say("1", "unix");
    setenv("LISTEN_PID", "1", 1);
    assert_int_equal(activation_take(FIRST, &a, why), 0);
    assert_int_equal(a.count, 0);
    assert_null(getenv("LISTEN_FDS"));
    assert_int_equal(activation_take(FIRST, &a, why), 0); /* nothing was passed at all */
    assert_int_equal(a.count, 0);
}

static void expect_refused(const char *named)
{
    struct activation a = {.count = 7};
    say("1", "odd");
    assert_int_equal(activation_take(FIRST, &a, why), ERR_INVALID);
    assert_non_null(strstr(why, named));
    assert_int_equal(a.count, 7);
    assert_null(getenv("LISTEN_FDS"));
}

static void what_cannot_be_listened_on_is_refused_by_name(void **state)
{
    (void)state;
    place(open("/dev/null", O_RDONLY), FIRST);
    expect_refused("odd");
    place(socket(AF_UNIX, SOCK_DGRAM, 0), FIRST);
    expect_refused("odd");
    place(socket(AF_INET, SOCK_STREAM, 0), FIRST); /* not listening */
    expect_refused("odd");
    close(FIRST);
    expect_refused("odd");
}

static void more_than_there_is_room_for_are_refused(void **state)
{
    (void)state;
    struct activation a;
    say("9", NULL);
    assert_int_equal(activation_take(FIRST, &a, why), ERR_INVALID);
    assert_non_null(strstr(why, "9"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(both_kinds_are_taken, close_all),
        cmocka_unit_test_teardown(names_may_be_missing, close_all),
        cmocka_unit_test_teardown(those_of_another_process_are_left_alone, close_all),
        cmocka_unit_test_teardown(what_cannot_be_listened_on_is_refused_by_name, close_all),
        cmocka_unit_test(more_than_there_is_room_for_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
