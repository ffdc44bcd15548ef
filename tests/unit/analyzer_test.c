#include "index/analyzer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/err.h"
#include "index/languages.h"

static struct analysis *analysis; /* lives with the process */

static struct analyzer *open_language(const char *code)
{
    struct analyzer *a = NULL;
    assert_int_equal(analyzer_open(analysis, str_of(code), NULL, 0, &a), 0);
    return a;
}

struct list {
    char text[4096];
    size_t len;
    uint32_t count;
    size_t longest;
};

static bool append_word(void *context, struct str word, uint32_t position)
{
    struct list *list = context;
    assert_int_equal(position, list->count);
    assert_true(word.len > 0 && word.len <= ANALYZER_MAX_WORD);
    list->count++;
    list->longest = word.len > list->longest ? word.len : list->longest;
    if (list->len + word.len + 2 < sizeof list->text)
        list->len += (size_t)snprintf(list->text + list->len, sizeof list->text - list->len, "%s%.*s",
                                      list->len ? "|" : "", (int)word.len, word.ptr);
    return true;
}

static void expect_words(const char *language, struct str text, const char *expected)
{
    struct list list = {.text = ""};
    struct analyzer *a = open_language(language);
    analyzer_words(a, text, append_word, &list);
    assert_string_equal(list.text, expected);
    analyzer_close(a);
}

