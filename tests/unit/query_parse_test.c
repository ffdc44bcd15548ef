#include "index/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/err.h"
#include "index/query_tree.h"
#include "plain_analyzer.h"

/* ------------------------------------------------------------------------------------- a query written out, to compare
 */

static void write_leaf(struct buf *out, const struct query *q, const struct tree_leaf *leaf)
{
    if (leaf->field.len > 0)
        buf_printf(out, "%.*s:", (int)leaf->field.len, leaf->field.ptr);
    const char *quote = leaf->element_count > 1 ? "\"" : "";
    buf_printf(out, "%s", quote);
    for (size_t i = 0; i < leaf->element_count; i++) {
        const struct tree_element *e = &leaf->elements[i];
        assert_int_equal(e->key.ptr[0], 's');
        assert_int_equal(e->word == NO_WORD, !leaf->scored);
        buf_printf(out, "%s%.*s", i ? " " : "", (int)e->key.len - 1, e->key.ptr + 1);
        assert_int_equal(e->offset, i);
        if (leaf->scored && q->words[e->word].prefix)
            buf_printf(out, "*");
    }
    buf_printf(out, "%s", quote);
}

static void write_node(struct buf *out, const struct query *q, const struct tree_node *n)
{
    static const char *const names[] = {[NODE_AND] = "(and", [NODE_OR] = "(or", [NODE_NOT] = "(not"};
    if (n->kind == NODE_LEAF) {
        write_leaf(out, q, &q->leaves[n->leaf]);
        return;
    }
    buf_printf(out, "%s", names[n->kind]);
    for (const struct tree_node *child = n->first; child; child = child->next) {
        buf_printf(out, " ");
        write_node(out, q, child);
    }
    buf_printf(out, ")");
}

/* Items, required ones with a +, excluded ones with a -; then a | and the words that stand more than once. */
static void write_query(struct buf *out, const struct query *q)
{
    static const char *const roles[] = {[ITEM_DROPPABLE] = "", [ITEM_REQUIRED] = "+", [ITEM_EXCLUDED] = "-"};
    for (size_t i = 0; i < q->item_count; i++) {
        buf_printf(out, "%s%s", i ? " " : "", roles[q->items[i].role]);
        write_node(out, q, q->items[i].node);
    }
    if (q->everything)
        buf_printf(out, " everything");
    for (size_t i = 0; i < q->word_count; i++) {
        const struct tree_word *w = &q->words[i];
        if (w->count > 1)
            buf_printf(out, " | %.*s %u", (int)w->key.len - 1, w->key.ptr + 1, w->count);
    }
}

/* The words that it counts, those that may be misspelt with a ~. */
static void write_words(struct buf *out, const struct query *q)
{
    for (size_t i = 0; i < q->word_count; i++) {
        const struct tree_word *w = &q->words[i];
        buf_printf(out, "%s%.*s%s", i ? " " : "", (int)w->folded.len, w->folded.ptr, w->typos ? "~" : "");
    }
}

/* How many words each token adds; a - where they do not stand alone. */
static void write_tokens(struct buf *out, const struct query *q)
{
    size_t count;
    const uint32_t *words = query_token_words(q, &count);
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "%u", words[i]);
    if (!words)
        buf_printf(out, "-");
}

struct row {
    const char *text, *want;
};

typedef void writer(struct buf *out, const struct query *q);

static void check_rows(const struct row *rows, size_t count, struct query_options options, writer *write)
{
    struct analyzer analyzer;
    struct arena arena;
    assert_int_equal(arena_init(&analyzer.words, 1 << 20, 0), 0);
    assert_int_equal(arena_init(&arena, 1 << 20, 0), 0);
    for (size_t i = 0; i < count; i++) {
        struct query *q;
        struct buf out = {0};
        assert_int_equal(query_parse(&arena, &analyzer, str_of(rows[i].text), &options, &q), 0);
        write(&out, q);
        buf_append(&out, "", 1);
        if (strcmp(out.data, rows[i].want) != 0)
            fail_msg("%s\n  gives  %s\n  wanted %s", rows[i].text, out.data, rows[i].want);
        buf_finish(&out);
        arena_reset(&arena, 0);
    }
    arena_finish(&arena);
    arena_finish(&analyzer.words);
}

