/* outbox_test - small frames leave together, large ones at once, all in order. */
#include "shard/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/err.h"

enum { LARGE = 20 << 10 };

struct pair {
    struct outbox box;
    int other;
};

static int open_pair(void **state)
{
    struct pair *p = calloc(1, sizeof *p);
    int ends[2];
    assert_non_null(p);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    p->box.sock = ends[0];
    p->other = ends[1];
    *state = p;
    return 0;
}

static int close_pair(void **state)
{
    struct pair *p = *state;
    outbox_finish(&p->box);
    close(p->box.sock);
    if (p->other >= 0)
        close(p->other);
    free(p);
    return 0;
}

static void put(struct pair *p, char *text, size_t size)
{
    struct iovec pieces[] = {{text, size / 2}, {text + size / 2, size - size / 2}};
    outbox_put(&p->box, pieces, 2);
}

/* What has been sent and not yet been read. */
static size_t arrived(struct pair *p, char *to, size_t room)
{
    ssize_t got = recv(p->other, to, room, MSG_DONTWAIT);
    return got > 0 ? (size_t)got : 0;
}

static void small_frames_leave_together(void **state)
{
    struct pair *p = *state;
    char text[16] = "onetwothree", got[64];
    put(p, text, 3);
    put(p, text + 3, 3);
    put(p, text + 6, 5);
    assert_int_equal(arrived(p, got, sizeof got), 0);
    outbox_flush(&p->box);
    assert_int_equal(arrived(p, got, sizeof got), 11);
    assert_memory_equal(got, "onetwothree", 11);
    outbox_flush(&p->box);
    assert_int_equal(arrived(p, got, sizeof got), 0);
}

static void a_large_frame_leaves_at_once_behind_those_that_wait(void **state)
{
    struct pair *p = *state;
    static char large[LARGE], got[LARGE + 64];
    char text[] = "small";
    memset(large, 'x', sizeof large);
    put(p, text, 5);
    put(p, large, sizeof large);
    size_t size = 0;
    for (size_t more; (more = arrived(p, got + size, sizeof got - size)) > 0;)
        size += more;
    assert_int_equal(size, 5 + LARGE);
    assert_memory_equal(got, "small", 5);
    assert_memory_equal(got + 5, large, LARGE);
}

static void many_small_frames_do_not_pile_up(void **state)
{
    struct pair *p = *state;
    static char text[1000], got[1 << 20];
    for (int i = 0; i < 100; i++)
        put(p, text, sizeof text);
    assert_true(arrived(p, got, sizeof got) >= 30000);
    assert_true(p->box.waiting.len <= 64 << 10);
}

static void the_end_of_the_coordinator_is_told(void **state)
{
    struct pair *p = *state;
    char text[] = "lost";
    close(p->other);
    p->other = -1;
    put(p, text, 4);
    assert_int_equal(p->box.err, 0);
    outbox_flush(&p->box);
    assert_int_equal(p->box.err, ERR_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(small_frames_leave_together, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(a_large_frame_leaves_at_once_behind_those_that_wait, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(many_small_frames_do_not_pile_up, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(the_end_of_the_coordinator_is_told, open_pair, close_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
