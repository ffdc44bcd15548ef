#include "index/segment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
// cmocka wants the four above first
#include <cmocka.h>

#include "common/err.h"
#include "common/hash.h"
#include "index/score.h"

enum { TERMS = 300, MAX_POSITIONS = 6 };

/* What the segment was made from, to compare with. */
struct model {
    char directory[32], path[64];
    uint32_t documents, seed;
};

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Whether a term is in a document, and how: the same answer each time. */
static size_t occurrences(uint32_t term, uint32_t document, struct position out[MAX_POSITIONS])
{
    uint32_t seed = term * 2654435761u ^ document * 40503u;
    next_random(&seed);
    if (next_random(&seed) % (1 + term % 50) != 0)
        return 0;
    size_t count = 1 + next_random(&seed) % MAX_POSITIONS;
    uint32_t at = 0, field = 0;
    for (size_t i = 0; i < count; i++) {
        at += next_random(&seed) % 1000 + (i > 0);
        field += next_random(&seed) % 3 == 0;
        out[i] = (struct position){.field = field % 4, .at = at};
    }
    return count;
}

static size_t term_key(uint32_t term, char key[16])
{
    return (size_t)snprintf(key, 16, "%c%05u", term < TERMS - 50 ? 's' : 'w', term * 7);
}

static struct str body_of(uint32_t document, char *room)
{
    size_t length = document % 97 == 5 ? 100000 : document % 300;
    for (size_t i = 0; i < length; i++)
        room[i] = (char)('a' + (i * 7 + document) % 23);
    return (struct str){room, length};
}

static void write_documents(struct segment_writer *w, uint32_t documents)
{
    char *body = malloc(100000), id[32];
    for (uint32_t n = 0; n < documents; n++) {
        struct segment_document d = {.stamp = 1000 + 3 * n, .body = body_of(n, body), .length_code = length_encode(n)};
        d.id = (struct str){id, (size_t)snprintf(id, sizeof id, "id-%u", n % 1000)};
        d.hash = hash64(d.id);
        segment_writer_document(w, &d);
    }
    free(body);
}

static void write_terms(struct segment_writer *w, uint32_t documents)
{
    for (uint32_t term = 0; term < TERMS; term++) {
        char key[16];
        struct position positions[MAX_POSITIONS];
        size_t length = term_key(term, key);
        segment_writer_term(w, (struct str){key, length}, term % 2 ? TERM_IS_WORD : 0);
        for (uint32_t n = 0; n < documents; n++) {
            size_t count = occurrences(term, n, positions);
            if (count)
                segment_writer_posting(w, n, key[0] == 's' ? (uint32_t)count + n % 2 : 1, positions,
                                       key[0] == 's' ? count : 0);
        }
    }
}

static struct model make(uint32_t documents, size_t transaction)
{
    struct model m = {.directory = "/tmp/mayfly-segment-XXXXXX", .documents = documents, .seed = 1};
    assert_non_null(mkdtemp(m.directory));
    snprintf(m.path, sizeof m.path, "%s/seg-7.mdb", m.directory);
    struct segment_options options = {.id = 7, .transaction = transaction, .analyzer = STR("test 1")};
    struct segment_writer *w;
    assert_int_equal(segment_writer_open(m.path, &options, &w), 0);
    for (uint32_t field = 0; field < 4; field++) {
        char name[16];
        int length = snprintf(name, sizeof name, "field%u", field);
        assert_int_equal(segment_writer_field(w, (struct str){name, (size_t)length}), field);
        assert_int_equal(segment_writer_field(w, (struct str){name, (size_t)length}), field);
    }
    write_documents(w, documents);
    write_terms(w, documents);
    struct segment_result result;
    assert_int_equal(segment_writer_finish(w, &result), 0);
    assert_int_equal(result.documents, documents);
    return m;
}

