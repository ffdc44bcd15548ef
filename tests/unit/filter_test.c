/* Filter expressions: what they mean for a document, and what is said of those that mean nothing. */
#include "index/filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/err.h"
#include "index/filter_value.h"

enum { MEMORY = 64 << 20 };

static struct arena arena, scratch;

static int set_up(void **state)
{
    (void)state;
    return arena_init(&arena, MEMORY, 0) || arena_init(&scratch, MEMORY, 0);
}

static int tear_down(void **state)
{
    (void)state;
    arena_finish(&arena);
    arena_finish(&scratch);
    return 0;
}

static bool matches(const char *filter, const char *document)
{
    struct filter *f;
    struct filter_error error;
    bool is_match;
    size_t mark = arena_mark(&arena);
    int err = filter_parse(&arena, str_of(filter), &f, &error);
    if (err)
        fail_msg("%s: %s", filter, error.message);
    assert_int_equal(filter_matches(f, &scratch, str_of(document), &is_match), 0);
    arena_rewind(&arena, mark);
    return is_match;
}

static void yes(const char *filter, const char *document)
{
    if (!matches(filter, document))
        fail_msg("%s does not match %s", filter, document);
}

static void no(const char *filter, const char *document)
{
    if (matches(filter, document))
        fail_msg("%s matches %s", filter, document);
}

/* The message begins with the place and contains the words. */
static void wrong(const char *filter, size_t character, const char *words)
{
    struct filter *f;
    struct filter_error error;
    char place[40];
    size_t mark = arena_mark(&arena);
    assert_int_equal(filter_parse(&arena, str_of(filter), &f, &error), ERR_INVALID);
    snprintf(place, sizeof place, "character %zu of the filter: ", character);
    if (strncmp(error.message, place, strlen(place)) != 0 || !strstr(error.message, words))
        fail_msg("%s: %s", filter, error.message);
    arena_rewind(&arena, mark);
}

/* ------------------------------------------------------------------------------------------------------- conditions */

static void values_are_equal_within_their_type_only(void **state)
{
    (void)state;
    static const char d[] = "{\"n\":1999,\"s\":\"1999\",\"t\":true,\"f\":false,\"z\":null,\"e\":\"\",\"w\":\"Dune\"}";
    yes("n = 1999", d), yes("n = 1999.0", d), yes("n = 1.999e3", d), no("n = \"1999\"", d), no("n = 1998", d);
    yes("s = '1999'", d), no("s = 1999", d);
    yes("t = true", d), no("t = false", d), no("t = 'true'", d), yes("f = false", d);
    yes("w = Dune", d), yes("w = \"Dune\"", d), no("w = dune", d), no("w = Dun", d);
    yes("e = ''", d), no("z = ''", d), no("absent = 1", d);
    yes("n!=1998", d), no("n != 1999", d), yes("absent != 1", d), yes("z != 1", d);
}

static void order_is_of_numbers_or_of_strings(void **state)
{
    (void)state;
    static const char d[] = "{\"n\":10,\"r\":-2.5,\"s\":\"m\",\"t\":true}";
    yes("n > 9.5", d), no("n > 10", d), yes("n >= 10", d), no("n >= 10.5", d);
    yes("n < 10.5", d), no("n < 10", d), yes("n <= 10", d), yes("r < -2", d), no("r < -3", d);
    yes("s > a", d), no("s > z", d), yes("s <= 'm'", d), no("s > 1", d), no("n > a", d), no("t > 0", d);
    yes("n 1 TO 10", d), yes("n 10 TO 20", d), no("n 11 TO 20", d), no("n 10 TO 9", d), yes("s a TO m", d);
    yes("NOT n 11 TO 20", d);
}

static void large_integers_are_compared_exactly(void **state)
{
    (void)state;
    static const char d[] = "{\"n\":9007199254740993,\"m\":9223372036854775807,\"x\":1e300,\"l\":-9223372036854775808}";
    yes("n = 9007199254740993", d), no("n = 9007199254740992", d), yes("n > 9007199254740992", d);
    no("n = 9007199254740992.0", d), yes("n > 9007199254740992.0", d), no("m = 9223372036854775808", d);
    yes("m < 9223372036854775808", d), yes("x > 9223372036854775807", d), yes("l >= -9223372036854775808.0", d);
    yes("l > -1e300", d), yes("x > m OR x > 5", d);
}

static void lists(void **state)
{
    (void)state;
    static const char d[] = "{\"n\":3,\"s\":\"b\",\"t\":true}";
    yes("n IN [5,3, 1]", d), no("n IN [5, 1]", d), no("n IN []", d), yes("n NOT IN []", d), yes("n NOT IN [4]", d);
    yes("s IN [c, 'b', \"a\"]", d), no("s IN [3, true]", d), yes("t IN [1, x, true]", d), yes("n IN [3,]", d);
    yes("absent NOT IN [1]", d);
}

