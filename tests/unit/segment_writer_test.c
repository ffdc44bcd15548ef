/* The writer of segments: the same bytes again, what is larger than an extent or a chunk, and what it refuses. */
#include "index/segment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/err.h"
#include "common/hash.h"
#include "index/postings.h"
#include "segment_model.h"

static void writes_the_same_bytes_again(void **state)
{
    (void)state;
    struct model m[2];
    char *bytes[2];
    long size[2];
    for (size_t i = 0; i < 2; i++) {
        char *dirt = malloc(4 << 20); /* what the heap held before must not get into the file */
        memset(dirt, 0x40 + (int)i, 4 << 20);
        free(dirt);
        m[i] = model_make(700, 256 << 10);
        FILE *file = fopen(m[i].path, "rb");
        fseek(file, 0, SEEK_END);
        size[i] = ftell(file);
        bytes[i] = malloc((size_t)size[i]);
        rewind(file);
        assert_int_equal(fread(bytes[i], (size_t)size[i], 1, file), 1);
        fclose(file);
    }
    assert_int_equal(size[0], size[1]);
    assert_memory_equal(bytes[0], bytes[1], (size_t)size[0]);
    for (size_t i = 0; i < 2; i++) {
        free(bytes[i]);
        model_discard(&m[i]);
    }
}

/* More documents than a chunk of a column, more of a list than an extent. */
static void spans_chunks_and_extents(void **state)
{
    (void)state;
    enum { MANY = 140000, WORDS = 12 };
    struct model m = {.directory = "/tmp/mayfly-segment-XXXXXX"};
    struct segment_options options = {.id = 1, .transaction = 4 << 20, .analyzer = STR("test 1")};
    struct segment_writer *w;
    struct segment_result result;
    uint32_t positions[WORDS], got[WORDS];
    char id[32];
    assert_non_null(mkdtemp(m.directory));
    snprintf(m.path, sizeof m.path, "%s/seg-1.mdb", m.directory);
    assert_int_equal(segment_writer_open(m.path, &options, &w), 0);
    for (uint32_t n = 0; n < MANY; n++) {
        struct segment_document d = {.stamp = n + 1, .body = STR("{}"), .length_code = (uint8_t)(n % 200)};
        d.id = (struct str){id, (size_t)snprintf(id, sizeof id, "n%u", n % 130000)};
        d.hash = hash64(d.id) & 0xfffff; /* some are equal */
        segment_writer_document(w, &d);
    }
    segment_writer_term(w, STR("sall"));
    for (uint32_t n = 0; n < MANY; n++) {
        for (uint32_t i = 0; i < WORDS; i++)
            positions[i] = n % 7 + i * 300;
        segment_writer_posting(w, n, WORDS, positions, WORDS);
    }
    assert_int_equal(segment_writer_finish(w, &result), 0);
    struct segment *s;
    struct term t;
    struct postings p;
    int err = 0;
    assert_int_equal(segment_open(m.path, &s), 0);
    for (uint32_t n = 0; n < MANY; n += 77) {
        struct str text = {id, (size_t)snprintf(id, sizeof id, "n%u", n % 130000)};
        uint32_t from = 0, document = 0;
        assert_int_equal(segment_stamps(s)[n], n + 1);
        assert_int_equal(segment_length_codes(s)[n], n % 200);
        assert_true(segment_find_id(s, hash64(text) & 0xfffff, text, &from, &document, &err));
        assert_int_equal(document, n % 130000);
        assert_int_equal(segment_find_id(s, hash64(text) & 0xfffff, text, &from, &document, &err), n % 130000 < 10000);
        assert_int_equal(document % 130000, n % 130000);
    }
    assert_true(segment_find_term(s, STR("sall"), &t, &err));
    postings_open(&p, s, &t);
    for (uint32_t n = 0; n < MANY; n += n % 1000 ? 1 : 997) {
        postings_seek(&p, n);
        assert_int_equal(p.document, n);
        assert_true(postings_positions(&p, got));
        assert_true(got[0] == n % 7 && got[WORDS - 1] == n % 7 + (WORDS - 1) * 300);
    }
    assert_int_equal(err, 0);
    segment_close(s);
    model_discard(&m);
}