#define CHECK(rows, ...)                                                                                               \
    check_rows(rows, sizeof rows / sizeof *rows, (struct query_options){__VA_ARGS__}, write_query)
#define CHECK_WORDS(rows, ...)                                                                                         \
    check_rows(rows, sizeof rows / sizeof *rows, (struct query_options){__VA_ARGS__}, write_words)

#define CHECK_TOKENS(rows, ...)                                                                                        \
    check_rows(rows, sizeof rows / sizeof *rows, (struct query_options){__VA_ARGS__}, write_tokens)

static void tokens_that_stand_alone_are_told(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"linux kernel", "11"},
        {"the linux  kernel ", "011"},
        {"foo-bar,baz ! x", "301"},
        {"cat cat", "11"}, /* a word, and a prefix */
        {"cat cats ", "-"},
        {"linux !", "-"}, /* the prefix */
        {"linux the", "-"},
        {"the and", "-"}, /* nothing else: they count */
        {"", "-"},
        {"!", "-"},
    };
    static const struct row marked[] = {
        {"a \"b c\"", "-"}, {"a -b", "-"}, {"a +b", "-"}, {"a x:b", "-"}, {"a AND b", "-"}, {"(a b) c", "-"}, {"NOT a", "-"},
    };
    static const struct row plain[] = {
        {"a \"b c\"", "111"}, {"a -b", "11"}, {"a x:b", "12"}, {"x \xe6\xbc\xa2\xe5\xad\x97", "-"},
    };
    CHECK_TOKENS(rows, .match = MATCH_LAST);
    CHECK_TOKENS(rows, .match = MATCH_ANY, .plain_words = true);
    CHECK_TOKENS(marked, .match = MATCH_LAST);
    CHECK_TOKENS(plain, .match = MATCH_LAST, .plain_words = true);
}

static void words_stand_side_by_side(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"linux kernel", "linux kernel*"},
        {"linux kernel ", "linux kernel"},
        {"Cats and dogs", "cat dog*"},
        {"cats cat CATS x", "cat cat cat x* | cat 3"},
        {"cat cat", "cat cat*"}, /* the last one is a prefix, and so another */
        {"foo-bar,baz", "foo bar baz*"},
        {"12:30 http://x std::vector re: y", "12 30 http x std vector re y*"},
        {"a - b + c", "a b c*"},
        {"c++ d# -", "c d"},
        {"", " everything"},
        {" \t\n", " everything"},
        {"!!! ...", ""},
    };
    CHECK(rows, .match = MATCH_LAST);
}

static void signs_and_operators_bind(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"+a b", "+a b*"},
        {"-a b", "-a b*"},
        {"a -b", "a -b"},
        {"a AND b c", "+a +b c*"},
        {"a OR b c", "+(or a b) c*"},
        {"a OR b", "+(or a b*)"},
        {"a AND b OR c AND d ", "+(or (and a b) (and c d))"},
        {"a NOT b c", "a -b c*"},
        {"a AND NOT b", "+a -b"},
        {"a OR NOT b", "+(or a (not b))"},
        {"NOT NOT a", "+a*"},
        {"NOT -a ", "+a"},
        {"foo-bar AND x ", "+\"foo bar\" +x"},
        {"-foo-bar x ", "-\"foo bar\" x"},
        {"+\xe5\x85\xa8\xe6\x96\x87 x ", "+\"\xe5\x85\xa8 \xe6\x96\x87\" x"},
        {"\xe5\x85\xa8\xe6\x96\x87 x ", "\xe5\x85\xa8 \xe6\x96\x87 x"},
        {"a and b or c ", "a b c"},
        {"-a", "-a everything"},
        {"-a -(b c)", "-a -(and b c) everything"},
    };
    CHECK(rows, .match = MATCH_LAST);
}

