/* pulse_test - who does not answer is killed after its time and not before, whatever work it was given. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "common/logger.h"
#include "coordinator/pulse.h"
#include "coordinator/shards_start.h"

enum { LIMIT = 5 };

static pid_t start_process(void)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        for (;;)
            pause();
    return pid;
}

static bool is_killed(pid_t pid)
{
    int status;
    siginfo_t seen = {0};
    assert_int_equal(waitid(P_PID, (id_t)pid, &seen, WEXITED | WNOHANG | WNOWAIT), 0);
    if (seen.si_pid == 0)
        return false;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return true;
}

static void end_process(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* The beat at which it was killed: it is dead when that is over. */
static unsigned beats_until_killed(struct child *c, unsigned most)
{
    for (unsigned beat = 1; beat <= most; beat++) {
        unsigned hangs = c->hangs;
        pulse_beat(c, LIMIT, false);
        if (c->hangs == hangs)
            continue;
        siginfo_t seen;
        assert_int_equal(waitid(P_PID, (id_t)c->pid, &seen, WEXITED | WNOWAIT), 0);
        assert_true(is_killed(c->pid));
        return beat;
    }
    return 0;
}

static struct child child_of(pid_t pid)
{
    struct child c = {.name = "shard 1.0", .state = CHILD_READY, .pid = pid};
    return c;
}

static void one_that_answers_is_asked_again_and_left_alone(void **state)
{
    (void)state;
    struct child c = child_of(start_process());
    for (int i = 0; i < 100; i++) {
        assert_true(pulse_beat(&c, LIMIT, false));
        assert_false(pulse_is_silent(&c));
        for (int k = 0; k < i % LIMIT; k++)
            assert_false(pulse_beat(&c, LIMIT, false)); /* one question at a time */
        pulse_answered(&c);
    }
    assert_false(is_killed(c.pid));
    assert_int_equal(c.hangs, 0);
    end_process(c.pid);
}

static void one_that_is_silent_is_killed_after_the_limit_once(void **state)
{
    (void)state;
    struct child c = child_of(start_process());
    assert_int_equal(beats_until_killed(&c, 100), LIMIT + 1);
    assert_int_equal(beats_until_killed(&c, 3), 0);
    assert_int_equal(c.hangs, 1);
    assert_false(pulse_is_stuck(&c));
    pulse_beat(&c, LIMIT, false);
    assert_true(pulse_is_stuck(&c)); /* it should have been gone */
}

static void without_a_limit_nobody_is_killed(void **state)
{
    (void)state;
    struct child c = child_of(start_process());
    for (int i = 0; i < 100; i++)
        pulse_beat(&c, 0, false);
    assert_true(pulse_is_silent(&c) && !pulse_is_stuck(&c));
    assert_false(is_killed(c.pid));
    end_process(c.pid);
}

static void who_is_not_ready_is_not_asked(void **state)
{
    (void)state;
    const enum child_state states[] = {CHILD_STOPPED, CHILD_STARTING, CHILD_WAITING, CHILD_FAILED};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        struct child c = {.state = states[i]};
        assert_false(pulse_beat(&c, LIMIT, false));
        assert_int_equal(c.silence, 0);
    }
}

/* ------------------------------------------------------------------------------------------------------------- shards
 */

struct pair {
    struct reader readers[2];
    struct shards shards;
};

static void begin_pair(struct pair *p)
{
    memset(p, 0, sizeof *p);
    p->shards = (struct shards){.readers = p->readers, .shards = 1, .per_shard = 2, .count = 2};
    for (uint32_t i = 0; i < 2; i++) {
        p->readers[i].shards = &p->shards;
        p->readers[i].number = i;
        p->readers[i].child = child_of(start_process());
    }
}

static void finish_pair(struct pair *p)
{
    for (uint32_t i = 0; i < 2; i++) {
        end_process(p->readers[i].child.pid);
        buf_finish(&p->readers[i].out);
        while (p->readers[i].flights) {
            struct flight *f = p->readers[i].flights;
            p->readers[i].flights = f->next;
            free(f);
        }
    }
}

static void never_answered(void *context, const Mayfly__Internal__ShardEnvelope *answer, struct buf *body)
{
    (void)context, (void)answer, (void)body;
    fail();
}

static struct shard_ticket search(struct pair *p, uint64_t deadline_us)
{
    Mayfly__Internal__Prepare prepare = MAYFLY__INTERNAL__PREPARE__INIT;
    Mayfly__Internal__ShardEnvelope message = MAYFLY__INTERNAL__SHARD_ENVELOPE__INIT;
    struct shard_ticket ticket;
    const struct shard_caller caller = {.answer = never_answered};
    prepare.deadline_us = deadline_us;
    message.message_case = MAYFLY__INTERNAL__SHARD_ENVELOPE__MESSAGE_PREPARE;
    message.prepare = &prepare;
    assert_int_equal(shards_send(&p->shards, 0, NULL, &message, &caller, &ticket), 0);
    return ticket;
}

static unsigned beats_until_hang(struct pair *p, const struct reader *r, unsigned most)
{
    for (unsigned beat = 1; beat <= most; beat++) {
        shards_beat(&p->shards, LIMIT);
        if (r->child.hangs)
            return beat;
    }
    return 0;
}

static void a_search_excuses_silence_until_its_deadline(void **state)
{
    struct pair p;
    (void)state;
    begin_pair(&p);
    uint32_t with = search(&p, UINT64_C(30000000)).reader; /* and only there */
    const struct reader *busy = &p.readers[with], *idle = &p.readers[1 - with];
    assert_int_equal(beats_until_hang(&p, idle, 100), LIMIT + 1);
    assert_int_equal(busy->child.hangs, 0);
    unsigned more = beats_until_hang(&p, busy, 100) + LIMIT + 1;
    assert_true(more > 30 && more <= 30 + 2 + LIMIT);
    finish_pair(&p);
}

/* Else one that gets work all the time would never be found out. */
static void what_comes_after_the_question_excuses_nothing(void **state)
{
    struct pair p;
    (void)state;
    begin_pair(&p);
    shards_beat(&p.shards, LIMIT);
    for (int i = 0; i < 4; i++)
        search(&p, UINT64_C(30000000));
    assert_int_equal(beats_until_hang(&p, &p.readers[0], 100), LIMIT);
    assert_int_equal(p.readers[1].child.hangs, 1);
    finish_pair(&p);
}

static void who_is_silent_gets_nothing_new_while_another_answers(void **state)
{
    struct pair p;
    (void)state;
    begin_pair(&p);
    for (int beat = 0; beat < PULSE_SILENT; beat++) {
        shards_beat(&p.shards, LIMIT);
        pulse_answered(&p.readers[1].child);
    }
    for (int i = 0; i < 10; i++)
        assert_int_equal(search(&p, 1000).reader, 1);
    p.readers[1].child.state = CHILD_WAITING;
    assert_int_equal(search(&p, 1000).reader, 0); /* it may wake up */
    p.readers[1].child.state = CHILD_READY;
    finish_pair(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_answers_is_asked_again_and_left_alone),
        cmocka_unit_test(one_that_is_silent_is_killed_after_the_limit_once),
        cmocka_unit_test(without_a_limit_nobody_is_killed),
        cmocka_unit_test(who_is_not_ready_is_not_asked),
        cmocka_unit_test(a_search_excuses_silence_until_its_deadline),
        cmocka_unit_test(what_comes_after_the_question_excuses_nothing),
        cmocka_unit_test(who_is_silent_gets_nothing_new_while_another_answers),
    };
    log_open("pulse_test", LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
