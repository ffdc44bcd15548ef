/* service_test - what a service manager hears, at a NOTIFY_SOCKET of ours; the watchdog starves when a process is gone.
 */
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
#include <uv.h>

#include "coordinator/ingest_state.h"
#include "coordinator/jobs_state.h"
#include "coordinator/notify.h"
#include "coordinator/server.h"
#include "coordinator/service.h"
#include "coordinator/session_state.h"
#include "coordinator/shards_start.h"

/* A server whose parts are all there, and nothing of it runs. */
struct life {
    uv_loop_t loop;
    struct server server;
    struct reader readers[2];
    struct shards shards;
    struct ingest ingest;
    struct index index;
    struct stream streams[2];
    struct service service;
    int manager;
};

static int begin(void **state)
{
    static unsigned number;
    struct life *l = calloc(1, sizeof *l);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[64];
    int length = snprintf(name, sizeof name, "@mayfly-service-%d-%u", (int)getpid(), number++);
    memcpy(address.sun_path + 1, name + 1, (size_t)length - 1);
    l->manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(l->manager, (const struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length)),
                     0);
    setenv("NOTIFY_SOCKET", name, 1);
    setenv("WATCHDOG_USEC", "3000000", 1);
    unsetenv("WATCHDOG_PID");
    assert_int_equal(uv_loop_init(&l->loop), 0);
    l->shards = (struct shards){.readers = l->readers, .shards = 2, .per_shard = 1, .count = 2};
    l->server = (struct server){.loop = &l->loop, .shards = &l->shards, .ingest = &l->ingest, .state = SERVER_READY};
    l->server.indexes.first = &l->index;
    l->index = (struct index){.streams = l->streams, .shards = 2};
    l->readers[0].child.state = l->readers[1].child.state = l->server.nursery.child.state = CHILD_READY;
    snprintf(l->readers[1].child.name, sizeof l->readers[1].child.name, "shard 1.0");
    *state = l;
    return 0;
}

static int end(void **state)
{
    struct life *l = *state;
    if (l->service.server)
        uv_close((uv_handle_t *)&l->service.timer, NULL);
    uv_run(&l->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&l->loop), 0);
    close(l->manager);
    free(l);
    return 0;
}

/* Everything that was said since the last time. */
static const char *heard(struct life *l)
{
    static char all[2048];
    size_t used = 0;
    for (;;) {
        ssize_t got = recv(l->manager, all + used, sizeof all - used - 2, 0);
        if (got < 0)
            break;
        used += (size_t)got;
        all[used++] = '\n';
    }
    all[used] = 0;
    return all;
}

static void put_back(uint64_t *time, uint64_t ms)
{
    *time -= *time < ms ? *time : ms;
}

/* As if so much time had passed. */
static void pass(struct life *l, uint64_t ms)
{
    put_back(&l->service.fed_at, ms);
    put_back(&l->service.looked_at, ms);
    put_back(&l->service.moved_at, ms);
    put_back(&l->service.asked_at, ms);
    service_look(&l->service);
}

static void start(struct life *l)
{
    assert_int_equal(service_start(&l->service, &l->server), 0);
}

static void datagrams_are_whole(void **state)
{
    struct life *l = *state;
    notify_send("READY=1\nSTATUS=%s", "fine");
    assert_string_equal(heard(l), "READY=1\nSTATUS=fine\n");
    setenv("NOTIFY_SOCKET", "nonsense", 1);
    notify_send("READY=1");
    unsetenv("NOTIFY_SOCKET");
    notify_send("READY=1");
    assert_false(notify_is_wanted());
    assert_string_equal(heard(l), "");
    start(l);
    assert_null(l->service.server); /* nobody listens: no timer */
}

static void the_watchdog_is_this_process_only(void **state)
{
    (void)state;
    char pid[32];
    assert_int_equal(notify_watchdog_us(), 3000000);
    setenv("WATCHDOG_PID", "1", 1);
    assert_int_equal(notify_watchdog_us(), 0);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    assert_int_equal(notify_watchdog_us(), 3000000);
    unsetenv("WATCHDOG_USEC");
    assert_int_equal(notify_watchdog_us(), 0);
}