static void operators_without_operands_are_text(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"AND a ", "a"},      {"a OR", "a"},
        {"a OR )", "a"},      {"OR", "or*"},
        {"NOT", "not*"},      {"a AND OR b ", "+a b"},
        {"a AND ... ", "+a"}, {"(a OR) b ", "+a b"},
        {"a NOT ", "a"},      {"NOT AND ", "-and everything"},
    };
    CHECK(rows, .match = MATCH_LAST);
}

static void groups_nest(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"(a b) c ", "+a +b c"},
        {"(a) b ", "+a b"},
        {"(a OR b) AND (c OR d) ", "+(or a b) +(or c d)"},
        {"-(a OR b) c ", "-(or a b) c"},
        {"(a -b) c ", "+a -b c"},
        {"NOT(a OR b) c ", "-(or a b) c"},
        {"((a))", "+a"},
        {"() a ", "a"},
        {"f(x) y ", "f x y"},
        {"(f(x) y) z ", "+f +x +y z"},
        {"(a OR b", "+(or a b*)"},
        {"a) b ", "a b"},
        {"-(a b ", "a b"},
        {"a (b)", "a +b"},
    };
    CHECK(rows, .match = MATCH_LAST);
}

static void phrases_and_fields_are_leaves(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"\"new york\" city", "+\"new york\" city*"},
        {"\"new york", "new york*"},
        {"-\"new york\" x ", "-\"new york\" x"},
        {"-\"new york x ", "new york x"},
        {"\"to be or not to be\"", "+\"to be or not to be\" | to 2 | be 2"},
        {"cat \"cat cat\" cat ", "cat +\"cat cat\" cat | cat 2 | cat 2"},
        {"\"\" a ", "a"},
        {"title:cats cat", "+title:cat cat*"},
        {"title:cats title:cat cat ", "+title:cat +title:cat cat | cat 2"},
        {"title:\"new york\" -body:x y ", "+title:\"new york\" -body:x y"},
        {"title:(a b OR c) d ", "+title:a +(or title:b title:c) d"},
        {"title:a", "+title:a"},
        {"author.name:a ", "+author.name:a"},
        {"title:foo-bar ", "+title:\"foo bar\""},
        {"\"a\"b ", "+a b"},
    };
    CHECK(rows, .match = MATCH_LAST);
}

static void stop_words_count_when_marked_or_alone(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"the cat of ", "cat"},
        {"+the cat ", "+the cat"},
        {"\"the\" cat ", "+the cat"},
        {"-the cat ", "-the cat"},
        {"to be or not to be", "to be or not to be* | to 2"},
        {"the -cat", "the -cat"},
        {"the OR cat ", "+cat"},
        {"cats NOT the dogs ", "cat dog"},
        {"the OR of ", "+(or the of)"},
        {"title:the cat ", "cat"},
    };
    CHECK(rows, .match = MATCH_LAST);
}

static void plain_words_have_no_operators(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"a AND \"b c\" -d (e) title:f", "a b c d e title f*"},
        {"the cat", "cat*"},
        {"the", "the*"},
        {"", " everything"},
        {"?!", ""},
    };
    CHECK(rows, .match = MATCH_ANY, .plain_words = true);
    static const struct row complete[] = {{"a b", "a b"}};
    CHECK(complete, .match = MATCH_ANY, .plain_words = true, .no_prefix = true);
    CHECK(complete, .match = MATCH_ALL, .no_prefix = true);
}

static void words_may_be_misspelt_unless_they_are_meant_literally(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"cats dogs", "cats~ dogs~"},
        {"foo-bar ", "foo~ bar~"},
        {"+cats (dogs OR (mice birds)) ", "cats~ dogs~ mice~ birds~"},
        {"-cats dogs NOT mice ", "dogs~"},
        {"\"cats\" dogs ", "cats dogs~"},
        {"cats \"cat\" ", "cats"}, /* one word, stands twice */
        {"\"cat\" cats ", "cat"},
        {"\"cats dogs\" cats ", "cats dogs cats~"},
        {"+foo-bar cats ", "foo bar cats~"},
        {"title:cats cats title:(dogs mice) ", "cats cats~ dogs mice"},
    };
    static const struct row plain[] = {{"title:cats \"dogs\"", "title~ cats~ dogs~"}};
    static const struct row none[] = {{"cats (dogs mice) ", "cats dogs mice"}};
    CHECK_WORDS(rows, .match = MATCH_LAST);
    CHECK_WORDS(plain, .match = MATCH_ANY, .plain_words = true);
    CHECK_WORDS(none, .match = MATCH_LAST, .no_typos = true);
}

