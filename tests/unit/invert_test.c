/* Documents to values, values to postings, postings to the order of a dictionary. */
#include "worker/invert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/err.h"
#include "proto/message.h"
#include "worker/terms_sort.h"

struct bench {
    struct arena settings_memory, scratch, texts;
    struct settings settings;
    struct fields fields;
    struct document_reader reader;
    struct analyzer *analyzer;
    struct inverter inverter;
};

static struct analysis *analysis;

static struct bench *open_bench(const char *change)
{
    struct bench *b = calloc(1, sizeof *b);
    struct buf json = {0}, merged = {0};
    struct settings_error error;
    bool reindex;
    assert_int_equal(arena_init(&b->settings_memory, 1 << 20, 0), 0);
    assert_int_equal(arena_init(&b->scratch, 64 << 20, 0), 0);
    assert_int_equal(arena_init(&b->texts, 64 << 20, 0), 0);
    settings_default(&json);
    struct str current = {.ptr = json.data, .len = json.len};
    assert_int_equal(settings_merge(&b->settings_memory, current, str_of(change), &merged, &reindex, &error), 0);
    assert_int_equal(
        settings_decode(&b->settings_memory, (struct str){.ptr = merged.data, .len = merged.len}, &b->settings), 0);
    buf_finish(&json);
    buf_finish(&merged);
    fields_init(&b->fields, &b->settings);
    document_reader_init(&b->reader, &b->fields, STR("id"), &b->texts);
    assert_int_equal(analyzer_open(analysis, b->settings.language, NULL, 0, &b->analyzer), 0);
    inverter_init(&b->inverter, b->analyzer, &b->fields);
    return b;
}

static const char *code_of(struct bench *b, const char *id, struct str body)
{
    struct refused why = {0};
    int err = document_read(&b->reader, str_of(id), body, &why);
    if (!err)
        return "";
    assert_int_equal(err, ERR_INVALID);
    assert_true(strlen(why.message) > 0);
    return why.code;
}

static void assert_value(const struct bench *b, size_t i, const char *path, const char *text)
{
    const struct value *v = &b->reader.values[i];
    assert_true(i < b->reader.count);
    assert_true(str_equal(b->fields.items[v->field].path, str_of(path)));
    assert_true(str_equal((struct str){.ptr = v->text, .len = v->length}, str_of(text)));
}

/* ----------------------------------------------------------------------------------------------------------- documents
 */

static void values_come_in_order_with_their_paths(void **unused)
{
    (void)unused;
    struct bench *b = open_bench("{}");
    struct str body =
        STR("{\"id\":7,\"a\":\"one\",\"b\":{\"c\":\"two\",\"d\":[\"three\",{\"e\":\"four\",\"id\":\"five\"},\"six\","
            "[[\"seven\"]]],\"f\":1,\"g\":\"\"},\"h\":\"caf\\u00e9\",\"a\":\"again\"}");
    assert_string_equal(code_of(b, "7", body), "");
    assert_int_equal(b->reader.count, 9);
    assert_value(b, 0, "a", "one");
    assert_value(b, 1, "b.c", "two");
    assert_value(b, 2, "b.d", "three");
    assert_value(b, 3, "b.d.e", "four");
    assert_value(b, 4, "b.d.id", "five");
    assert_value(b, 5, "b.d", "six");
    assert_value(b, 6, "b.d", "seven");
    assert_value(b, 7, "h", "café");
    assert_value(b, 8, "a", "again");
}

static void only_searchable_fields_are_read(void **unused)
{
    (void)unused;
    struct bench *b = open_bench("{\"searchable\":[\"t\",\"a.b\"]}");
    assert_string_equal(code_of(b, "x", STR("{\"t\":\"1\",\"u\":\"2\",\"a\":{\"b\":\"3\",\"c\":\"4\"},\"id\":\"x\"}")),
                        "");
    assert_int_equal(b->reader.count, 2);
    assert_value(b, 0, "t", "1");
    assert_value(b, 1, "a.b", "3");
}