static void words_for_what_is_there(void **state)
{
    (void)state;
    static const char d[] = "{\"z\":null,\"e\":\"\",\"a\":[],\"o\":{},\"v\":0,\"l\":[null,1],\"w\":{\"x\":1}}";
    yes("z EXISTS", d), yes("w EXISTS", d), yes("w.x EXISTS", d), no("w.y EXISTS", d), no("x EXISTS", d);
    yes("absent NOT EXISTS", d), no("a NOT EXISTS", d);
    yes("z IS NULL", d), no("e IS NULL", d), no("absent IS NULL", d), yes("l IS NULL", d), yes("v IS NOT NULL", d);
    yes("e IS EMPTY", d), yes("a IS EMPTY", d), yes("o IS EMPTY", d), no("z IS EMPTY", d), no("w IS EMPTY", d);
    no("l IS EMPTY", d), no("v IS EMPTY", d), yes("v IS NOT EMPTY", d), yes("absent IS NOT EMPTY", d);
}

static void parts_of_strings(void **state)
{
    (void)state;
    static const char d[] = "{\"s\":\"the water \\u00e9t\\u00e9\",\"n\":1234}";
    yes("s STARTS WITH the", d), yes("s STARTS WITH 'the w'", d), no("s STARTS WITH water", d), yes("s STARTS WITH ''", d);
    yes("s CONTAINS water", d), yes("s CONTAINS '\xc3\xa9t\xc3\xa9'", d), no("s CONTAINS fire", d), no("s CONTAINS Water", d);
    no("n CONTAINS 23", d), yes("s NOT CONTAINS 23", d), yes("s NOT STARTS WITH water", d), no("s NOT CONTAINS er", d);
}

/* ------------------------------------------------------------------------------------------------------------ paths */

static void fields_are_paths_through_objects_and_arrays(void **state)
{
    (void)state;
    static const char d[] = "{\"a\":[1,{\"b\":[2,{\"c\":3}]},4],\"a b\":5,\"n\\\"\":6,\"x\":{\"y\":{\"z\":7}},\"last\":8}";
    yes("a = 1 AND a = 4", d), yes("a.b = 2", d), yes("a.b.c = 3", d), no("a = 2", d), no("b = 2", d);
    yes("'a b' = 5", d), yes("\"n\\\"\" = 6", d), yes("x.y.z = 7", d), no("x.y = 7", d), yes("last = 8", d);
    yes("a > 3", d), no("a 2 TO 3", d);
    yes("'IN' = 1", "{\"IN\":1}"), yes("caf\xc3\xa9 = 1", "{\"caf\\u00e9\":1}"), yes("a-b/c = 1", "{\"a-b/c\":1}");
    yes("a = 2", "{\"a\":1,\"a\":2}"); /* as a search sees it */
}

static void paths_longer_than_any_field_match_none(void **state)
{
    (void)state;
    char *document = malloc(8000), *at = document;
    at += sprintf(at, "{\"%01500d\":{\"b\":1},\"c\":{\"%01022d\":{\"d\":2}},\"e\":3}", 7, 7);
    yes("e = 3", document), no("b = 1", document), no("d = 2", document), no("c = 2", document);
    free(document);
}

/* --------------------------------------------------------------------------------------------------------- together */

static void not_binds_closest_and_or_least(void **state)
{
    (void)state;
    static const char d[] = "{\"a\":1,\"b\":2}";
    yes("a = 1 OR a = 2 AND b = 3", d), no("(a = 1 OR a = 2) AND b = 3", d);
    yes("NOT a = 2 AND b = 2", d), no("NOT (a = 1 AND b = 2)", d), yes("NOT NOT a = 1", d);
    yes("a = 9 OR a = 8 OR b = 2", d), no("a = 1 AND b = 2 AND a = 2", d), yes("((((a = 1))))", d);
    yes("\n\ta=1\r\nAND(b=2)OR(a=7)", d);
}

static void many_conditions_and_values_are_taken(void **state)
{
    (void)state;
    char *text = malloc(FILTER_MAX_TEXT + 100), *at = text;
    for (int i = 0; i < FILTER_MAX_CONDITIONS; i++)
        at += sprintf(at, "%sf%d = %d", i ? " OR " : "", i, i);
    yes(text, "{\"f255\":255}"), no(text, "{\"f255\":254}");
    sprintf(at, " OR x = 1");
    wrong(text, (size_t)(at - text) + 5, "more than 256 conditions");
    at = text + sprintf(text, "a IN [");
    for (int i = 0; i < 10000; i++)
        at += sprintf(at, "%d,", i * 7919 % 10007);
    sprintf(at, "]");
    yes(text, "{\"a\":7919}"), no(text, "{\"a\":10008}");
    free(text);
}

/* ------------------------------------------------------------------------------------------------------------ wrong */

