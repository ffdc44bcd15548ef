#include "index/postings.h"
#include "index/segment.h"

#include <errno.h>
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

#include "common/bytes.h"
#include "common/crc.h"
#include "common/err.h"
#include "common/hash.h"
#include "index/format.h"
#include "index/score.h"
#include "random.h"

enum { TERMS = 300, MAX_POSITIONS = 6 };

/* What the segment was made from, to compare with. */
struct model {
    char directory[32], path[64];
    uint32_t documents, seed;
};

/* Whether a term is in a document, and how: the same answer each time. */
static size_t occurrences(uint32_t term, uint32_t document, uint32_t out[MAX_POSITIONS])
{
    uint32_t seed = term * 2654435761u ^ document * 40503u;
    next_random(&seed);
    if (next_random(&seed) % (1 + term % 50) != 0)
        return 0;
    size_t count = 1 + next_random(&seed) % MAX_POSITIONS;
    uint32_t at = 0;
    for (size_t i = 0; i < count; i++) {
        at += next_random(&seed) % 1000 + (i > 0) + (document % 41 == 3 && i + 1 == count ? 1000000 : 0);
        out[i] = at;
    }
    return count;
}

static uint32_t t_of(uint32_t count, uint32_t document)
{
    return count + (document % 61 == 7 ? 4000 : document % 2);
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

static size_t ranges_of(uint32_t document, struct field_range out[4])
{
    size_t count = document % 5;
    for (uint32_t i = 0; i < count; i++)
        out[i] = (struct field_range){.field = (document + i) % 4, .from = document % 3 + i * 1000};
    return count;
}

static void write_documents(struct segment_writer *w, uint32_t documents)
{
    char *body = malloc(100000), id[32];
    struct field_range ranges[4];
    for (uint32_t n = 0; n < documents; n++) {
        struct segment_document d = {.stamp = 1000 + 3 * n, .body = body_of(n, body), .length_code = length_encode(n)};
        d.id = (struct str){id, (size_t)snprintf(id, sizeof id, "id-%u", n % 1000)};
        d.hash = hash64(d.id);
        d.ranges = ranges;
        d.range_count = ranges_of(n, ranges);
        segment_writer_document(w, &d);
    }
    free(body);
}

static void write_terms(struct segment_writer *w, uint32_t documents)
{
    for (uint32_t term = 0; term < TERMS; term++) {
        char key[16];
        uint32_t positions[MAX_POSITIONS];
        size_t length = term_key(term, key);
        segment_writer_term(w, (struct str){key, length});
        for (uint32_t n = 0; n < documents; n++) {
            size_t count = occurrences(term, n, positions);
            if (count)
                segment_writer_posting(w, n, key[0] == 's' ? t_of((uint32_t)count, n) : 1, positions,
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

static void expect_ranges(const struct segment *s, uint32_t document)
{
    struct field_ranges r;
    struct field_range wanted[4];
    size_t count = ranges_of(document, wanted);
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
    uint32_t wanted[MAX_POSITIONS], got[MAX_POSITIONS];
    int err = 0;
    uint32_t found = 0;
    size_t length = term_key(term, key);
    if (!segment_find_term(s, (struct str){key, length}, &t, &err)) {
        for (uint32_t n = 0; n < m->documents; n++)
            assert_int_equal(occurrences(term, n, wanted), 0);
        return;
    }
    postings_open(&p, s, &t);
    for (uint32_t n = 0; n < m->documents; n++) {
        size_t count = occurrences(term, n, wanted);
        if (!count)
            continue;
        assert_int_equal(p.document, n);
        assert_int_equal(p.count, key[0] == 's' ? count : 0);
        assert_int_equal(p.t, key[0] == 's' ? t_of((uint32_t)count, n) : 1);
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

/* Everything a segment says, as one number; the first error it gives, or 0. */
struct reading {
    uint64_t sum;
    int err;
    const char *section; /* where, if err */
};

static void add(struct reading *r, const void *bytes, size_t size)
{
    r->sum = r->sum * 31 + hash64((struct str){bytes, size});
}

static void note(struct reading *r, int err)
{
    if (!r->err)
        r->err = err;
}

static void read_documents(struct reading *r, const struct segment *s)
{
    struct arena a;
    assert_int_equal(arena_init(&a, 1 << 20, 0), 0);
    for (uint32_t n = 0; n < segment_documents(s); n++) {
        struct str id = {0}, body = {0};
        uint64_t hash = 0;
        uint32_t from = 0, document = 0;
        note(r, segment_document_id(s, n, &id, &hash));
        note(r, segment_document_body(s, n, &a, &body));
        if (id.ptr && !segment_find_id(s, hash, id, &from, &document, &r->err))
            note(r, ERR_CORRUPT); /* would be a wrong answer */
        add(r, &document, sizeof document);
        add(r, id.ptr, id.len);
        add(r, body.ptr, body.len);
        arena_reset(&a, 4096);
    }
    arena_finish(&a);
    add(r, segment_stamps(s), segment_documents(s) * sizeof(uint64_t));
    add(r, segment_length_codes(s), segment_documents(s));
}

static void read_postings(struct reading *r, const struct segment *s, const struct term *t, uint32_t *positions)
{
    struct postings p;
    for (postings_open(&p, s, t); p.document != POSTINGS_END; postings_next(&p)) {
        uint32_t what[] = {p.document, p.t, p.count};
        add(r, what, sizeof what);
        if (p.count && p.count <= MAX_POSITIONS && postings_positions(&p, positions))
            add(r, positions, p.count * sizeof *positions);
    }
    note(r, p.err);
}

static void read_terms(struct reading *r, const struct segment *s)
{
    struct term_cursor c;
    struct term t;
    uint32_t positions[MAX_POSITIONS];
    term_cursor_seek(&c, s, (struct str){0});
    while (term_cursor_next(&c, &t)) {
        add(r, t.key.ptr, t.key.len);
        read_postings(r, s, &t, positions);
    }
    note(r, c.err);
}

static struct reading read_all(const char *path)
{
    struct reading r = {0};
    struct segment *s;
    r.err = segment_open_named(path, &s, &r.section);
    if (r.err)
        return r;
    for (uint32_t field = 0; field < segment_fields(s); field++)
        add(&r, segment_field_name(s, field).ptr, segment_field_name(s, field).len);
    add(&r, segment_analyzer(s).ptr, segment_analyzer(s).len);
    read_documents(&r, s);
    read_terms(&r, s);
    r.section = segment_damaged(s, NULL);
    segment_close(s);
    return r;
}

static void damage(FILE *file, long at, unsigned bit)
{
    fseek(file, at, SEEK_SET);
    int byte = fgetc(file);
    fseek(file, at, SEEK_SET);
    fputc(byte ^ (int)(1u << bit), file);
    fflush(file);
}

static void gives_the_right_answer_or_says_corrupt(void **state)
{
    (void)state;
    struct model m = make(150, 1 << 20);
    struct reading whole = read_all(m.path);
    struct stat status;
    uint32_t seed = 99, refused = 0;
    assert_int_equal(whole.err, 0);
    assert_int_equal(stat(m.path, &status), 0);
    FILE *file = fopen(m.path, "r+b");
    for (long round = 0; round < 600; round++) {
        long at = (long)(next_random(&seed) % (uint32_t)status.st_size);
        if (round < 256) /* each bit of the footer */
            at = (long)status.st_size - 32 + round / 8;
        else if (round < 320) /* LMDB's headers */
            at = (round - 256) * 128;
        damage(file, at, (unsigned)round % 8);
        struct reading r = read_all(m.path);
        if (r.err)
            assert_int_equal(r.err, ERR_CORRUPT);
        else
            assert_true(r.sum == whole.sum);
        assert_true(round >= 320 || r.err);
        refused += r.err != 0;
        damage(file, at, (unsigned)round % 8);
    }
    assert_true(refused > 400);
    fclose(file);
    discard(&m);
}

/* ------------------------------------------------------------------------------------------------------ every section
 */

/* What make(700) makes: CRC-32C of the first extent's payload. Where one changes, the section's version has to (format.h).
 * 0: what LZ4 makes of the bodies is its own. The TOC is looked at behind its version. */
static const struct {
    enum section section;
    const char *name;
    uint8_t version;
    uint32_t crc;
} sections[] = {
    {SECTION_TOC, "TOC", 1, 0xf9cf576f},
    {SECTION_DICTIONARY, "dictionary", 4, 0x378742ab},
    {SECTION_BLOCKS, "block index", 1, 0x75ed8e8f},
    {SECTION_POSTINGS, "postings", 3, 0x067c6e41},
    {SECTION_POSITIONS, "positions", 2, 0x54486a37},
    {SECTION_LENGTHS, "length codes", 1, 0xd772eaab},
    {SECTION_STAMPS, "stamps", 1, 0xa84e86eb},
    {SECTION_IDS, "records", 2, 0xc307261f},
    {SECTION_ID_PLACES, "id places", 1, 0xfe69e2d7},
    {SECTION_HASHES, "id hashes", 1, 0x075faa2b},
    {SECTION_HASH_DOCUMENTS, "hash documents", 1, 0x678d5008},
    {SECTION_BODIES, "stored bodies", 1, 0},
    {SECTION_BODY_BLOCKS, "body blocks", 5, 0},
    {SECTION_BODY_ENDS, "body ends", 1, 0x5e717ea7},
};

enum { PAGE = 4096 /* LMDB's, of the machines that tests run on */, FLIPS = 5 };

/* Where the payload of a section's first extent begins in the file, which is how many bytes; 0: no such section. */
static long find_section(FILE *file, enum section section, uint32_t *out_size)
{
    uint32_t head[3];
    for (long at = 16; fseek(file, at, SEEK_SET) == 0 && fread(head, sizeof head, 1, file) == 1; at += PAGE) {
        if (head[0] == EXTENT_MAGIC && head[2] == section_word(section)) {
            *out_size = head[1];
            return at + EXTENT_HEADER;
        }
    }
    return 0;
}

struct forms { /* what there is to be damaged */
    uint32_t several_blocks, bitsets, position_exceptions, t_exceptions;
};

static void look_at_block(const struct posting_list *l, uint32_t number, struct posting_block *b, struct forms *f)
{
    static uint32_t positions[POSTING_BLOCK * MAX_POSITIONS];
    assert_int_equal(block_enter(l, number, b), 0);
    block_documents(l, b);
    f->bitsets += b->words > 0;
    f->t_exceptions += b->t_values.exception_count > 0;
    assert_int_equal(block_frequencies(l, b), 0);
    if (!l->with_positions)
        return;
    assert_int_equal(block_starts(l, b), 0);
    assert_int_equal(block_positions(l, b, 0, 0, positions), 0);
    f->position_exceptions += b->has_position_exceptions;
}

static struct forms look_at_forms(const char *path)
{
    struct forms f = {0};
    struct posting_block *b = malloc(sizeof *b);
    struct segment *s;
    struct term_cursor c;
    struct term t;
    assert_int_equal(segment_open(path, &s), 0);
    term_cursor_seek(&c, s, (struct str){0});
    while (term_cursor_next(&c, &t)) {
        struct posting_list l;
        assert_int_equal(list_open(&l, s, &t, segment_kernels(s)), 0);
        f.several_blocks += l.blocks > 1;
        for (uint32_t number = 0; number < l.blocks && !t.inlined.len; number++)
            look_at_block(&l, number, b, &f);
    }
    segment_close(s);
    free(b);
    return f;
}

static void names_the_section_of_a_flipped_bit(void **state)
{
    (void)state;
    struct model m = make(700, 1 << 20);
    struct forms f = look_at_forms(m.path);
    assert_true(f.several_blocks > 3 && f.bitsets > 3 && f.position_exceptions > 3 && f.t_exceptions > 3);
    FILE *file = fopen(m.path, "r+b");
    for (size_t i = 0; i < FLIPS * sizeof sections / sizeof *sections; i++) {
        uint32_t size = 0, seed = (uint32_t)i;
        enum section section = sections[i / FLIPS].section;
        long at = find_section(file, section, &size);
        assert_true(at > 0 && size > 0);
        at += (long)(next_random(&seed) % size);
        damage(file, at, (unsigned)i % 8);
        struct reading r = read_all(m.path);
        assert_int_equal(r.err, ERR_CORRUPT);
        assert_string_equal(r.section, sections[i / FLIPS].name);
        damage(file, at, (unsigned)i % 8);
    }
    assert_int_equal(read_all(m.path).err, 0);
    fclose(file);
    discard(&m);
}

static void refuses_a_file_of_another_length(void **state)
{
    (void)state;
    struct model m = make(40, 1 << 20);
    struct segment *s = NULL;
    struct stat status;
    assert_int_equal(stat(m.path, &status), 0);
    assert_int_equal(truncate(m.path, status.st_size + 4096), 0);
    assert_int_equal(segment_open(m.path, &s), ERR_CORRUPT);
    for (long size = status.st_size - 1; size > 0; size -= size % 4096 ? 1 + size % 4096 : 4096) {
        assert_int_equal(truncate(m.path, size), 0);
        assert_int_equal(segment_open(m.path, &s), ERR_CORRUPT);
    }
    assert_int_equal(truncate(m.path, 0), 0);
    assert_int_equal(segment_open(m.path, &s), ERR_CORRUPT);
    discard(&m);
    assert_int_equal(segment_open(m.path, &s), -ENOENT);
}

/* The version and its complement stand before the last 4 bytes. */
static void refuses_another_version(void **state)
{
    (void)state;
    struct model m = make(3, 1 << 20);
    struct segment *s = NULL;
    uint32_t version[2] = {FORMAT_VERSION + 1, ~(uint32_t)(FORMAT_VERSION + 1)};
    FILE *file = fopen(m.path, "r+b");
    fseek(file, -12, SEEK_END);
    assert_int_equal(fwrite(version, sizeof version, 1, file), 1);
    fclose(file);
    assert_int_equal(segment_open(m.path, &s), ERR_VERSION);
    discard(&m);
}

/* Gives the first extent of a section another version, with the checksum that goes with it. */
static void change_version(const char *path, enum section section)
{
    FILE *file = fopen(path, "r+b");
    uint8_t head[EXTENT_HEADER];
    for (long at = 16;; at += 4096) {
        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        assert_int_equal(fread(head, sizeof head, 1, file), 1);
        if (load_u32(head) == EXTENT_MAGIC && head[8] == section)
            break;
    }
    long at = ftell(file) - EXTENT_HEADER;
    uint32_t size = load_u32(head + 4);
    size_t checksums = 4 * ((size_t)size / PIECE + (size % PIECE > 0));
    uint8_t *behind = malloc(checksums + 1);
    fseek(file, at + EXTENT_HEADER + (long)size, SEEK_SET);
    assert_int_equal(fread(behind, 1, checksums, file), checksums);
    head[9]++;
    store_u32(head + 12, crc32c(crc32c(0, head, 12), behind, checksums));
    fseek(file, at, SEEK_SET);
    assert_int_equal(fwrite(head, sizeof head, 1, file), 1);
    fclose(file);
    free(behind);
}

static void refuses_a_section_of_another_version(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        struct model m = make(300, 1 << 20);
        struct segment *s = NULL;
        change_version(m.path, sections[i].section);
        assert_int_equal(segment_open(m.path, &s), ERR_VERSION);
        discard(&m);
    }
}

static uint32_t checksum(FILE *file, long at, uint32_t size)
{
    uint8_t *payload = malloc(size);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fread(payload, size, 1, file), 1);
    uint32_t crc = crc32c(0, payload, size);
    free(payload);
    return crc;
}

static void has_other_bytes_only_in_another_version(void **state)
{
    (void)state;
    struct model m = make(700, 1 << 20);
    FILE *file = fopen(m.path, "rb");
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        uint32_t size = 0, front = sections[i].section == SECTION_TOC ? 4 : 0;
        long at = find_section(file, sections[i].section, &size);
        assert_int_equal(section_version(sections[i].section), sections[i].version);
        assert_true(sections[i].version <= FORMAT_VERSION);
        if (sections[i].crc)
            assert_int_equal(checksum(file, at + front, size - front), sections[i].crc);
    }
    fclose(file);
    discard(&m);
}

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
        m[i] = make(700, 256 << 10);
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
        discard(&m[i]);
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
    discard(&m);
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
    discard(&m);
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
    discard(&m);
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
        cmocka_unit_test(reads_back_what_was_written),
        cmocka_unit_test(walks_its_terms_from_any_key),
        cmocka_unit_test(finds_every_version_of_an_id),
        cmocka_unit_test(gives_the_right_answer_or_says_corrupt),
        cmocka_unit_test(names_the_section_of_a_flipped_bit),
        cmocka_unit_test(refuses_a_file_of_another_length),
        cmocka_unit_test(spans_chunks_and_extents),
        cmocka_unit_test(finds_fields_among_many_ranges),
        cmocka_unit_test(numbers_many_fields),
        cmocka_unit_test(refuses_another_version),
        cmocka_unit_test(refuses_a_section_of_another_version),
        cmocka_unit_test(has_other_bytes_only_in_another_version),
        cmocka_unit_test(writes_the_same_bytes_again),
        cmocka_unit_test(refuses_what_is_out_of_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