/* ------------------------------------------------------------------------------------------------------- hostile
 * queries */

static int parse_repeated(const char *piece, size_t times, size_t cap)
{
    struct analyzer analyzer;
    struct arena arena;
    struct query *q;
    struct buf text = {0};
    assert_int_equal(arena_init(&analyzer.words, 1 << 20, 0), 0);
    assert_int_equal(arena_init(&arena, cap, 0), 0);
    for (size_t i = 0; i < times; i++)
        buf_append_str(&text, str_of(piece));
    struct query_options options = {.match = MATCH_LAST};
    uint64_t begin = clock_us();
    int err = query_parse(&arena, &analyzer, (struct str){text.data, text.len}, &options, &q);
    assert_true(clock_us() - begin < 20 * 1000 * 1000);
    buf_finish(&text);
    arena_finish(&arena);
    arena_finish(&analyzer.words);
    return err;
}

static void a_megabyte_of_anything_is_parsed_or_refused(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "(",  ")",    "()",  ")(",   "((a", "-(",  "\"",   "\"\"",   " \"",  "-",   "+",
        " -", "NOT ", "OR ", "AND ", "a:",  "a:(", "a:\"", "(a OR ", "\xff", "-a:", " ( ) "};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        int err = parse_repeated(pieces[i], (1 << 20) / strlen(pieces[i]), 64 << 20);
        assert_true(err == 0 || err == ERR_TOO_LARGE);
    }
}

static void too_many_words_are_refused(void **state)
{
    (void)state;
    assert_int_equal(parse_repeated("word ", QUERY_MAX_WORDS, 64 << 20), 0);
    assert_int_equal(parse_repeated("word ", QUERY_MAX_WORDS + 1, 64 << 20), ERR_TOO_LARGE);
    assert_int_equal(parse_repeated("word ", 100000, 64 << 20), ERR_TOO_LARGE);
    assert_int_equal(parse_repeated("a OR ", 100000, 64 << 20), ERR_TOO_LARGE);
}

static void a_small_arena_refuses(void **state)
{
    (void)state;
    assert_int_equal(parse_repeated("( ", 100000, 1 << 16), ERR_FULL);
    assert_int_equal(parse_repeated("word ", 1000, 1 << 14), ERR_FULL);
}

static void groups_deeper_than_the_limit_are_text(void **state)
{
    (void)state;
    char text[400];
    for (size_t depth = 60; depth < 70; depth++) {
        struct buf query = {0};
        for (size_t i = 0; i < depth; i++)
            buf_printf(&query, "(");
        buf_printf(&query, "a");
        for (size_t i = 0; i < depth; i++)
            buf_printf(&query, ")");
        buf_printf(&query, " b ");
        buf_append(&query, "", 1);
        assert_true(query.len < sizeof text);
        struct row row = {query.data, "+a b"};
        check_rows(&row, 1, (struct query_options){.match = MATCH_LAST}, write_query);
        buf_finish(&query);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_stand_side_by_side),
        cmocka_unit_test(tokens_that_stand_alone_are_told),
        cmocka_unit_test(signs_and_operators_bind),
        cmocka_unit_test(operators_without_operands_are_text),
        cmocka_unit_test(groups_nest),
        cmocka_unit_test(phrases_and_fields_are_leaves),
        cmocka_unit_test(stop_words_count_when_marked_or_alone),
        cmocka_unit_test(plain_words_have_no_operators),
        cmocka_unit_test(words_may_be_misspelt_unless_they_are_meant_literally),
        cmocka_unit_test(a_megabyte_of_anything_is_parsed_or_refused),
        cmocka_unit_test(too_many_words_are_refused),
        cmocka_unit_test(a_small_arena_refuses),
        cmocka_unit_test(groups_deeper_than_the_limit_are_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
