/* query_tokens_test - a query is cut only where every piece means the same in any query. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "coordinator/query_tokens.h"

/* The tokens with a | behind each but the last, which has one where the end is not open; or "no". */
static void check(const char *text, bool plain, const char *want)
{
    struct query_tokens t;
    char got[256] = "no";
    if (query_tokens_cut(text, plain, &t)) {
        size_t at = 0;
        for (size_t i = 0; i < t.count; i++)
            at += (size_t)snprintf(got + at, sizeof got - at, "%.*s%s", (int)t.list[i].len, t.list[i].ptr,
                                   i + 1 < t.count || !t.open_end ? "|" : "");
    }
    if (strcmp(got, want) != 0)
        fail_msg("%s\n  gives  %s\n  wanted %s", text, got, want);
}

static void white_space_cuts(void **state)
{
    (void)state;
    for (int plain = 0; plain < 2; plain++) {
        check("linux", plain, "linux");
        check("linux kernel", plain, "linux|kernel");
        check(" \t\n\v\f\rlinux  kernel\n", plain, "linux|kernel|");
        check("foo-bar, u.s. x's", plain, "foo-bar,|u.s.|x's");
        check("", plain, "no");
        check(" \t", plain, "no");
    }
}

static void what_may_be_an_operator_stands_not_alone(void **state)
{
    (void)state;
    static const char *const marked[] = {"a \"b c\"", "a (b", "a b)", "title:a", "-a b", "a +b", "a AND b",
                                         "OR",        "NOT a", "a -",  "a\"b",    "x(y)"};
    for (size_t i = 0; i < sizeof marked / sizeof *marked; i++)
        check(marked[i], false, "no");
    check("a and b not ANDY", false, "a|and|b|not|ANDY");
    check("a \"b AND -c", true, "a|\"b|AND|-c");
}

static void plain_text_is_ascii(void **state)
{
    (void)state;
    check("gr\xc3\xb6\xc3\x9f" "e x", false, "gr\xc3\xb6\xc3\x9f" "e|x");
    check("gr\xc3\xb6\xc3\x9f" "e x", true, "no");
}

static void too_many_are_not_cut(void **state)
{
    (void)state;
    struct query_tokens t;
    char text[2 * QUERY_TOKENS_MOST + 3] = "";
    for (int i = 0; i < QUERY_TOKENS_MOST; i++)
        memcpy(text + strlen(text), "a ", 3);
    assert_true(query_tokens_cut(text, true, &t) && t.count == QUERY_TOKENS_MOST && !t.open_end);
    memcpy(text + strlen(text), "a", 2);
    assert_false(query_tokens_cut(text, true, &t));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(white_space_cuts),
        cmocka_unit_test(what_may_be_an_operator_stands_not_alone),
        cmocka_unit_test(plain_text_is_ascii),
        cmocka_unit_test(too_many_are_not_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