static void it_is_fed_from_the_loop(void **state)
{
    struct life *l = *state;
    start(l);
    pass(l, 2000);
    assert_non_null(strstr(heard(l), "WATCHDOG=1"));
    pass(l, 10);
    assert_null(strstr(heard(l), "WATCHDOG=1")); /* once in a third is enough */
    l->service.fed_at = 0;
    uv_run(&l->loop, UV_RUN_NOWAIT); /* the timer is due at once */
    assert_non_null(strstr(heard(l), "WATCHDOG=1"));
}

static void expect_starved(struct life *l, struct child *c)
{
    const enum child_state dead[] = {CHILD_WAITING, CHILD_STARTING, CHILD_FAILED, CHILD_STOPPED};
    for (size_t i = 0; i < sizeof dead / sizeof dead[0]; i++) {
        c->state = dead[i];
        pass(l, 5000);
        assert_null(strstr(heard(l), "WATCHDOG=1"));
    }
    c->state = CHILD_READY;
    c->killed_at = 20; /* for its silence, and it has not ended */
    c->silence = 30;
    pass(l, 5000);
    assert_null(strstr(heard(l), "WATCHDOG=1"));
    c->killed_at = c->silence = 0;
    pass(l, 5000);
    assert_non_null(strstr(heard(l), "WATCHDOG=1"));
}

static void it_starves_without_a_shard_or_the_nursery(void **state)
{
    struct life *l = *state;
    start(l);
    expect_starved(l, &l->readers[1].child);
    expect_starved(l, &l->server.nursery.child);
}

static void status_is_told_when_it_changes(void **state)
{
    struct life *l = *state;
    start(l);
    pass(l, 1000);
    assert_non_null(strstr(heard(l), "STATUS=ready\n"));
    pass(l, 1000);
    assert_null(strstr(heard(l), "STATUS"));
    l->ingest.backlog = (struct ingest_backlog){.waiting = 10, .applied = 2, .applied_bytes = 41 * 1000000};
    pass(l, 1000);
    assert_non_null(strstr(heard(l), "STATUS=indexing 3 of 12, 41 MB/s\n"));
    l->readers[1].child.state = CHILD_WAITING;
    pass(l, 1000);
    assert_non_null(strstr(heard(l), "STATUS=degraded: shard 1.0 is waiting to be restarted; indexing 3 of 12, 0 MB/s\n"));
}

static void a_start_that_moves_is_given_time(void **state)
{
    struct life *l = *state;
    l->server.state = SERVER_STARTING;
    l->readers[0].child.state = CHILD_STARTING;
    start(l);
    pass(l, 6000);
    const char *said = heard(l);
    assert_non_null(strstr(said, "EXTEND_TIMEOUT_USEC=30000000\n"));
    assert_non_null(strstr(said, "STATUS=starting: 0 of 2 shards of indexes are read\n"));
    l->streams[0].damaged = true; /* read, that is */
    pass(l, 59000);
    assert_non_null(strstr(heard(l), "EXTEND_TIMEOUT_USEC"));
    pass(l, 61000);
    assert_null(strstr(heard(l), "EXTEND_TIMEOUT_USEC")); /* stuck */
    l->streams[1].damaged = true;
    pass(l, 6000);
    said = heard(l);
    assert_non_null(strstr(said, "EXTEND_TIMEOUT_USEC"));
    assert_non_null(strstr(said, "STATUS=starting: waiting for the shards\n"));
}

static void a_stop_feeds_on(void **state)
{
    struct life *l = *state;
    struct sessions sessions = {.count = 3};
    struct jobs jobs = {.running_count = 2};
    l->server.sessions = &sessions;
    l->server.jobs = &jobs;
    l->server.state = SERVER_STOPPING;
    l->readers[0].child.state = CHILD_STOPPED;
    start(l);
    pass(l, 2000);
    const char *said = heard(l);
    assert_non_null(strstr(said, "WATCHDOG=1"));
    assert_non_null(strstr(said, "STATUS=stopping: 3 connections, 2 jobs\n"));
    assert_null(strstr(said, "EXTEND_TIMEOUT_USEC"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(datagrams_are_whole),
        CASE(the_watchdog_is_this_process_only),
        CASE(it_is_fed_from_the_loop),
        CASE(it_starves_without_a_shard_or_the_nursery),
        CASE(status_is_told_when_it_changes),
        CASE(a_start_that_moves_is_given_time),
        CASE(a_stop_feeds_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
