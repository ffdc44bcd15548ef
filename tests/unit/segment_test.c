/* What a segment gives back; segment_damage_test.c has what is left of one that is damaged, segment_writer_test.c its
 * writer. */
#include "index/segment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/hash.h"
#include "index/postings.h"
#include "index/score.h"
#include "segment_model.h"

static void expect_ranges(const struct segment *s, uint32_t document)
{
    struct field_ranges r;
    struct field_range wanted[4];
    size_t count = model_ranges(document, wanted);
    assert_int_equal(segment_field_ranges(s, document, &r), 0);
    for (uint32_t at = 0; at < 5000; at += 499) {
        uint32_t field = UINT32_MAX;
        for (size_t i = 0; i < count && wanted[i].from <= at; i++)
            field = wanted[i].field;
        assert_int_equal(field_ranges_find(&r, at), field);
    }
}

static void expect_documents(const struct segment *s, const struct model *m)
{
    struct arena a;
    char *body = malloc(100000), id[32];
    assert_int_equal(arena_init(&a, 1 << 20, 0), 0);
    for (uint32_t n = 0; n < m->documents; n++) {
        struct str text;
        uint64_t hash;
        snprintf(id, sizeof id, "id-%u", n % 1000);
        assert_int_equal(segment_stamps(s)[n], 1000 + 3 * n);
        assert_int_equal(segment_length_codes(s)[n], length_encode(n));
        expect_ranges(s, n);
        assert_int_equal(segment_document_id(s, n, &text, &hash), 0);
        assert_true(str_equal(text, str_of(id)));
        assert_int_equal(hash, hash64(text));
        assert_int_equal(segment_document_body(s, n, &a, &text), 0);
        assert_true(str_equal(text, model_body(n, body)));
        arena_reset(&a, 4096);
    }
    free(body);
    arena_finish(&a);
}

static void expect_term(const struct segment *s, const struct model *m, uint32_t term)
{
    char key[16];
    struct term t;
    struct postings p;
    uint32_t wanted[MAX_POSITIONS], got[MAX_POSITIONS];
    int err = 0;
    uint32_t found = 0;
    size_t length = model_key(term, key);
    if (!segment_find_term(s, (struct str){key, length}, &t, &err)) {
        for (uint32_t n = 0; n < m->documents; n++)
            assert_int_equal(model_occurrences(term, n, wanted), 0);
        return;
    }
    postings_open(&p, s, &t);
    for (uint32_t n = 0; n < m->documents; n++) {
        size_t count = model_occurrences(term, n, wanted);
        if (!count)
            continue;
        assert_int_equal(p.document, n);
        assert_int_equal(p.count, key[0] == 's' ? count : 0);
        assert_int_equal(p.t, key[0] == 's' ? model_t((uint32_t)count, n) : 1);
        if (key[0] == 's' && n % 3 == 0) {
            assert_true(postings_positions(&p, got));
            assert_memory_equal(got, wanted, count * sizeof *got);
        }
        postings_next(&p);
        found++;
    }
    assert_int_equal(p.document, POSTINGS_END);
    assert_int_equal(p.err, 0);
    assert_int_equal(found, t.documents);
}

static void expect_seeks(const struct segment *s, const struct model *m, uint32_t term, uint32_t step)
{
    char key[16];
    struct term t;
    struct postings p;
    uint32_t wanted[MAX_POSITIONS], got[MAX_POSITIONS];
    int err = 0;
    size_t length = model_key(term, key);
    if (!segment_find_term(s, (struct str){key, length}, &t, &err))
        return;
    postings_open(&p, s, &t);
    for (uint32_t n = 0; n < m->documents; n += step) {
        uint32_t next = n;
        while (next < m->documents && !model_occurrences(term, next, wanted))
            next++;
        postings_seek(&p, n);
        assert_int_equal(p.document, next < m->documents ? next : POSTINGS_END);
        if (next < m->documents && key[0] == 's') {
            assert_true(postings_positions(&p, got));
            assert_memory_equal(got, wanted, p.count * sizeof *got);
        }
    }
}

static void reads_back_what_was_written(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 2, 127, 128, 129, 257, 3000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct model m = model_make(sizes[i], i % 2 ? 1 << 20 : 32 << 20);
        struct segment *s;
        assert_int_equal(segment_open(m.path, &s), 0);
        assert_int_equal(segment_id(s), 7);
        assert_true(str_equal(segment_analyzer(s), STR("test 1")));
        assert_int_equal(segment_field_find(s, STR("field2")), 2);
        assert_int_equal(segment_field_find(s, STR("field4")), -1);
        expect_documents(s, &m);
        for (uint32_t term = 0; term < TERMS; term += sizes[i] > 1000 ? 13 : 1)
            expect_term(s, &m, term);
        for (uint32_t term = 0; term < TERMS; term += 29)
            expect_seeks(s, &m, term, 1 + term * 3);
        segment_close(s);
        model_discard(&m);
    }
}

static void walks_its_terms_from_any_key(void **state)
{
    (void)state;
    struct model m = model_make(200, 1 << 20);
    struct segment *s;
    struct term_cursor c;
    struct term t;
    assert_int_equal(segment_open(m.path, &s), 0);
    for (uint32_t from = 0; from < TERMS; from += 17) {
        char key[16], last[600] = "";
        size_t length = model_key(from, key);
        term_cursor_seek(&c, s, (struct str){key, length});
        while (term_cursor_next(&c, &t)) {
            assert_true(str_compare(t.key, (struct str){key, length}) >= 0);
            assert_true(str_compare(t.key, str_of(last)) > 0);
            snprintf(last, sizeof last, "%.*s", (int)t.key.len, t.key.ptr);
        }
        assert_int_equal(c.err, 0);
    }
    term_cursor_seek(&c, s, STR("x"));
    assert_false(term_cursor_next(&c, &t));
    segment_close(s);
    model_discard(&m);
}

static void finds_every_version_of_an_id(void **state)
{
    (void)state;
    struct model m = model_make(2500, 1 << 20);
    struct segment *s;
    int err = 0;
    assert_int_equal(segment_open(m.path, &s), 0);
    for (uint32_t n = 0; n < 1000; n += 7) {
        char id[32];
        struct str text = {id, (size_t)snprintf(id, sizeof id, "id-%u", n)};
        uint32_t from = 0, document, versions = 0;
        while (segment_find_id(s, hash64(text), text, &from, &document, &err))
            assert_int_equal(document, n + 1000 * versions++);
        assert_int_equal(versions, n < 500 ? 3 : 2);
    }
    uint32_t from = 0, document;
    assert_false(segment_find_id(s, hash64(STR("none")), STR("none"), &from, &document, &err));
    assert_int_equal(err, 0);
    segment_close(s);
    model_discard(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_back_what_was_written),
        cmocka_unit_test(walks_its_terms_from_any_key),
        cmocka_unit_test(finds_every_version_of_an_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