static void discard(struct model *m)
{
    unlink(m->path);
    rmdir(m->directory);
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
        assert_int_equal(segment_document_id(s, n, &text, &hash), 0);
        assert_true(str_equal(text, str_of(id)));
        assert_int_equal(hash, hash64(text));
        assert_int_equal(segment_document_body(s, n, &a, &text), 0);
        assert_true(str_equal(text, body_of(n, body)));
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
    struct position wanted[MAX_POSITIONS], got[MAX_POSITIONS];
    int err = 0;
    uint32_t found = 0;
    size_t length = term_key(term, key);
    if (!segment_find_term(s, (struct str){key, length}, &t, &err)) {
        for (uint32_t n = 0; n < m->documents; n++)
            assert_int_equal(occurrences(term, n, wanted), 0);
        return;
    }
    assert_int_equal(t.flags, term % 2 ? TERM_IS_WORD : 0);
    postings_open(&p, s, &t);
    for (uint32_t n = 0; n < m->documents; n++) {
        size_t count = occurrences(term, n, wanted);
        if (!count)
            continue;
        assert_int_equal(p.document, n);
        assert_int_equal(p.count, key[0] == 's' ? count : 0);
        assert_int_equal(p.t, key[0] == 's' ? count + n % 2 : 1);
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
    struct position wanted[MAX_POSITIONS], got[MAX_POSITIONS];
    int err = 0;
    size_t length = term_key(term, key);
    if (!segment_find_term(s, (struct str){key, length}, &t, &err))
        return;
    postings_open(&p, s, &t);
    for (uint32_t n = 0; n < m->documents; n += step) {
        uint32_t next = n;
        while (next < m->documents && !occurrences(term, next, wanted))
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
        struct model m = make(sizes[i], i % 2 ? 1 << 20 : 32 << 20);
        struct segment *s;
        assert_int_equal(segment_open(m.path, &s), 0);
        assert_int_equal(segment_id(s), 7);
        assert_true(str_equal(segment_analyzer(s), STR("test 1")));
        assert_int_equal(segment_field_find(s, STR("field2")), 2);
        assert_int_equal(segment_field_find(s, STR("field4")), -1);
        expect_documents(s, &m);
        for (uint32_t term = 0; term<TERMS; term += sizes[i]> 1000 ? 13 : 1)
            expect_term(s, &m, term);
        for (uint32_t term = 0; term < TERMS; term += 29)
            expect_seeks(s, &m, term, 1 + term * 3);
        segment_close(s);
        discard(&m);
    }
}

static void walks_its_terms_from_any_key(void **state)
{
    (void)state;
    struct model m = make(200, 1 << 20);
    struct segment *s;
    struct term_cursor c;
    struct term t;
    assert_int_equal(segment_open(m.path, &s), 0);
    for (uint32_t from = 0; from < TERMS; from += 17) {
        char key[16], last[600] = "";
        size_t length = term_key(from, key);
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
    discard(&m);
}

static void finds_every_version_of_an_id(void **state)
{
    (void)state;
    struct model m = make(2500, 1 << 20);
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
    discard(&m);
}

/* Reads everything; any answer will do, but not a crash. */
static void read_all(const struct segment *s)
{
    struct arena a;
    struct term_cursor c;
    struct term t;
    struct postings p;
    struct position *positions = calloc(1 << 16, sizeof *positions);
    assert_int_equal(arena_init(&a, 1 << 20, 0), 0);
    for (uint32_t n = 0; n < segment_documents(s); n++) {
        struct str text;
        uint64_t hash;
        segment_document_id(s, n, &text, &hash);
        segment_document_body(s, n, &a, &text);
        arena_reset(&a, 4096);
    }
    term_cursor_seek(&c, s, STR("s"));
    while (term_cursor_next(&c, &t))
        for (postings_open(&p, s, &t); p.document != POSTINGS_END; postings_next(&p))
            if (p.with_positions && p.count < 1 << 16)
                postings_positions(&p, positions);
    arena_finish(&a);
    free(positions);
}

static void survives_damage_to_extents(void **state)
{
    (void)state;
    struct model m = make(150, 1 << 20);
    struct stat status;
    uint32_t seed = 99;
    assert_int_equal(stat(m.path, &status), 0);
    FILE *file = fopen(m.path, "r+b");
    for (int round = 0; round < 150; round++) {
        /* Pages of LMDB's own tree are not ours to check: damage lands in values of more than a page. */
        long at = (long)(next_random(&seed) % (uint32_t)status.st_size);
        unsigned char page[16], byte;
        fseek(file, at & ~4095L, SEEK_SET);
        assert_int_equal(fread(page, 1, 16, file), 16);
        if ((page[10] & 0x04) == 0 || at % 4096 < 16) /* P_OVERFLOW; later pages of a run have no header */
            continue;
        fseek(file, at, SEEK_SET);
        byte = (unsigned char)fgetc(file);
        fseek(file, at, SEEK_SET);
        fputc(byte ^ 1 << next_random(&seed) % 8, file);
        fflush(file);
        struct segment *s;
        int err = segment_open(m.path, &s);
        if (!err) {
            read_all(s);
            segment_close(s);
        } else {
            assert_true(err == ERR_CORRUPT || err == ERR_VERSION);
        }
        fseek(file, at, SEEK_SET);
        fputc(byte, file);
        fflush(file);
    }
    fclose(file);
    for (long size = 0; size < status.st_size; size += 4096 * 7 + 1) {
        struct segment *s = NULL;
        struct model copy = make(150, 1 << 20);
        assert_int_equal(truncate(copy.path, size), 0);
        assert_int_not_equal(segment_open(copy.path, &s), 0);
        discard(&copy);
    }
    discard(&m);
}

static void refuses_what_is_out_of_order(void **state)
{
    (void)state;
    for (int what = 0; what < 4; what++) {
        char directory[] = "/tmp/mayfly-segment-XXXXXX", path[64];
        assert_non_null(mkdtemp(directory));
        snprintf(path, sizeof path, "%s/seg-1.mdb", directory);
        struct segment_options options = {.id = 1, .transaction = 1 << 20};
        struct segment_writer *w;
        struct segment_result result;
        assert_int_equal(segment_writer_open(path, &options, &w), 0);
        struct segment_document d = {.stamp = 5, .id = STR("a"), .hash = hash64(STR("a"))};
        segment_writer_document(w, &d);
        if (what == 0)
            segment_writer_document(w, &d);
        segment_writer_term(w, STR("sb"), 0);
        segment_writer_posting(w, what == 1 ? 1 : 0, 1, NULL, 0);
        if (what == 2)
            segment_writer_posting(w, 0, 1, NULL, 0);
        segment_writer_term(w, what == 3 ? STR("sa") : STR("sc"), 0);
        segment_writer_posting(w, 0, 1, NULL, 0);
        assert_int_equal(segment_writer_finish(w, &result), ERR_INVALID);
        assert_int_not_equal(access(path, F_OK), 0);
        rmdir(directory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_back_what_was_written),  cmocka_unit_test(walks_its_terms_from_any_key),
        cmocka_unit_test(finds_every_version_of_an_id), cmocka_unit_test(survives_damage_to_extents),
        cmocka_unit_test(refuses_what_is_out_of_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
