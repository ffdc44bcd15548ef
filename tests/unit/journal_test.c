/* journal_test - log lines become fields at a journal of ours, and lines where there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/journal.h"
#include "common/logger.h"

static const char *fields_of(const char *process, const char *sentence)
{
    static char to[4096];
    const struct journal_entry e = {6, process, sentence};
    size_t size = journal_format(&e, to, sizeof to - 1);
    to[size] = 0;
    return to;
}

static void pairs_become_fields(void **state)
{
    (void)state;
    assert_string_equal(fields_of("mayfly-shard[1.0]", "ready at=/run/x applied_already=3"),
                        "PRIORITY=6\nSYSLOG_IDENTIFIER=mayfly-shard\nMAYFLY_PROCESS=mayfly-shard[1.0]\n"
                        "MESSAGE=ready at=/run/x applied_already=3\nMAYFLY_AT=/run/x\nMAYFLY_APPLIED_ALREADY=3\n");
}

static void words_with_equals_are_not_all_pairs(void **state)
{
    (void)state;
    const char *fields = fields_of("mayflyd", "a=b= 1+1=2 =x _Hidden=1 _pid=1 Upper=1 empty= end");
    assert_non_null(strstr(fields, "\nMAYFLY_A=b=\nMAYFLY_EMPTY=\n"));
    assert_null(strstr(fields, "MAYFLY_X"));
    assert_null(strstr(fields, "\n_"));
    assert_null(strstr(fields, "MAYFLY_U"));
    assert_null(strstr(fields, "MAYFLY__"));
}

static void a_query_cannot_forge_fields(void **state)
{
    (void)state;
    const char *fields = fields_of("mayflyd", "slow search index=films query=a index=b priority=0");
    assert_non_null(strstr(fields, "\nMAYFLY_INDEX=films\nMAYFLY_QUERY=a index=b priority=0\n"));
    assert_null(strstr(fields, "MAYFLY_INDEX=b"));
}

static void what_does_not_fit_is_not_cut(void **state)
{
    (void)state;
    char to[256];
    const struct journal_entry e = {6, "mayflyd", "ready socket=/run/mayfly.sock"};
    size_t whole = journal_format(&e, to, sizeof to);
    assert_true(whole > 0);
    for (size_t room = 1; room <= whole; room++)
        assert_int_equal(journal_format(&e, to, room), 0);
    assert_int_equal(journal_format(&e, to, whole + 1), whole);
}

static void entries_arrive(void **state)
{
    (void)state;
    char path[64], got[256];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(path, sizeof path, "/tmp/mayfly-journal-%d", (int)getpid());
    memcpy(address.sun_path, path, strlen(path));
    unlink(path);
    assert_int_equal(journal_open(path), -1);
    int journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(journal, (const struct sockaddr *)&address, sizeof address), 0);
    int fd = journal_open(path);
    assert_true(fd >= 0);
    assert_int_equal(send(fd, "MESSAGE=x\n", 10, 0), 10);
    assert_int_equal(recv(journal, got, sizeof got, 0), 10);
    close(fd);
    close(journal);
    unlink(path);
}

static void only_the_stream_that_is_named_is_the_journal(void **state)
{
    (void)state;
    struct stat status;
    char stream[64];
    unsetenv("JOURNAL_STREAM");
    assert_false(journal_is_stderr());
    setenv("JOURNAL_STREAM", "1:2", 1); /* of a service, whose stderr was redirected afterwards */
    assert_false(journal_is_stderr());
    assert_int_equal(fstat(STDERR_FILENO, &status), 0);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)status.st_dev, (unsigned long long)status.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    assert_true(journal_is_stderr());
    unsetenv("JOURNAL_STREAM");
}

/* What the logger writes to standard error when it says `sentence`. */
static const char *said(const char *sentence)
{
    static char got[8192];
    int pipes[2], kept = dup(STDERR_FILENO);
    assert_int_equal(pipe(pipes), 0);
    dup2(pipes[1], STDERR_FILENO);
    log_open("tester", LOG_INFO);
    log_info("%s", sentence);
    log_debug("this is too much");
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(pipes[1]);
    ssize_t length = read(pipes[0], got, sizeof got - 1);
    close(pipes[0]);
    got[length > 0 ? length : 0] = 0;
    return got;
}

static void lines_are_lines(void **state)
{
    (void)state;
    static char large[9000];
    const char *short_line = said("one\ntwo\x1b");
    assert_int_equal(strspn(short_line, "0123456789-:.TZ"), strlen("2026-11-26T17:00:00.123456Z"));
    assert_string_equal(strchr(short_line, ' '), " info tester: one two \n");
    memset(large, 'x', sizeof large - 1);
    const char *line = said(large);
    assert_true(strlen(line) <= 4096 && strchr(line, '\n') == line + strlen(line) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_become_fields),
        cmocka_unit_test(words_with_equals_are_not_all_pairs),
        cmocka_unit_test(a_query_cannot_forge_fields),
        cmocka_unit_test(what_does_not_fit_is_not_cut),
        cmocka_unit_test(entries_arrive),
        cmocka_unit_test(only_the_stream_that_is_named_is_the_journal),
        cmocka_unit_test(lines_are_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
