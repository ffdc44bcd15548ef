#include "index/merge.h"
#include "index/image.h"
#include "index/postings.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
// cmocka wants the four above first
#include <cmocka.h>

#include "common/arena.h"
#include "common/err.h"
#include "common/hash.h"
#include "index/score.h"

/* Documents are numbers; what they hold follows from the number, so that a merge can be compared with the segment that
 * is built from the same documents at once. Stamp = 10 * number + 7. */
enum { TERMS = 120, MAX_INPUTS = 5, MAX_POSITIONS = 5, BODY_ROOM = 70000 };

static uint32_t mix(uint32_t a, uint32_t b)
{
    uint32_t h = a * 2654435761u ^ (b + 0x9e3779b9u) * 40503u;
    h ^= h >> 15;
    h *= 0x85ebca6bu;
    return h ^ h >> 13;
}

static bool has_term(uint32_t term, uint32_t number)
{
    return mix(term, number) % (1 + term / 3) == 0;
}

static size_t key_of(uint32_t term, char key[16])
{
    return (size_t)snprintf(key, 16, "%cterm%04u", term < TERMS - 20 ? 's' : 'w', term * 3);
}

static uint32_t positions_of(uint32_t term, uint32_t number, uint32_t out[MAX_POSITIONS])
{
    uint32_t count = 1 + mix(number, term) % MAX_POSITIONS;
    for (uint32_t i = 0; i < count; i++)
        out[i] = term + i * (1 + number % 200);
    return count;
}

static struct str body_of(uint32_t number, char *room)
{
    size_t length = number % 101 == 3 ? BODY_ROOM : mix(number, 1) % 400;
    for (size_t i = 0; i < length; i++)
        room[i] = (char)('a' + (mix(number, (uint32_t)(i / 7)) + i) % 26);
    return (struct str){room, length};
}

struct fixture {
    char directory[40];
    char paths[MAX_INPUTS + 3][80];
};

