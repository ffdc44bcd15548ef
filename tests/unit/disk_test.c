/* disk_test - a full disk begins once, goes on while somebody lacks something, and is over when nobody has for a while. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "coordinator/disk.h"

enum { LOOKS_MOST = 20 };
static const uint64_t more_than_any = UINT64_MAX / 2;

/* How many looks it takes until it is over. */
static unsigned looks_until_over(struct disk *d)
{
    unsigned looks = 0;
    for (; disk_is_full(d) && looks < LOOKS_MOST; looks++)
        disk_look(d);
    return looks;
}

static void is_full_while_somebody_lacks_something(void **state)
{
    (void)state;
    struct disk d;
    disk_open(&d, "/tmp");
    assert_false(disk_is_full(&d));
    assert_true(disk_is_lacked(&d, DISK_LOG, -ENOSPC, more_than_any, "log/7.log"));
    assert_true(disk_is_lacked(&d, DISK_WORKERS, -EDQUOT, more_than_any, "indexes/1/1/0"));
    assert_true(disk_is_full(&d));
    assert_string_equal(disk_lacking(&d), "log/7.log");
    assert_true(disk_missing(&d) > 0);
    assert_int_equal(looks_until_over(&d), LOOKS_MOST);
    disk_has_sufficed(&d, DISK_LOG);
    assert_string_equal(disk_lacking(&d), "indexes/1/1/0");
    assert_int_equal(looks_until_over(&d), LOOKS_MOST);
    disk_has_sufficed(&d, DISK_WORKERS);
    disk_look(&d);
    assert_true(disk_is_full(&d)); /* nor is it over at once: */
    assert_true(disk_is_lacked(&d, DISK_WORKERS, -ENOSPC, more_than_any, "indexes/1/1/0"));
    disk_has_sufficed(&d, DISK_WORKERS);
    assert_true(looks_until_over(&d) < LOOKS_MOST);
    assert_int_equal(d.failures, 3);
}

static void other_failures_are_the_callers_to_say(void **state)
{
    (void)state;
    struct disk d;
    disk_open(&d, "/tmp");
    assert_false(disk_is_lacked(&d, DISK_LOG, -EIO, 1, "log/7.log"));
    assert_false(disk_is_lacked(&d, DISK_LOG, 0, 1, "log/7.log"));
    assert_false(disk_is_lacked(NULL, DISK_LOG, -ENOSPC, 1, "log/7.log"));
    disk_has_sufficed(NULL, DISK_LOG);
    assert_false(disk_is_full(NULL));
    assert_false(disk_is_full(&d));
}

static void the_catalogs_need_is_met_by_room(void **state)
{
    (void)state;
    struct disk d;
    disk_open(&d, "/tmp");
    assert_true(disk_is_lacked(&d, DISK_CATALOG, -ENOSPC, 1, "catalog.mdb"));
    assert_true(disk_has_room_for(&d, DISK_CATALOG));
    assert_true(looks_until_over(&d) < LOOKS_MOST);
}

static void a_sentence_names_disk_file_and_bytes(void **state)
{
    (void)state;
    struct disk d;
    char said[DISK_SENTENCE];
    disk_open(&d, "/proc/self"); /* of a file system that has no room at all */
    assert_string_equal(d.mount, "/proc");
    assert_true(disk_is_lacked(&d, DISK_LOG, -ENOSPC, 4096, "log/7.log"));
    disk_say(&d, said);
    assert_string_equal(said, "the disk at /proc is full: /proc/self/log/7.log lacks 69632 bytes; try again when there is room");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_full_while_somebody_lacks_something),
        cmocka_unit_test(other_failures_are_the_callers_to_say),
        cmocka_unit_test(the_catalogs_need_is_met_by_room),
        cmocka_unit_test(a_sentence_names_disk_file_and_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