static void ids_are_compared_as_text(void **unused)
{
    (void)unused;
    struct bench *b = open_bench("{}");
    assert_string_equal(code_of(b, "12", STR("{\"id\":\"12\"}")), "");
    assert_string_equal(code_of(b, "12", STR("{\"id\":12}")), "");
    assert_string_equal(code_of(b, "-12", STR("{\"id\":-12}")), "");
    assert_string_equal(code_of(b, "0", STR("{\"id\":-0}")), "");
    assert_string_equal(code_of(b, "é", STR("{\"id\":\"\\u00e9\"}")), "");
    assert_string_equal(code_of(b, "12", STR("{\"id\":13}")), CODE_ID_MISMATCH);
    assert_string_equal(code_of(b, "12", STR("{\"id\":12.0}")), CODE_INVALID_ID);
    assert_string_equal(code_of(b, "12", STR("{\"id\":[12]}")), CODE_INVALID_ID);
    assert_string_equal(code_of(b, "12", STR("{\"ID\":12}")), CODE_INVALID_ID);
    assert_string_equal(code_of(b, "12", STR("{\"a\":{\"id\":12}}")), CODE_INVALID_ID);
}

static void too_many_fields_are_refused(void **unused)
{
    (void)unused;
    struct bench *b = open_bench("{}");
    struct buf body = {0};
    buf_printf(&body, "{\"id\":1");
    for (int i = 0; i <= FIELDS_MAX; i++)
        buf_printf(&body, ",\"f%d\":\"x\"", i);
    buf_printf(&body, "}");
    assert_string_equal(code_of(b, "1", (struct str){.ptr = body.data, .len = body.len}), CODE_INVALID_DOCUMENT);
    buf_finish(&body);
    assert_string_equal(code_of(b, "1", STR("{\"id\":1,\"f3\":\"known\"}")), "");
}

/* ------------------------------------------------------------------------------------------------------------ postings
 */

static uint64_t invert(struct bench *b, uint32_t number, struct str body)
{
    assert_string_equal(code_of(b, "1", body), "");
    return invert_document(&b->inverter, number, b->reader.values, b->reader.count);
}

static const struct term_record *find(struct bench *b, const char *text)
{
    char padded[ANALYZER_MAX_WORD + TERM_SLACK] = {0};
    struct str word = {.ptr = padded, .len = strlen(text)};
    memcpy(padded, text, word.len);
    const struct term_record *found = terms_word(&b->inverter.terms, word, terms_hash(word));
    terms_settle(&b->inverter.terms);
    return found;
}

/* "document:field@position ..." */
static const char *occurrences(const struct term_record *r)
{
    static char text[4096];
    struct list_reader reader;
    struct occurrence o = {.document = UINT32_MAX};
    size_t used = 0;
    text[0] = '\0';
    list_read(&reader, &r->occurrences);
    while (terms_next_occurrence(&reader, &o))
        used +=
            (size_t)snprintf(text + used, sizeof text - used, "%s%u:%u@%u", used ? " " : "", o.document, o.field, o.at);
    return text;
}

static void words_are_listed_under_their_stems(void **unused)
{
    (void)unused;
    struct bench *b = open_bench("{}");
    invert(b, 0, STR("{\"id\":1,\"a\":\"Running runs\",\"b\":[\"run\",\"the run\"]}"));
    invert(b, 3, STR("{\"id\":1,\"b\":\"running\"}"));
    assert_string_equal(occurrences(find(b, "run")), "0:0@0 0:0@1 0:1@102 0:1@204 3:1@0");
    assert_string_equal(occurrences(find(b, "running")), "");
    assert_ptr_equal(find(b, "run")->stem, find(b, "run"));
    assert_ptr_equal(find(b, "running")->stem, find(b, "run"));
    struct list_reader reader;
    uint32_t document = UINT32_MAX;
    list_read(&reader, &find(b, "running")->documents);
    assert_true(terms_next_document(&reader, &document));
    assert_int_equal(document, 0);
    assert_true(terms_next_document(&reader, &document));
    assert_int_equal(document, 3);
    assert_false(terms_next_document(&reader, &document));
}

