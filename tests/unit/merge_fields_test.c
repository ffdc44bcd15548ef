/* Partial updates as text: which members a document has after its change, and that the rest stays as it was written. */
#include "worker/merge_fields.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/err.h"
#include "common/json.h"

enum { MEMORY = 1 << 20 };

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    return arena_init(&arena, MEMORY, 0);
}

static int tear_down(void **state)
{
    (void)state;
    arena_finish(&arena);
    return 0;
}

static void merges_to(const char *object, const char *change, const char *merged)
{
    struct str out;
    size_t mark = arena_mark(&arena);
    assert_int_equal(merge_fields(&arena, str_of(object), str_of(change), &out), 0);
    char *text = strndup(out.ptr, out.len);
    assert_string_equal(text, merged);
    free(text);
    arena_rewind(&arena, mark);
}

static void given_members_replace_and_others_stay_as_they_are_written(void **state)
{
    (void)state;
    merges_to("{\"id\":1,\"a\":2,\"b\":3}", "{\"a\":4}", "{\"id\":1,\"a\":4,\"b\":3}");
    merges_to(" { \"id\" : 1 ,\n \"a\" : [ 1, {\"b\": \"}\"} ] , \"c\":1.50e+0 } ", "{}",
              "{\"id\":1,\"a\":[ 1, {\"b\": \"}\"} ],\"c\":1.50e+0}");
    merges_to("{\"a\":\"x \\\" , y\"}", "\t{ \"b\" : \"\\\\\" }", "{\"a\":\"x \\\" , y\",\"b\":\"\\\\\"}");
}

static void new_members_come_behind_in_their_order(void **state)
{
    (void)state;
    merges_to("{\"m\":1}", "{\"z\":1,\"a\":2,\"m\":3}", "{\"m\":3,\"z\":1,\"a\":2}");
    merges_to("{}", "{\"z\":1,\"a\":2}", "{\"z\":1,\"a\":2}");
    merges_to("{}", "{}", "{}");
    merges_to("{\"a\":1}", " { } ", "{\"a\":1}");
}

static void null_is_a_value_and_objects_are_not_merged_inside(void **state)
{
    (void)state;
    merges_to("{\"a\":1,\"b\":{\"c\":1,\"d\":2}}", "{\"a\":null,\"b\":{\"c\":3}}", "{\"a\":null,\"b\":{\"c\":3}}");
}

static void names_are_compared_without_their_escapes(void **state)
{
    (void)state;
    merges_to("{\"caf\\u00e9\":1}", "{\"caf\xc3\xa9\":2}", "{\"caf\xc3\xa9\":2}");
    merges_to("{\"a\":1}", "{\"\\u0061\":2}", "{\"\\u0061\":2}");
    merges_to("{\"a\\\"b\":1,\"\":2}", "{\"\":3,\"a\\u0022b\":4}", "{\"a\\u0022b\":4,\"\":3}");
}

static void of_repeated_members_the_last_counts(void **state)
{
    (void)state;
    merges_to("{\"a\":1}", "{\"a\":2,\"b\":1,\"a\":3,\"b\":2}", "{\"a\":3,\"b\":2}");
    merges_to("{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":4}", "{\"a\":4,\"b\":2}");
    merges_to("{\"a\":1,\"a\":3}", "{\"b\":4}", "{\"a\":1,\"a\":3,\"b\":4}");
}

/* With many members, in an order that is not sorted, against looking one after the other. */
static void many_members_are_found(void **state)
{
    (void)state;
    enum { COUNT = 700 };
    static char object[COUNT * 24], change[COUNT * 24], merged[COUNT * 24];
    size_t a = 0, b = 0, c = 0;
    object[a++] = change[b++] = merged[c++] = '{';
    for (int i = 0; i < COUNT; i++) {
        int n = i * 397 % COUNT; /* each once */
        a += (size_t)sprintf(object + a, "%s\"k%d\":%d", i ? "," : "", i, i);
        b += (size_t)sprintf(change + b, "%s\"k%d\":\"v%d\"", i ? "," : "", n, n);
        c += (size_t)sprintf(merged + c, "%s\"k%d\":\"v%d\"", i ? "," : "", i, i);
    }
    object[a] = change[b] = merged[c] = '}';
    merges_to(object, change, merged);
}

static void a_full_arena_is_said(void **state)
{
    (void)state;
    static const char object[] = "{\"a\":1}", change[] = "{\"\\u0062\":2,\"c\":3}";
    struct str out;
    bool was_enough = false;
    for (size_t left = 0; left < 400; left += 16) {
        struct arena small;
        assert_int_equal(arena_init(&small, 4096, 0), 0);
        assert_non_null(arena_alloc(&small, 4096 - left));
        int err = merge_fields(&small, str_of(object), str_of(change), &out);
        assert_true(err == 0 || (err == ERR_FULL && !was_enough));
        assert_true(err || left > 0);
        was_enough |= err == 0;
        arena_finish(&small);
    }
    assert_true(was_enough);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_members_replace_and_others_stay_as_they_are_written),
        cmocka_unit_test(new_members_come_behind_in_their_order),
        cmocka_unit_test(null_is_a_value_and_objects_are_not_merged_inside),
        cmocka_unit_test(names_are_compared_without_their_escapes),
        cmocka_unit_test(of_repeated_members_the_last_counts),
        cmocka_unit_test(many_members_are_found),
        cmocka_unit_test(a_full_arena_is_said),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