/* More than fits an extent, and far too many to begin again for each position. */
static void finds_fields_among_many_ranges(void **state)
{
    (void)state;
    enum { RANGES = 600000 };
    struct model m = {.directory = "/tmp/mayfly-segment-XXXXXX"};
    struct segment_options options = {.id = 1, .transaction = 4 << 20};
    struct field_range *ranges = calloc(RANGES, sizeof *ranges);
    struct segment_document d = {.stamp = 1, .id = STR("x"), .ranges = ranges, .range_count = RANGES};
    struct segment_writer *w;
    struct segment_result result;
    struct segment *s;
    struct field_ranges found;
    assert_non_null(mkdtemp(m.directory));
    snprintf(m.path, sizeof m.path, "%s/seg-1.mdb", m.directory);
    assert_int_equal(segment_writer_open(m.path, &options, &w), 0);
    for (uint32_t i = 0; i < RANGES; i++)
        ranges[i] = (struct field_range){.field = i * 7 % 1000, .from = i * 101 + 3};
    segment_writer_document(w, &d);
    assert_int_equal(segment_writer_finish(w, &result), 0);
    assert_int_equal(segment_open(m.path, &s), 0);
    assert_int_equal(segment_field_ranges(s, 0, &found), 0);
    assert_int_equal(field_ranges_find(&found, 2), UINT32_MAX);
    for (uint32_t i = 0; i < RANGES; i++) {
        assert_int_equal(field_ranges_find(&found, ranges[i].from), ranges[i].field);
        struct field_ranges copy = found;
        assert_int_equal(field_ranges_find(&copy, ranges[i].from + 100), ranges[i].field);
        assert_int_equal(field_ranges_find(&found, ranges[i].from), ranges[i].field);
    }
    free(ranges);
    segment_close(s);
    model_discard(&m);
}

static void numbers_many_fields(void **state)
{
    (void)state;
    struct model m = {.directory = "/tmp/mayfly-segment-XXXXXX"};
    struct segment_options options = {.id = 1, .transaction = 4 << 20};
    struct segment_writer *w;
    struct segment_result result;
    struct segment *s;
    char name[32];
    assert_non_null(mkdtemp(m.directory));
    snprintf(m.path, sizeof m.path, "%s/seg-1.mdb", m.directory);
    assert_int_equal(segment_writer_open(m.path, &options, &w), 0);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 65535; i++) {
            struct str path = {name, (size_t)snprintf(name, sizeof name, "a.b%d", i)};
            assert_int_equal(segment_writer_field(w, path), i);
        }
    assert_int_equal(segment_writer_field(w, STR("one more")), ERR_FULL);
    assert_int_equal(segment_writer_finish(w, &result), 0);
    assert_int_equal(segment_open(m.path, &s), 0);
    assert_int_equal(segment_documents(s), 0);
    assert_int_equal(segment_fields(s), 65535);
    assert_int_equal(segment_field_find(s, STR("a.b65534")), 65534);
    segment_close(s);
    model_discard(&m);
}

static void refuses_what_is_out_of_order(void **state)
{
    (void)state;
    for (int what = 0; what < 9; what++) { /* the last one is as it should be */
        char directory[] = "/tmp/mayfly-segment-XXXXXX", path[64];
        assert_non_null(mkdtemp(directory));
        snprintf(path, sizeof path, "%s/seg-1.mdb", directory);
        struct segment_options options = {.id = 1, .transaction = 1 << 20};
        struct segment_writer *w;
        struct segment_result result;
        assert_int_equal(segment_writer_open(path, &options, &w), 0);
        const uint32_t at = 3, stays[] = {4, 9, 9};
        struct segment_document d = {.stamp = 5, .id = STR("a"), .hash = hash64(STR("a"))};
        segment_writer_document(w, &d);
        if (what == 0)
            segment_writer_document(w, &d);
        segment_writer_term(w, STR("sb"));
        segment_writer_posting(w, what == 1 ? 1 : 0, 1, &at, 1);
        if (what == 2)
            segment_writer_posting(w, 0, 1, &at, 1);
        segment_writer_term(w, STR("sbb"));
        if (what == 4)
            segment_writer_posting(w, 0, 1, NULL, 0); /* of a stem, without positions */
        if (what == 5)
            segment_writer_posting(w, 0, 0, &at, 1);
        if (what == 6)
            segment_writer_posting(w, 0, 1, stays, 3);
        if (what == 7)
            segment_writer_posting(w, 0, UINT32_C(1) << 31, &at, 1);
        segment_writer_term(w, what == 3 ? STR("sa") : STR("sc"));
        segment_writer_posting(w, 0, 1, &at, 1);
        assert_int_equal(segment_writer_finish(w, &result), what < 8 ? ERR_INVALID : 0);
        assert_int_equal(access(path, F_OK), what < 8 ? -1 : 0);
        unlink(path);
        rmdir(directory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_chunks_and_extents),
        cmocka_unit_test(finds_fields_among_many_ranges),
        cmocka_unit_test(numbers_many_fields),
        cmocka_unit_test(writes_the_same_bytes_again),
        cmocka_unit_test(refuses_what_is_out_of_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