static void what_is_wrong_is_said_with_its_place(void **state)
{
    (void)state;
    wrong("", 1, "expected a field, NOT or (, but the filter ends");
    wrong("a", 2, "expected =, !=, <");
    wrong("a =", 4, "expected a value, but the filter ends");
    wrong("a = AND", 5, "expected a value (a keyword as a value is quoted), found AND");
    wrong("a = null", 5, "FIELD IS NULL");
    wrong("a = 1 and b = 2", 7, "expected AND, OR or the end, found and");
    wrong("a = 1 b", 7, "expected AND, OR or the end, found b");
    wrong("a == 1", 4, "expected a value, found =");
    wrong("(a = 1", 7, "expected AND, OR or ), but the filter ends");
    wrong("a = 1)", 6, "found )");
    wrong("a IN 1", 6, "expected [");
    wrong("a IN [1 2]", 9, "expected a comma or ], found 2");
    wrong("a IN [1", 8, "expected a comma or ]");
    wrong("a < true", 5, "expected a number or a string, found true");
    wrong("a 1 TO", 7, "expected a value");
    wrong("a 1 TO x", 8, "expected a number");
    wrong("a x TO 1", 8, "expected a string");
    wrong("a IS", 5, "expected NULL, EMPTY or NOT");
    wrong("a IS NOT 1", 10, "expected NULL or EMPTY, found 1");
    wrong("a STARTS x", 10, "expected WITH");
    wrong("a NOT = 1", 7, "expected IN, EXISTS, CONTAINS or STARTS WITH");
    wrong("caf\xc3\xa9 = 'x", 8, "this quote is not closed");
    wrong("a = 'x\\'", 5, "this quote is not closed");
    wrong("a ! b", 3, "this character means nothing here");
    wrong("'' = 1", 1, "a field has");
    wrong("a = \xff", 5, "not UTF-8");
    wrong("OR a = 1", 1, "expected a field, NOT or (, found OR");
    wrong("_geoRadius(1, 2, 3)", 1, "_geoRadius is not available");
}

static void depth_and_length_are_bounded(void **state)
{
    (void)state;
    char text[FILTER_MAX_TEXT + 2];
    memset(text, '(', 63);
    strcpy(text + 63, "a=1");
    memset(text + 66, ')', 63);
    text[129] = 0;
    yes(text, "{\"a\":1}");
    memset(text, '(', 64);
    wrong(text, 65, "nested deeper than 64 levels");
    for (int i = 0; i < 70; i++)
        memcpy(text + 4 * i, "NOT ", 5);
    wrong(text, 257, "nested deeper");
    memset(text, ' ', sizeof text);
    struct filter *f;
    struct filter_error error;
    assert_int_equal(filter_parse(&arena, (struct str){text, FILTER_MAX_TEXT + 1}, &f, &error), ERR_INVALID);
    assert_non_null(strstr(error.message, "at most 65536 bytes"));
}

static void memory_that_ends_is_said(void **state)
{
    (void)state;
    static const char text[] = "a IN [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18] AND NOT b = 'x\\'y' OR c STARTS WITH z";
    bool was_enough = false;
    for (size_t cap = 4096; cap < (256 << 10) && !was_enough; cap += 4096) {
        struct arena small;
        struct filter *f;
        struct filter_error error;
        assert_int_equal(arena_init(&small, cap, 0), 0);
        int err = filter_parse(&small, str_of(text), &f, &error);
        assert_true(err == 0 || err == ERR_FULL);
        was_enough = err == 0;
        assert_true(!was_enough || cap > 4096);
        arena_finish(&small);
    }
    assert_true(was_enough);
}

static void what_is_no_json_is_damage(void **state)
{
    (void)state;
    struct filter *f;
    struct filter_error error;
    bool is_match;
    assert_int_equal(filter_parse(&arena, STR("a = 1"), &f, &error), 0);
    assert_int_equal(filter_matches(f, &scratch, STR("{\"a\":"), &is_match), ERR_CORRUPT);
    assert_int_equal(filter_matches(f, &scratch, STR("{\"a\":1}"), &is_match), 0);
    assert_true(is_match);
    assert_int_equal(filter_matches(f, &scratch, STR("{\"a\":2}"), &is_match), 0);
    assert_false(is_match); /* nothing is left of the one before */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_equal_within_their_type_only),
        cmocka_unit_test(order_is_of_numbers_or_of_strings),
        cmocka_unit_test(large_integers_are_compared_exactly),
        cmocka_unit_test(lists),
        cmocka_unit_test(words_for_what_is_there),
        cmocka_unit_test(parts_of_strings),
        cmocka_unit_test(fields_are_paths_through_objects_and_arrays),
        cmocka_unit_test(paths_longer_than_any_field_match_none),
        cmocka_unit_test(not_binds_closest_and_or_least),
        cmocka_unit_test(many_conditions_and_values_are_taken),
        cmocka_unit_test(what_is_wrong_is_said_with_its_place),
        cmocka_unit_test(depth_and_length_are_bounded),
        cmocka_unit_test(memory_that_ends_is_said),
        cmocka_unit_test(what_is_no_json_is_damage),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
