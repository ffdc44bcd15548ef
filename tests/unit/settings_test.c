#include "proto/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/err.h"
#include "index/languages.h"

static struct arena arena;

static struct str defaults(struct buf *out)
{
    settings_default(out);
    return (struct str){out->data, out->len};
}

/* `change` on top of the defaults. */
static int merge(const char *change, struct settings *out, bool *out_reindex, struct settings_error *error)
{
    struct buf before = {0}, after = {0};
    int rc = settings_merge(&arena, defaults(&before), str_of(change), &after, out_reindex, error);
    if (rc == 0)
        assert_int_equal(settings_decode(&arena, (struct str){after.data, after.len}, out), 0);
    buf_finish(&before);
    buf_finish(&after);
    return rc;
}

static void defaults_are_complete_english_text(void **state)
{
    struct buf json = {0};
    struct settings s;
    (void)state;
    assert_int_equal(settings_decode(&arena, defaults(&json), &s), 0);
    assert_true(str_equal(s.language, STR("en")));
    assert_false(s.own_stop_words);
    assert_int_equal(s.searchable_count + s.field_count + s.displayed_count + s.stop_word_count, 0);
    assert_true(settings_is_searchable(&s, STR("anything.at.all")));
    assert_int_equal(settings_weight(&s, STR("title")), 1);
    buf_finish(&json);
}

static void a_change_replaces_its_members_only(void **state)
{
    struct settings s;
    struct settings_error error;
    bool reindex;
    (void)state;
    int rc = merge("{\"fields\":{\"title\":{\"type\":\"text\",\"weight\":3},\"body\":{\"weight\":1},\"a \\\"b\":{}},"
                   "\"searchable\":[\"title\",\"body\"],\"stop_words\":[\"x\",\"\\u00e9\\u0000\"]}",
                   &s, &reindex, &error);
    assert_int_equal(rc, 0);
    assert_true(reindex);
    assert_int_equal(settings_weight(&s, STR("title")), 3);
    assert_int_equal(settings_weight(&s, STR("body")), 1);
    assert_int_equal(s.field_count, 1);
    assert_true(settings_is_searchable(&s, STR("body")));
    assert_false(settings_is_searchable(&s, STR("id")));
    assert_true(s.own_stop_words);
    assert_int_equal(s.stop_word_count, 2);
    assert_true(str_equal(s.stop_words[1], STR("\xC3\xA9\0")));
    assert_true(str_equal(s.language, STR("en")));
}

static void null_resets(void **state)
{
    struct buf before = {0}, changed = {0}, after = {0};
    struct settings_error error;
    bool reindex;
    (void)state;
    struct str json = defaults(&before);
    assert_int_equal(
        settings_merge(&arena, json, STR("{\"language\":\"de\",\"stop_words\":[]}"), &changed, &reindex, &error), 0);
    assert_true(reindex);
    struct str german = {changed.data, changed.len};
    assert_int_equal(
        settings_merge(&arena, german, STR("{\"language\":null,\"stop_words\":null}"), &after, &reindex, &error), 0);
    assert_true(reindex);
    assert_true(str_equal((struct str){after.data, after.len}, json));
    buf_finish(&before);
    buf_finish(&changed);
    buf_finish(&after);
}

static void what_documents_do_not_feel_needs_no_reindexing(void **state)
{
    static const char *const changes[] = {"{}", "{\"displayed\":[\"title\"]}", "{\"language\":\"en\"}",
                                          "{\"fields\":{\"title\":{\"weight\":1}}}",
                                          "{\"synonyms\":{},\"distinct\":null}"};
    struct settings s;
    struct settings_error error;
    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        bool reindex = true;
        assert_int_equal(merge(changes[i], &s, &reindex, &error), 0);
        assert_false(reindex);
    }
}

static bool acts_at_once(const char *change)
{
    bool at_once;
    assert_int_equal(settings_act_at_once(&arena, str_of(change), &at_once), 0);
    return at_once;
}

static void what_acts_at_once_is_told_by_name(void **state)
{
    (void)state;
    assert_true(acts_at_once("{}"));
    assert_true(acts_at_once("{\"displayed\":[\"title\"],\"distinct\":null,\"synonyms\":{}}"));
    static const char *const others[] = {"fields", "searchable", "filterable", "sortable", "language", "stop_words"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char change[80];
        snprintf(change, sizeof change, "{\"displayed\":[],\"%s\":null}", others[i]);
        assert_false(acts_at_once(change));
    }
}

