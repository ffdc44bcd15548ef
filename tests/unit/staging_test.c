/* staging_test - memory for batches is used again, and given back when nobody has needed it for a while. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "coordinator/staging.h"

enum { SIZE = 1 << 16, MORE = STAGING_SPARE + 2 };

static void is_used_again(void **state)
{
    (void)state;
    struct staging s = {.size = SIZE};
    char *first = staging_take(&s);
    assert_non_null(first);
    memset(first, 'a', SIZE);
    staging_give(&s, first);
    assert_int_equal(staging_spare_bytes(&s), SIZE);
    assert_ptr_equal(staging_take(&s), first);
    assert_int_equal(staging_spare_bytes(&s), 0);
    staging_give(&s, first);
    staging_let_go(&s);
    assert_int_equal(staging_spare_bytes(&s), 0);
}

static void take_many(struct staging *s, char *out[MORE])
{
    for (size_t i = 0; i < MORE; i++)
        assert_non_null(out[i] = staging_take(s));
}

static void give_many(struct staging *s, char *all[MORE])
{
    for (size_t i = 0; i < MORE; i++)
        staging_give(s, all[i]);
}

static void keeps_only_so_much(void **state)
{
    (void)state;
    struct staging s = {.size = SIZE};
    char *all[MORE];
    take_many(&s, all);
    give_many(&s, all);
    assert_int_equal(staging_spare_bytes(&s), STAGING_SPARE * SIZE);
    staging_let_go(&s);
}

/* Of four that are spare one was wanted between two ticks, and none between the next two. */
static void gives_back_what_nobody_has_needed(void **state)
{
    (void)state;
    struct staging s = {.size = SIZE};
    char *all[MORE];
    take_many(&s, all);
    give_many(&s, all);
    staging_tick(&s);
    assert_int_equal(staging_spare_bytes(&s), STAGING_SPARE * SIZE);
    staging_give(&s, staging_take(&s));
    staging_tick(&s);
    assert_int_equal(staging_spare_bytes(&s), SIZE);
    staging_tick(&s);
    assert_int_equal(staging_spare_bytes(&s), 0);
    staging_tick(&s);
    staging_give(&s, staging_take(&s));
    staging_tick(&s);
    staging_let_go(&s);
    assert_int_equal(staging_spare_bytes(&s), 0);
    staging_tick(&s);
    assert_int_equal(staging_spare_bytes(&s), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_used_again),
        cmocka_unit_test(keeps_only_so_much),
        cmocka_unit_test(gives_back_what_nobody_has_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