static void begin(struct fixture *f)
{
    snprintf(f->directory, sizeof f->directory, "/tmp/mayfly-merge-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    for (size_t i = 0; i < MAX_INPUTS + 3; i++)
        snprintf(f->paths[i], sizeof f->paths[i], "%s/seg-%zu.mdb", f->directory, i);
}

static void end(struct fixture *f)
{
    for (size_t i = 0; i < MAX_INPUTS + 3; i++)
        unlink(f->paths[i]);
    assert_int_equal(rmdir(f->directory), 0);
}

/* Field names in an order of its own for each segment, so that merging renumbers them. */
static uint32_t open_fields(struct segment_writer *w, uint32_t rotation)
{
    static const char *const names[] = {"title", "body", "a.b"};
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(segment_writer_field(w, str_of(names[(i + rotation) % 3])), i);
    return rotation;
}

static void put_document(struct segment_writer *w, uint32_t number, uint32_t rotation, char *room)
{
    char id[32];
    struct field_range ranges[3];
    for (uint32_t i = 0; i < 3; i++) /* the same name has another number here */
        ranges[i] = (struct field_range){.field = (i + number + 3 - rotation) % 3, .from = i * (50 + number % 100)};
    struct segment_document d = {.stamp = 10u * number + 7,
                                 .id = {id, (size_t)snprintf(id, sizeof id, "id-%u", number % 777)},
                                 .body = body_of(number, room),
                                 .length_code = length_encode(number % 1000)};
    d.hash = hash64(d.id);
    d.ranges = ranges;
    d.range_count = number % 4;
    segment_writer_document(w, &d);
}

static void put_term(struct segment_writer *w, uint32_t term, const uint32_t *numbers, uint32_t count)
{
    char key[16];
    uint32_t positions[MAX_POSITIONS];
    size_t length = key_of(term, key);
    segment_writer_term(w, (struct str){key, length});
    for (uint32_t i = 0; i < count; i++) {
        if (!has_term(term, numbers[i]))
            continue;
        uint32_t n = positions_of(term, numbers[i], positions);
        segment_writer_posting(w, i, key[0] == 's' ? n + numbers[i] % 3 : 1, positions, key[0] == 's' ? n : 0);
    }
}

static struct segment *build(const char *path, uint32_t segment, const uint32_t *numbers, uint32_t count)
{
    struct segment_options options = {.id = segment, .transaction = 256 << 10, .analyzer = STR("test 1")};
    struct segment_writer *w;
    struct segment_result result;
    struct segment *s;
    const char *section;
    options.image = segment % 2 ? IMAGE_MOST : 0; /* if it is small */
    char *room = malloc(BODY_ROOM);
    assert_int_equal(segment_writer_open(path, &options, &w), 0);
    uint32_t rotation = open_fields(w, segment % 3);
    for (uint32_t i = 0; i < count; i++)
        put_document(w, numbers[i], rotation, room);
    for (uint32_t term = 0; term < TERMS; term++)
        put_term(w, term, numbers, count);
    assert_int_equal(segment_writer_finish(w, &result), 0);
    int err = result.image ? segment_open_image(result.image, &s, &section) : segment_open(path, &s);
    assert_int_equal(err, 0);
    image_release(result.image);
    free(room);
    return s;
}

static void expect_same_ranges(const struct segment *a, const struct segment *b, uint32_t document)
{
    struct field_ranges p, q;
    struct field_range left, right;
    assert_int_equal(segment_field_ranges(a, document, &p), 0);
    assert_int_equal(segment_field_ranges(b, document, &q), 0);
    while (field_ranges_next(&p, &left)) {
        assert_true(field_ranges_next(&q, &right));
        assert_int_equal(left.from, right.from);
        assert_true(str_equal(segment_field_name(a, left.field), segment_field_name(b, right.field)));
    }
    assert_false(field_ranges_next(&q, &right));
}

static void expect_same_documents(const struct segment *a, const struct segment *b)
{
    struct arena arena;
    assert_int_equal(arena_init(&arena, 4 << 20, 0), 0);
    assert_int_equal(segment_documents(a), segment_documents(b));
    for (uint32_t n = 0; n < segment_documents(a); n++) {
        struct str left, right;
        uint64_t hash, same;
        assert_int_equal(segment_stamps(a)[n], segment_stamps(b)[n]);
        assert_int_equal(segment_length_codes(a)[n], segment_length_codes(b)[n]);
        assert_int_equal(segment_document_id(a, n, &left, &hash), 0);
        assert_int_equal(segment_document_id(b, n, &right, &same), 0);
        assert_true(str_equal(left, right) && hash == same);
        expect_same_ranges(a, b, n);
        assert_int_equal(segment_document_body(a, n, &arena, &left), 0);
        assert_int_equal(segment_document_body(b, n, &arena, &right), 0);
        assert_true(str_equal(left, right));
        arena_reset(&arena, 1 << 20);
    }
    arena_finish(&arena);
}

static void expect_same_positions(struct postings *p, struct postings *q)
{
    uint32_t left[MAX_POSITIONS], right[MAX_POSITIONS];
    assert_true(postings_positions(p, left) && postings_positions(q, right));
    assert_memory_equal(left, right, p->count * sizeof *left);
}

static void expect_same_terms(const struct segment *a, const struct segment *b)
{
    struct term_cursor c, d;
    struct term t, u;
    term_cursor_seek(&c, a, (struct str){0});
    term_cursor_seek(&d, b, (struct str){0});
    while (term_cursor_next(&c, &t)) {
        struct postings p, q;
        assert_true(term_cursor_next(&d, &u));
        assert_true(str_equal(t.key, u.key));
        assert_int_equal(t.documents, u.documents);
        postings_open(&p, a, &t);
        postings_open(&q, b, &u);
        for (; p.document != POSTINGS_END; postings_next(&p), postings_next(&q)) {
            assert_true(p.document == q.document && p.t == q.t && p.count == q.count);
            if (p.count)
                expect_same_positions(&p, &q);
        }
        assert_true(q.document == POSTINGS_END && p.err == 0 && q.err == 0);
    }
    assert_false(term_cursor_next(&d, &u));
}

static void expect_same_lookups(const struct segment *a, const struct segment *b)
{
    for (uint32_t n = 0; n < 777; n++) {
        char id[32];
        struct str text = {id, (size_t)snprintf(id, sizeof id, "id-%u", n)};
        uint32_t from = 0, also = 0, x, y;
        int err = 0;
        while (segment_find_id(a, hash64(text), text, &from, &x, &err)) {
            assert_true(segment_find_id(b, hash64(text), text, &also, &y, &err));
            assert_int_equal(x, y);
        }
        assert_false(segment_find_id(b, hash64(text), text, &also, &y, &err));
        assert_int_equal(err, 0);
    }
}

/* Deletions as core.mdb has them; NULL chunks where nothing is deleted. */
static void mark(struct core_segment *core, uint32_t document)
{
    struct deletion_chunk **chunk = &core->chunks[document / CHUNK_DOCUMENTS];
    if (!*chunk)
        *chunk = calloc(1, sizeof **chunk);
    (*chunk)->bits[document % CHUNK_DOCUMENTS / 64] |= (uint64_t)1 << document % 64;
    (*chunk)->count++;
    core->deleted++;
}

struct plan {
    uint32_t documents, inputs;
    uint32_t run;     /* consecutive documents that go to one input */
    uint32_t deleted; /* one in so many; 0: none, 1: all */
};

static bool is_dead(const struct plan *p, uint32_t number)
{
    return p->deleted && mix(number, 77) % p->deleted == 0;
}

static size_t progress_calls;

static int count_calls(void *context, uint32_t documents)
{
    uint32_t *last = context;
    assert_true(documents >= *last);
    *last = documents;
    progress_calls++;
    return 0;
}

static void expect_same(const struct segment *a, const struct segment *b)
{
    expect_same_documents(a, b);
    expect_same_terms(a, b);
    expect_same_lookups(a, b);
}

/* Blocks of bodies that were copied, and end early where their neighbours were not, are copied once more. */
static void merge_again(const struct fixture *f, struct segment *merged, const struct segment *wanted)
{
    struct segment_options options = {.id = 100, .transaction = 1 << 20, .analyzer = STR("test 1")};
    struct merge_input input = {.segment = merged};
    struct segment_result result;
    struct segment *again;
    const char *path = f->paths[MAX_INPUTS + 2];
    assert_int_equal(merge_segments(path, &options, &input, 1, NULL, NULL, &result, NULL), 0);
    assert_int_equal(segment_open(path, &again), 0);
    expect_same(wanted, again);
    segment_close(again);
}

static void merge_and_compare(const struct plan *p)
{
    struct fixture f;
    struct merge_input inputs[MAX_INPUTS];
    struct core_segment cores[MAX_INPUTS] = {0};
    uint32_t *numbers = calloc(p->documents + 1, sizeof *numbers), live = 0, last = 0;
    struct segment_options options = {.id = 99, .transaction = 1 << 20, .analyzer = STR("test 1")};
    struct segment_result result;
    struct segment *segments[MAX_INPUTS], *merged, *wanted;
    begin(&f);
    for (uint32_t i = 0; i < p->inputs; i++) {
        uint32_t count = 0;
        for (uint32_t n = 0; n < p->documents; n++)
            if (n / p->run % p->inputs == i)
                numbers[count++] = n;
        segments[i] = build(f.paths[i], i, numbers, count);
        cores[i].documents = count;
        cores[i].chunk_count = core_chunks(count);
        cores[i].chunks = calloc(cores[i].chunk_count + 1, sizeof *cores[i].chunks);
        for (uint32_t k = 0; k < count; k++)
            if (is_dead(p, numbers[k]))
                mark(&cores[i], k);
        inputs[i] = (struct merge_input){segments[i], p->deleted ? &cores[i] : NULL};
    }
    for (uint32_t n = 0; n < p->documents; n++)
        if (!is_dead(p, n))
            numbers[live++] = n;
    wanted = build(f.paths[MAX_INPUTS], MAX_INPUTS, numbers, live);
    progress_calls = 0;
    assert_int_equal(
        merge_segments(f.paths[MAX_INPUTS + 1], &options, inputs, p->inputs, count_calls, &last, &result, NULL), 0);
    assert_true(progress_calls >= 2 && last == live && result.documents == live);
    assert_int_equal(segment_open(f.paths[MAX_INPUTS + 1], &merged), 0);
    expect_same(wanted, merged);
    merge_again(&f, merged, wanted);
    segment_close(merged);
    segment_close(wanted);
    for (uint32_t i = 0; i < p->inputs; i++) {
        for (size_t k = 0; k < cores[i].chunk_count; k++)
            free(cores[i].chunks[k]);
        free(cores[i].chunks);
        segment_close(segments[i]);
    }
    free(numbers);
    end(&f);
}

static void equals_the_segment_built_at_once(void **state)
{
    (void)state;
    static const struct plan plans[] = {
        {1, 1, 1, 0},    {1, 1, 1, 1},     {500, 2, 1, 0},   {500, 1, 1, 3},      {900, 3, 7, 4},
        {900, 5, 1, 10}, {900, 5, 180, 2}, {900, 4, 300, 5}, {2600, 5, 1300, 20}, {700, 3, 50, 1},
        {700, 1, 1, 0},  {1500, 3, 500, 0}, {1500, 2, 250, 300}, {2500, 2, 200, 0},
    };
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++)
        merge_and_compare(&plans[i]);
}

