#include "common/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

#include "common/err.h"

enum { MIB = 1 << 20 };

static int parse_code(struct str text, size_t cap)
{
    struct arena a;
    struct json *root = NULL;
    assert_int_equal(arena_init(&a, cap, 0), 0);
    int err = json_tree(&a, text, &root, NULL);
    arena_finish(&a);
    return err;
}

static void accepts_and_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int err;
    } cases[] = {
        {"{}", 0},
        {" [1, 2.5e3, -0, \"a\\u0000b\", null, true, false, {\"a\": []}] ", 0},
        {"\"\\ud83d\\ude00\"", 0},
        {"", ERR_CORRUPT},
        {" ", ERR_CORRUPT},
        {"{} {}", ERR_CORRUPT},
        {"[1,]", ERR_CORRUPT},
        {"{\"a\":1,}", ERR_CORRUPT},
        {"{\"a\" 1}", ERR_CORRUPT},
        {"[01]", ERR_CORRUPT},
        {"\"\xff\"", ERR_CORRUPT},
        {"\"a\nb\"", ERR_CORRUPT},
        {"[1] // no comments", ERR_CORRUPT},
        {"nul", ERR_CORRUPT},
        {"[", ERR_CORRUPT},
        {"{} \"unfinished", ERR_CORRUPT},
        {"{} nul", ERR_CORRUPT},
        {"[] -", ERR_CORRUPT},
        {"\"a\" \"", ERR_CORRUPT},
        {"1 2", ERR_CORRUPT},
        {"1 ", 0},
        {"12", 0},
        {"true\n", 0},
        {"\"\\ud83d\"", ERR_CORRUPT},
        {"\"\\ude00\\ud83d\"", ERR_CORRUPT},
        {"\"\\\\ud83d\"", 0},
        {"\"\xc0\xaf\"", ERR_CORRUPT},
        {"\"\xed\xa0\x80\"", ERR_CORRUPT},
        {"\"\xf4\x90\x80\x80\"", ERR_CORRUPT},
        {"\xef\xbb\xbf{}", ERR_CORRUPT},
        {"[-]", ERR_CORRUPT},
        {"[1.]", ERR_CORRUPT},
        {"[1e+]", ERR_CORRUPT},
        {"[.5]", ERR_CORRUPT},
        {"[-0.5E-07, 10e0]", 0},
        {"{1: 2}", ERR_CORRUPT},
        {"[1}", ERR_CORRUPT},
        {"{\"a\": 1]", ERR_CORRUPT},
        {"[truex]", ERR_CORRUPT},
        {"\"\\", ERR_CORRUPT},
        {"\"\\u12", ERR_CORRUPT},
        {"\"\\u0041\\b\\f\\r\\t\\/\"", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int err = parse_code(str_of(cases[i].text), MIB);
        if (err != cases[i].err)
            fail_msg("%s gave %s", cases[i].text, err_str(err));
    }
}

/* Every byte at every place of a string, the sixteen at once that are looked at and what is left behind them. */
static void sees_each_byte_of_a_string(void **state)
{
    (void)state;
    char text[48];
    for (size_t size = 3; size < sizeof text; size += 6)
        for (size_t at = 1; at < size - 1; at++)
            for (int byte = 0; byte < 256; byte++) {
                memset(text, 'a', size);
                text[0] = text[size - 1] = '"';
                text[at] = (char)byte;
                bool plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
                bool escape = byte == '\\' && at == size - 2; /* of the end */
                if (byte == '\\' && !escape)
                    continue; /* "\a" is refused, and met elsewhere */
                int err = parse_code((struct str){text, size}, 4096);
                if (err != (plain ? 0 : ERR_CORRUPT))
                    fail_msg("byte %d at %zu of %zu gave %s", byte, at, size, err_str(err));
            }
}

/* At the byte, or behind the one that made it sure. */
static void says_where_it_goes_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t offset;
    } cases[] = {
        {"[1, 2,, 3]", 6}, {"{\"a\" 1}", 5}, {"[\"ab\nc\"]", 4}, {"[\"ab\\x\"]", 5}, {"{} x", 3}, {"[1", 2}, {"[01]", 2},
    };
    static const struct json_events none = {0};
    struct arena a;
    assert_int_equal(arena_init(&a, MIB, 0), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct json_error error;
        assert_int_equal(json_parse(&a, str_of(cases[i].text), &none, NULL, &error), ERR_CORRUPT);
        if (error.offset != cases[i].offset && error.offset != cases[i].offset + 1)
            fail_msg("%s: %s at %zu", cases[i].text, error.message, error.offset);
    }
    arena_finish(&a);
}