static void breaks_and_folds_words(void **state)
{
    static const struct {
        const char *language, *text, *words;
    } cases[] = {
        {"en", "The Quick (\"Brown\") fox can't jump 32.3 feet, right?",
         "the|quick|brown|fox|can|t|jump|32.3|feet|right"},
        {"none", "can't 3.14 x86_64 1,000 a.b wing-body", "can't|3.14|x86_64|1,000|a.b|wing|body"},
        {"en", "the cat's paw, 1990’s; a 's', O'Reilly's", "the|cat|paw|1990|a|s|o|reilly"},
        {"en", "foo@bar.com a:b C++", "foo|bar.com|a|b|c"},
        {"en", "___ _ __a a__ _1", "__a|a__|_1"},
        {"en", "ÉTÉ naïve Straße Łódź Æon ﬁsh éa", "ete|naive|strasse|lodz|aeon|fish|ea"},
        {"fr", "L'avion Été aujourd’hui", "l|avion|été|aujourd|hui"},
        {"de", "Über Äpfel café", "über|äpfel|cafe"},
        {"tr", "IRMAK İstanbul'da İzmir", "ırmak|istanbul|da|izmir"},
        {"ro", "Știința", "ştiinţa"},
        {"ru", "Йогурт Ёлка й", "йогурт|елка|й"},
        {"el", "Άνθρωπος", "ανθρωποσ"},
        {"he", "שָׁלוֹם", "שלום"},
        {"ar", "كِتَاب ١٢", "كتاب|12"},
        {"ja", "全文検索エンジン。ｶﾞ", "全文|検索|エンジン|ガ"},
        {"th", "ภาษาไทย", "ภาษา|ไทย"},
        {"hi", "हिन्दी भाषा", "हिन्दी|भाषा"},
        {"ko", "한국어 검색", "한국어|검색"},
        {"en",
         "ＨＥＬＬＯ ² m² co\xC2\xAD"
         "op",
         "hello|m|coop"},
        {"en", "", ""},
        {"en", " .,;- — 😀", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_words(cases[i].language, str_of(cases[i].text), cases[i].words);
}

static void what_is_not_utf8_is_replaced_and_nul_is_a_gap(void **state)
{
    (void)state;
    expect_words("en",
                 STR("a\xFF\xFE"
                     "b \xC3 \xC3\xA9 \xED\xA0\x80x \xF4\x90\x80\x80y \xE5\x85"),
                 "a|b|e|x|y");
    expect_words("en", STR("one\0two\0\0three"), "one|two|three");
    expect_words("en", STR("\xE5\x85\xA8\0two\xFF"), "\xE5\x85\xA8|two");
}

static bool stop_at_two(void *context, struct str word, uint32_t position)
{
    (void)word;
    *(uint32_t *)context = position + 1;
    return position < 1;
}

static void a_sink_can_stop(void **state)
{
    static const char *const texts[] = {"one two three four", "ह ह ह ह", "全 one ह two"};
    struct analyzer *a = open_language("en");
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        uint32_t seen = 0;
        analyzer_words(a, str_of(texts[i]), stop_at_two, &seen);
        assert_int_equal(seen, 2);
    }
    analyzer_close(a);
}

static char *repeat(const char *unit, size_t times, size_t *out_len)
{
    size_t len = strlen(unit);
    char *text = malloc(len * times + 1);
    assert_non_null(text);
    for (size_t i = 0; i < times; i++)
        memcpy(text + i * len, unit, len + 1);
    *out_len = len * times;
    return text;
}

static void expect_repeated(const char *language, const char *unit, size_t times, uint32_t count, size_t longest)
{
    struct list list = {.text = ""};
    struct analyzer *a = open_language(language);
    size_t len;
    char *text = repeat(unit, times, &len);
    analyzer_words(a, (struct str){text, len}, append_word, &list);
    assert_int_equal(list.count, count);
    assert_int_equal(list.longest, longest);
    free(text);
    analyzer_close(a);
}

static void a_word_is_cut_at_512_bytes_on_a_code_point(void **state)
{
    (void)state;
    expect_repeated("none", "x", 160000, 1, 512);
    expect_repeated("none", "ж", 80000, 1, 512);
    expect_repeated("none", "ह", 80000, 1, 510);
    expect_repeated("none", "ệ", 50000, 1, 342);
    expect_repeated("none", "ß", 80000, 1, 512);
    expect_repeated("none", "xक", 40000, 1, 512);
    expect_repeated("none", "𐐀", 40000, 1, 512);
    expect_repeated("none", "a.1,", 1, 2, 1);
}

static void long_lines_go_through_whole(void **state)
{
    (void)state;
    expect_repeated("en", "alpha beta-", 100000, 200000, 5);
    expect_repeated("en", "alpha,beta;", 20000, 40000, 5);
    expect_repeated("en", "हि,", 20000, 20000, 6);
    expect_repeated("ja", "全文検索。", 20000, 40000, 6);
    expect_repeated("ja", "全文検索を", 20000, 60000, 6);
    expect_repeated("en", "a一 ", 20000, 40000, 3);
}

static void stop_words_of_english_are_the_33(void **state)
{
    static const char *const words[] = {
        "a",   "an",    "and",  "are",   "as",    "at",   "be",   "but", "by",  "for",  "if",
        "in",  "into",  "is",   "it",    "no",    "not",  "of",   "on",  "or",  "such", "that",
        "the", "their", "then", "there", "these", "they", "this", "to",  "was", "will", "with",
    };
    struct analyzer *a = open_language("en");
    (void)state;
    assert_int_equal(sizeof words / sizeof words[0], 33);
    for (size_t i = 0; i < 33; i++)
        assert_true(analyzer_is_stop_word(a, str_of(words[i])));
    assert_false(analyzer_is_stop_word(a, STR("he")));
    assert_false(analyzer_is_stop_word(a, STR("")));
    analyzer_close(a);
}

static void own_stop_words_replace_the_languages(void **state)
{
    const struct str own[] = {STR("Foo"), STR("Été"), STR("foo")};
    struct analyzer *a = NULL;
    (void)state;
    assert_int_equal(analyzer_open(analysis, STR("en"), own, 3, &a), 0);
    assert_true(analyzer_is_stop_word(a, STR("foo")));
    assert_true(analyzer_is_stop_word(a, STR("ete")));
    assert_false(analyzer_is_stop_word(a, STR("the")));
    analyzer_close(a);
    assert_int_equal(analyzer_open(analysis, STR("en"), own, 0, &a), 0);
    assert_false(analyzer_is_stop_word(a, STR("the")));
    analyzer_close(a);
}

static void stems_are_snowballs_without_accents(void **state)
{
    static const struct {
        const char *language, *word, *stem;
    } cases[] = {
        {"en", "running", "run"},
        {"en", "generously", "generous"},
        {"none", "running", "running"},
        {"fr", "chantée", "chant"},
        {"fr", "été", "ete"},
        {"de", "häuser", "haus"},
        {"tr", "gözler", "göz"},
        {"zh", "全文", "全文"},
        {"en", "", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct analyzer *a = open_language(cases[i].language);
        struct str stem = analyzer_stem(a, str_of(cases[i].word));
        assert_true(str_equal(stem, str_of(cases[i].stem)));
        analyzer_close(a);
    }
}

static void every_language_opens_and_names_itself(void **state)
{
    (void)state;
    for (size_t i = 0; i < language_count; i++) {
        struct analyzer *a = open_language(languages[i].code);
        const char *identity = analyzer_identity(a), *code = strrchr(identity, ' ');
        assert_non_null(strstr(identity, " icu "));
        assert_non_null(strstr(identity, " snowball "));
        assert_string_equal(code + 1, languages[i].code);
        analyzer_close(a);
    }
}

static void an_unknown_language_is_refused(void **state)
{
    struct analyzer *a;
    (void)state;
    assert_int_equal(analyzer_open(analysis, STR("xx"), NULL, 0, &a), ERR_INVALID);
    assert_int_equal(analyzer_open(analysis, STR(""), NULL, 0, &a), ERR_INVALID);
    assert_int_equal(analyzer_open(analysis, STR("english"), NULL, 0, &a), ERR_INVALID);
}

static void what_was_loaded_works_after_a_fork(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct analyzer *a;
        struct list list = {.text = ""};
        if (analyzer_open(analysis, STR("ja"), NULL, 0, &a))
            _exit(1);
        analyzer_words(a, STR("全文検索 Été"), append_word, &list);
        _exit(strcmp(list.text, "全文|検索|ete") ? 2 : 0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static int load(void **state)
{
    (void)state;
    return analysis_load(&analysis);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(breaks_and_folds_words),
        cmocka_unit_test(what_is_not_utf8_is_replaced_and_nul_is_a_gap),
        cmocka_unit_test(a_sink_can_stop),
        cmocka_unit_test(a_word_is_cut_at_512_bytes_on_a_code_point),
        cmocka_unit_test(long_lines_go_through_whole),
        cmocka_unit_test(stop_words_of_english_are_the_33),
        cmocka_unit_test(own_stop_words_replace_the_languages),
        cmocka_unit_test(stems_are_snowballs_without_accents),
        cmocka_unit_test(every_language_opens_and_names_itself),
        cmocka_unit_test(an_unknown_language_is_refused),
        cmocka_unit_test(what_was_loaded_works_after_a_fork),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