static int stop_at_once(void *context, uint32_t documents)
{
    (void)context;
    (void)documents;
    return ERR_CLOSED;
}

static void leaves_nothing_when_it_fails(void **state)
{
    (void)state;
    struct fixture f;
    uint32_t numbers[] = {1, 2, 3};
    struct segment_options options = {.id = 9, .transaction = 1 << 20, .analyzer = STR("another")};
    struct segment_result result;
    size_t at_fault = 7;
    begin(&f);
    struct segment *s = build(f.paths[0], 0, numbers, 3);
    struct merge_input input = {.segment = s};
    assert_int_equal(merge_segments(f.paths[1], &options, &input, 1, NULL, NULL, &result, &at_fault), ERR_INVALID);
    assert_int_equal(at_fault, 0);
    assert_int_not_equal(access(f.paths[1], F_OK), 0);
    options.analyzer = STR("test 1");
    assert_int_equal(merge_segments(f.paths[1], &options, &input, 1, stop_at_once, NULL, &result, &at_fault),
                     ERR_CLOSED);
    assert_int_equal(at_fault, 1);
    assert_int_not_equal(access(f.paths[1], F_OK), 0);
    assert_int_equal(merge_segments(f.paths[0], &options, &input, 1, NULL, NULL, &result, NULL), -EEXIST);
    assert_int_equal(access(f.paths[0], F_OK), 0);
    segment_close(s);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_the_segment_built_at_once),
        cmocka_unit_test(leaves_nothing_when_it_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