static void refuses_what_is_too_deep(void **state)
{
    (void)state;
    char text[2 * 200];
    memset(text, '[', 200);
    memset(text + 200, ']', 200);
    assert_int_equal(parse_code((struct str){text, 400}, MIB), ERR_TOO_LARGE);
    assert_int_equal(parse_code((struct str){text + 200 - JSON_MAX_DEPTH, 2 * JSON_MAX_DEPTH}, MIB), 0);
}

static void says_full_when_the_arena_is(void **state)
{
    (void)state;
    static char text[300000];
    size_t at = 0;
    text[at++] = '[';
    while (at < sizeof text - 4) {
        memcpy(text + at, "\"\\n\",", 5);
        at += 5;
    }
    text[at - 1] = ']';
    assert_int_equal(parse_code((struct str){text, at}, MIB / 4), ERR_FULL);
    assert_int_equal(parse_code((struct str){text, at}, 64 * MIB), 0);
    for (size_t cap = 4096; cap < 40000; cap += 4096)
        assert_int_equal(parse_code((struct str){text, at}, cap), ERR_FULL);
}

static void builds_a_tree_in_order(void **state)
{
    (void)state;
    struct arena a;
    struct json *root;
    int64_t number;
    assert_int_equal(arena_init(&a, MIB, 0), 0);
    struct str text =
        STR("{\"a\": [1, {\"b\": \"c\"}], \"n\": -9223372036854775808, \"a2\": 9223372036854775808, \"n\": 7}");
    assert_int_equal(json_tree(&a, text, &root, NULL), 0);
    const struct json *list = json_member(root, "a");
    assert_int_equal(list->type, JSON_ARRAY);
    assert_true(json_int(list->first, &number));
    assert_int_equal(number, 1);
    assert_true(str_equal(json_member(list->first->next, "b")->text, STR("c")));
    assert_true(json_int(json_member(root, "n"), &number));
    assert_int_equal(number, 7);
    assert_false(json_int(json_member(root, "a2"), &number));
    assert_null(json_member(root, "missing"));
    arena_finish(&a);
}

static void finds_a_member_without_parsing(void **state)
{
    (void)state;
    static const struct {
        const char *object, *value;
        bool quoted;
    } cases[] = {
        {"{\"id\":1}", "1", false},
        {" { \"x\" : {\"id\": 5, \"y\": [\"}\"]} , \"id\" : \"a\\\"b\" }", "a\\\"b", true},
        {"{\"id\": 1, \"id\": 2}", "2", false},
        {"{\"x\": \"id\", \"id\": -3.5e1}", "-3.5e1", false},
        {"{\"x\": \"\\\\\\\"\\\"\\\\\", \"id\": \"\\\\\"}", "\\\\", true}, /* escaped backslashes and quotes in turn */
        {"{\"x\": \"\", \"id\": \"\"}", "", true},
        {"{\"id\": \"a\\\"", NULL, false},
        {"{\"x\": 1}", NULL, false},
        {"{\"id\": null}", NULL, false},
        {"[\"id\"]", NULL, false},
        {"{\"id\": \"unterminated", NULL, false},
        {"{\"id\": 1, \"x\": {\"y\": 2}", NULL, false},
        {"{\"id\": 1} {", NULL, false},
        {"{\"id\": 1, ", NULL, false},
        {"", NULL, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str raw;
        bool quoted;
        bool found = json_scan_member(str_of(cases[i].object), STR("id"), &raw, &quoted);
        if (found != (cases[i].value != NULL))
            fail_msg("%s", cases[i].object);
        if (found) {
            assert_true(str_equal(raw, str_of(cases[i].value)));
            assert_int_equal(quoted, cases[i].quoted);
        }
    }
}

static void undoes_escapes(void **state)
{
    (void)state;
    struct arena a;
    assert_int_equal(arena_init(&a, MIB, 0), 0);
    struct str plain = json_unescape(&a, STR("a\\\"\\\\\\/\\n\\u00e9\\ud83d\\ude00z"));
    assert_true(str_equal(plain, STR("a\"\\/\n\xc3\xa9\xf0\x9f\x98\x80z")));
    assert_null(json_unescape(&a, STR("\\x")).ptr);
    assert_null(json_unescape(&a, STR("\\ud83d")).ptr);
    assert_null(json_unescape(&a, STR("\\u12")).ptr);
    assert_null(json_unescape(&a, STR("\\")).ptr);
    arena_finish(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_and_refuses),
        cmocka_unit_test(sees_each_byte_of_a_string),
        cmocka_unit_test(says_where_it_goes_wrong),
        cmocka_unit_test(refuses_what_is_too_deep),
        cmocka_unit_test(says_full_when_the_arena_is),
        cmocka_unit_test(builds_a_tree_in_order),
        cmocka_unit_test(finds_a_member_without_parsing),
        cmocka_unit_test(undoes_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