static void stop_words_have_positions_but_no_length(void **unused)
{
    (void)unused;
    struct bench *b = open_bench("{\"fields\":{\"a\":{\"type\":\"text\",\"weight\":3}}}");
    assert_int_equal(invert(b, 0, STR("{\"id\":1,\"a\":\"the cat and the hat\",\"b\":\"a dog\"}")), 2 * 3 + 1);
    assert_string_equal(occurrences(find(b, "the")), "0:0@0 0:0@3");
}

/* More than a batch of words, and lists over many slices. */
static void long_lists_are_read_back_as_they_were_written(void **unused)
{
    enum { DOCUMENTS = 700, WORDS = 90 };
    (void)unused;
    struct bench *b = open_bench("{}");
    for (uint32_t d = 0; d < DOCUMENTS; d++) {
        struct buf body = {0};
        buf_printf(&body, "{\"id\":1,\"f%u\":\"", d % 300);
        for (uint32_t i = 0; i < WORDS; i++)
            buf_printf(&body, "%s ", i % 3 ? "zebra" : "other");
        buf_printf(&body, "\"}");
        assert_int_equal(invert(b, d * 1000, (struct str){.ptr = body.data, .len = body.len}), WORDS);
        buf_finish(&body);
    }
    struct list_reader reader;
    struct occurrence o = {.document = UINT32_MAX};
    list_read(&reader, &find(b, "zebra")->occurrences);
    for (uint32_t d = 0; d < DOCUMENTS; d++) {
        for (uint32_t i = 0; i < WORDS; i++) {
            if (i % 3 == 0)
                continue;
            assert_true(terms_next_occurrence(&reader, &o));
            assert_int_equal(o.document, d * 1000);
            assert_int_equal(o.at, i);
            assert_int_equal(o.field, d % 300);
            assert_int_equal(o.first, i == 1);
        }
    }
    assert_false(terms_next_occurrence(&reader, &o));
}

static void terms_are_sorted_by_bytes(void **unused)
{
    enum { COUNT = 30000 };
    (void)unused;
    struct bench *b = open_bench("{\"language\":\"none\"}");
    uint64_t state = 1;
    for (int i = 0; i < COUNT; i++) {
        char word[40 + TERM_SLACK];
        size_t length = 0;
        state = state * 6364136223846793005u + 1442695040888963407u;
        if (state >> 62 == 0)
            length = (size_t)snprintf(word, 40, "a common beginning ");
        for (uint64_t bits = state >> 20; bits && length < 40; bits >>= 4)
            word[length++] = (char)(i % 5 ? 'a' + (bits & 15) : (bits & 15) * 17);
        struct str text = {.ptr = word, .len = length};
        terms_word(&b->inverter.terms, text, terms_hash(text));
    }
    struct term_record **sorted = terms_sorted(&b->inverter.terms);
    for (size_t i = 1; i < b->inverter.terms.count; i++) {
        struct str before = {.ptr = sorted[i - 1]->text, .len = sorted[i - 1]->length};
        struct str after = {.ptr = sorted[i]->text, .len = sorted[i]->length};
        assert_true(str_compare(before, after) < 0);
    }
    free(sorted);
}

static int load(void **unused)
{
    (void)unused;
    return analysis_load(&analysis);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_in_order_with_their_paths),
        cmocka_unit_test(only_searchable_fields_are_read),
        cmocka_unit_test(ids_are_compared_as_text),
        cmocka_unit_test(too_many_fields_are_refused),
        cmocka_unit_test(words_are_listed_under_their_stems),
        cmocka_unit_test(stop_words_have_positions_but_no_length),
        cmocka_unit_test(long_lists_are_read_back_as_they_were_written),
        cmocka_unit_test(terms_are_sorted_by_bytes),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
