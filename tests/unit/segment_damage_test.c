/* What is left of a damaged segment: the right answer, or that it is damaged, and where. */
#include "index/segment.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "common/crc.h"
#include "common/err.h"
#include "common/hash.h"
#include "index/format.h"
#include "index/pairs.h"
#include "index/postings.h"
#include "random.h"
#include "segment_model.h"

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

static uint32_t documents_of(struct reading *r, const struct segment *s, struct str key)
{
    struct term t;
    int err = 0;
    bool found = segment_find_term(s, key, &t, &err);
    note(r, err);
    return found ? t.documents : 0;
}

static void read_pairs(struct reading *r, const struct segment *s)
{
    static uint32_t postings[MAX_POSITIONS + KERNEL_OVERWRITE];
    for (uint32_t first = 0; segment_pairs_least(s) && first < TERMS; first++) {
        char keys[2][16];
        struct pair_word before = {.key = {keys[0], model_key(first, keys[0])}}, behind;
        behind.key = (struct str){keys[1], model_key((first + 1) % TERMS, keys[1])};
        struct pair_list l = {0};
        before.documents = documents_of(r, s, before.key);
        behind.documents = documents_of(r, s, behind.key);
        int known = segment_pair(s, &before, &behind, &l);
        note(r, known < 0 ? known : 0);
        add(r, &known, sizeof known);
        if (known <= 0 || l.count == 0 || l.count > MAX_POSITIONS)
            continue;
        int err = segment_pair_postings(s, &l, postings);
        note(r, err);
        add(r, postings, err ? 0 : l.count * sizeof *postings);
    }
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
    read_pairs(&r, s);
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
    struct model m = model_make(150, 1 << 20);
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
    model_discard(&m);
}

/* ---------------------------------------------------------------------------------------------------- every section */

/* What model_make(700) makes: CRC-32C of the first extent's payload. Where one changes, the section's version has to (format.h).
 * 0: what LZ4 makes of the bodies is its own. The TOC is looked at behind its version. */
static const struct {
    enum section section;
    const char *name;
    uint8_t version;
    uint32_t crc;
} sections[] = {
    {SECTION_TOC, "TOC", 7, 0x0f69452a},
    {SECTION_DICTIONARY, "dictionary", 6, 0x29144aef},
    {SECTION_BLOCKS, "block index", 1, 0xfad36997},
    {SECTION_POSTINGS, "postings", 3, 0x053c0c7e},
    {SECTION_POSITIONS, "positions", 2, 0x83537a7a},
    {SECTION_PAIRS, "pairs", 7, 0x4248aa9c},
    {SECTION_PAIR_WORDS, "pair words", 7, 0x006a77c9},
    {SECTION_LENGTHS, "length codes", 1, 0xd772eaab},
    {SECTION_STAMPS, "stamps", 1, 0xa84e86eb},
    {SECTION_IDS, "records", 2, 0xc307261f},
    {SECTION_ID_PLACES, "id places", 1, 0xfe69e2d7},
    {SECTION_HASHES, "id hashes", 1, 0x075faa2b},
    {SECTION_HASH_DOCUMENTS, "hash documents", 1, 0x678d5008},
    {SECTION_BODIES, "stored bodies", 6, 0},
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
    struct model m = model_make(700, 1 << 20);
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
    model_discard(&m);
}

static void refuses_a_file_of_another_length(void **state)
{
    (void)state;
    struct model m = model_make(40, 1 << 20);
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
    model_discard(&m);
    assert_int_equal(segment_open(m.path, &s), -ENOENT);
}

/* The version and its complement stand before the last 4 bytes. */
static void refuses_another_version(void **state)
{
    (void)state;
    struct model m = model_make(3, 1 << 20);
    struct segment *s = NULL;
    uint32_t version[2] = {FORMAT_VERSION + 1, ~(uint32_t)(FORMAT_VERSION + 1)};
    FILE *file = fopen(m.path, "r+b");
    fseek(file, -12, SEEK_END);
    assert_int_equal(fwrite(version, sizeof version, 1, file), 1);
    fclose(file);
    assert_int_equal(segment_open(m.path, &s), ERR_VERSION);
    model_discard(&m);
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
        struct model m = model_make(300, 1 << 20);
        struct segment *s = NULL;
        change_version(m.path, sections[i].section);
        assert_int_equal(segment_open(m.path, &s), ERR_VERSION);
        model_discard(&m);
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
    struct model m = model_make(700, 1 << 20);
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
    model_discard(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_right_answer_or_says_corrupt),
        cmocka_unit_test(names_the_section_of_a_flipped_bit),
        cmocka_unit_test(refuses_a_file_of_another_length),
        cmocka_unit_test(refuses_another_version),
        cmocka_unit_test(refuses_a_section_of_another_version),
        cmocka_unit_test(has_other_bytes_only_in_another_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
