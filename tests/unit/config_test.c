/* config_test - defaults, file, environment and options, and what is said of mistakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/err.h"
#include "coordinator/config.h"

static char why[CONFIG_MAX_WHY];
static char path[] = "/tmp/mayfly-config-XXXXXX";

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int load(char **arguments, char **environment, struct config *out)
{
    int count = 0;
    while (arguments[count])
        count++;
    enum config_command command;
    return config_load(count, arguments, environment, out, &command, why);
}

static char *no_environment[] = {NULL};

static void later_sources_win(void **state)
{
    (void)state;
    struct config c;
    write_file("; a comment\n[mayfly]\nworkers = 3\nshards = 4\nworker-memory = 64M\n");
    char *arguments[] = {(char[]){"mayflyd"}, (char[]){"--config"}, path, (char[]){"--workers=7"}, NULL};
    char *environment[] = {(char[]){"MAYFLY_WORKERS=5"}, (char[]){"MAYFLY_SHARDS=6"}, NULL};
    assert_int_equal(load(arguments, environment, &c), 0);
    assert_int_equal(c.workers, 7);
    assert_int_equal(c.shards, 6);
    assert_int_equal(c.worker_memory, 64 << 20);
    assert_int_equal(c.readers, 2);
    assert_int_equal(c.socket_mode, 0660);
    config_finish(&c);
}

static void expect_refused(const char *text, const char *line, const char *sentence)
{
    struct config c;
    write_file(text);
    char *arguments[] = {(char[]){"mayflyd"}, (char[]){"--config"}, path, NULL};
    assert_int_equal(load(arguments, no_environment, &c), ERR_INVALID);
    if (!strstr(why, line) || !strstr(why, sentence))
        fail_msg("'%s' should name '%s' and '%s'", why, line, sentence);
}

static void mistakes_name_their_line(void **state)
{
    (void)state;
    expect_refused("workers = 3\n\ncolour = red\n", ":3:", "unknown key 'colour'");
    expect_refused("[mayfly]\nworkers = many\n", ":2:", "'many' is not a number");
    expect_refused("worker-memory = 1M\n", ":1:", "between 32M and 1T");
    expect_refused("merge = sometimes\n", ":1:", "auto manual");
    expect_refused("workers = 3\nworkers = 4\n", ":2:", "twice");
    expect_refused("[other]\nworkers = 3\n", ":1:", "unknown section [other]");
    expect_refused("workers = 3\n[other]\n", ":2:", "unknown section [other]");
    expect_refused("workers = 3\nnonsense\n", ":2:", "key = value");
    expect_refused("worker-memory = 32M\nmax-document-size = 17M\n", "", "more than half of worker-memory");
    expect_refused("query-memory = 31M\n", "", "more than half of query-memory");
}

static void a_directory_is_no_file(void **state)
{
    (void)state;
    struct config c;
    char *arguments[] = {(char[]){"mayflyd"}, (char[]){"--config=/"}, NULL};
    assert_int_equal(load(arguments, no_environment, &c), ERR_INVALID);
    assert_non_null(strstr(why, "/: Is a directory"));
}

static void mistakes_on_the_command_line(void **state)
{
    (void)state;
    struct config c;
    char *unknown[] = {(char[]){"mayflyd"}, (char[]){"--nonsense"}, NULL};
    assert_int_equal(load(unknown, no_environment, &c), ERR_INVALID);
    assert_non_null(strstr(why, "--nonsense"));
    char *missing[] = {(char[]){"mayflyd"}, (char[]){"--shards"}, NULL};
    assert_int_equal(load(missing, no_environment, &c), ERR_INVALID);
    assert_non_null(strstr(why, "needs a value"));
    char *stray[] = {(char[]){"mayflyd"}, (char[]){"data"}, NULL};
    assert_int_equal(load(stray, no_environment, &c), ERR_INVALID);
}

static void reads_sizes(void **state)
{
    (void)state;
    uint64_t v;
    assert_true(config_parse_size("64", &v) && v == 64);
    assert_true(config_parse_size("256M", &v) && v == 256 << 20);
    assert_true(config_parse_size("1g", &v) && v == 1 << 30);
    assert_false(config_parse_size("", &v));
    assert_false(config_parse_size("-1", &v));
    assert_false(config_parse_size("12X", &v));
    assert_false(config_parse_size("1MB", &v));
    assert_false(config_parse_size("99999999T", &v));
}

static void note_change(void *context, const char *key, bool applied)
{
    char *text = context;
    strcat(text, key);
    strcat(text, applied ? "+" : "-");
}

static void reloads_what_may_change(void **state)
{
    (void)state;
    struct config running, fresh;
    char *before[] = {(char[]){"mayflyd"}, (char[]){"--config"}, path, NULL};
    write_file("workers = 3\n");
    assert_int_equal(load(before, no_environment, &running), 0);
    write_file("workers = 4\nshards = 9\nkey = secret\n");
    assert_int_equal(load(before, no_environment, &fresh), 0);
    char changes[200] = "";
    config_reload(&running, &fresh, note_change, changes);
    assert_string_equal(changes, "key+shards-workers+");
    assert_int_equal(running.workers, 4);
    assert_int_equal(running.shards, 2);
    assert_string_equal(running.key, "secret");
    config_finish(&running);
    config_finish(&fresh);
}

int main(void)
{
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(later_sources_win),
        cmocka_unit_test(mistakes_name_their_line),
        cmocka_unit_test(a_directory_is_no_file),
        cmocka_unit_test(mistakes_on_the_command_line),
        cmocka_unit_test(reads_sizes),
        cmocka_unit_test(reloads_what_may_change),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
