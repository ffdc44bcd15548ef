/* The JSON test suite of the shared data: y_ must be accepted, n_ refused, i_ may be either but must not harm. */
#include "common/json.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
// cmocka wants some of the above first
#include <cmocka.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/utf8.h"

enum { ARENA = 64 << 20, SKIPPED = 77 };

static char suite[300];

static bool check_string(void *context, enum json_type type, struct str text)
{
    (void)context;
    if (type == JSON_STRING && utf8_valid_prefix(text) != text.len)
        fail_msg("a string is not UTF-8");
    return true;
}

static bool check_key(void *context, struct str key)
{
    return check_string(context, JSON_STRING, key);
}

static int parse(struct str text)
{
    static const struct json_events events = {.scalar = check_string, .key = check_key};
    struct arena arena;
    struct json *root;
    assert_int_equal(arena_init(&arena, ARENA, 0), 0);
    int err = json_parse(&arena, text, &events, NULL, NULL);
    assert_true(arena_mark(&arena) <= 17 * text.len);
    arena_rewind(&arena, 0);
    int tree_err = json_tree(&arena, text, &root, NULL);
    assert_int_equal(err, tree_err);
    arena_finish(&arena);
    return err;
}

static void read_file(const char *path, struct buf *out)
{
    scoped(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    for (ssize_t got = 1; got > 0;) {
        char *at = buf_extend(out, 4096);
        assert_non_null(at);
        got = read(fd, at, 4096);
        assert_true(got >= 0);
        out->len -= 4096 - (size_t)got;
    }
}

/* Too deep is a refusal of ours that a test marked y_ would not meet. */
static bool is_as_wanted(const char *name, int err)
{
    char kind = name[1] == '_' ? name[0] : 'i'; /* the others show what a parser makes of odd input */
    return kind == 'i' || (kind == 'y' ? err == 0 : err == ERR_CORRUPT || err == ERR_TOO_LARGE);
}

static void agrees_with_the_suite(void **state)
{
    (void)state;
    char path[600];
    size_t files = 0, wrong = 0;
    DIR *directory = opendir(suite);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        struct buf text = {0};
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", suite, entry->d_name);
        read_file(path, &text);
        int err = parse((struct str){.ptr = text.data, .len = text.len});
        buf_finish(&text);
        files++;
        if (is_as_wanted(entry->d_name, err))
            continue;
        print_error("%s gave %s\n", entry->d_name, err_str(err));
        wrong++;
    }
    closedir(directory);
    assert_true(files > 300);
    assert_int_equal(wrong, 0);
}

static bool extract(const char *shared)
{
    char archive[400], command[1200];
    snprintf(archive, sizeof archive, "%s/data/robust/jsontestsuite.tar.gz", shared);
    snprintf(suite, sizeof suite, "/tmp/json-suite-XXXXXX");
    if (access(archive, R_OK) || !mkdtemp(suite))
        return false;
    snprintf(command, sizeof command, "tar -C '%s' -xzf '%s'", suite, archive);
    return system(command) == 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_the_suite)};
    const char *shared = getenv("MAYFLY_SHARED");
    char command[400];
    if (!shared || !extract(shared)) {
        puts("skipped: the suite is not in $MAYFLY_SHARED");
        return SKIPPED;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    snprintf(command, sizeof command, "rm -r '%s'", suite);
    return system(command) || failed;
}