static void analyses_are_compared_not_texts(void **state)
{
    bool same;
    (void)state;
    assert_int_equal(settings_compare(&arena, STR("{\"searchable\":[\"a\",\"b\"],\"displayed\":[]}"),
                                      STR("{\"displayed\":[\"x\"],\"searchable\":[\"b\",\"a\"]}"), &same), 0);
    assert_true(same);
    assert_int_equal(settings_compare(&arena, STR("{\"language\":\"en\"}"), STR("{\"language\":\"de\"}"), &same), 0);
    assert_false(same);
    assert_int_equal(settings_compare(&arena, STR("{\"stop_words\":null}"), STR("{\"stop_words\":[]}"), &same), 0);
    assert_false(same);
}

static void mistakes_are_refused_by_name(void **state)
{
    static const struct {
        const char *change, *field;
    } cases[] = {
        {"{\"wight\":1}", "wight"},
        {"{\"fields\":[]}", "fields"},
        {"{\"fields\":{\"title\":{\"weight\":0}}}", "fields.title"},
        {"{\"fields\":{\"title\":{\"weight\":101}}}", "fields.title"},
        {"{\"fields\":{\"title\":{\"weight\":1.5}}}", "fields.title"},
        {"{\"fields\":{\"title\":{\"type\":\"number\"}}}", "fields.title"},
        {"{\"fields\":{\"title\":{\"boost\":1}}}", "fields.title"},
        {"{\"fields\":{\"title\":3}}", "fields.title"},
        {"{\"searchable\":\"title\"}", "searchable"},
        {"{\"searchable\":[\"a\",\"a\"]}", "searchable"},
        {"{\"searchable\":[1]}", "searchable"},
        {"{\"displayed\":[\"\"]}", "displayed"},
        {"{\"language\":\"klingon\"}", "language"},
        {"{\"language\":7}", "language"},
        {"{\"stop_words\":{}}", "stop_words"},
        {"{\"filterable\":[\"size\"]}", "filterable"},
        {"{\"sortable\":[\"size\"]}", "sortable"},
        {"{\"synonyms\":{\"a\":[\"b\"]}}", "synonyms"},
        {"{\"distinct\":\"id\"}", "distinct"},
        {"[]", ""},
        {"{", ""},
        {"", ""},
    };
    struct settings s;
    bool reindex;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct settings_error error;
        assert_int_equal(merge(cases[i].change, &s, &reindex, &error), ERR_INVALID);
        assert_string_equal(error.field, cases[i].field);
        assert_true(error.message[0] != '\0');
    }
}

static void damaged_settings_are_corrupt(void **state)
{
    static const char *const damaged[] = {"{", "[]", "{\"searchable\":[1]}", "{\"language\":1}",
                                          "{\"fields\":{\"a\":{\"weight\":1000}}}"};
    struct settings s;
    (void)state;
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++)
        assert_int_equal(settings_decode(&arena, str_of(damaged[i]), &s), ERR_CORRUPT);
}

static void languages_are_those_of_the_analyzer(void **state)
{
    size_t count = 0;
    (void)state;
    for (; settings_languages[count]; count++)
        assert_non_null(language_find(str_of(settings_languages[count])));
    assert_int_equal(count, language_count);
}

static int open_arena(void **state)
{
    (void)state;
    return arena_init(&arena, 1 << 24, 0);
}

static int close_arena(void **state)
{
    (void)state;
    arena_finish(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_complete_english_text),
        cmocka_unit_test(a_change_replaces_its_members_only),
        cmocka_unit_test(null_resets),
        cmocka_unit_test(what_documents_do_not_feel_needs_no_reindexing),
        cmocka_unit_test(what_acts_at_once_is_told_by_name),
        cmocka_unit_test(analyses_are_compared_not_texts),
        cmocka_unit_test(mistakes_are_refused_by_name),
        cmocka_unit_test(damaged_settings_are_corrupt),
        cmocka_unit_test(languages_are_those_of_the_analyzer),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
