#include "index/postings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// cmocka wants the four above first
#include <cmocka.h>

#include "random.h"

enum { DOCUMENTS = 20000 };

struct list { /* plain arrays to compare with */
    uint32_t count;
    uint32_t documents[DOCUMENTS], t[DOCUMENTS];
    size_t first[DOCUMENTS + 1]; /* of its positions */
    uint32_t *positions;
};

static void make_list(struct list *l, uint32_t seed, uint32_t every, uint32_t most, bool wide)
{
    size_t used = 0;
    l->count = 0;
    for (uint32_t n = 0; n < DOCUMENTS; n++) {
        if (next_random(&seed) % every)
            continue;
        uint32_t count = 1 + next_random(&seed) % most, at = 0;
        l->documents[l->count] = n;
        l->t[l->count] = next_random(&seed) % 2 ? count : 1 + next_random(&seed) % (wide ? 1u << 24 : 9);
        l->first[l->count++] = used;
        for (uint32_t i = 0; i < count; i++) {
            at += (i > 0) + next_random(&seed) % (wide ? 1u << 20 : 40);
            l->positions[used++] = at;
        }
    }
    l->first[l->count] = used;
}

static size_t positions_of(const struct list *l, uint32_t i)
{
    return l->first[i + 1] - l->first[i];
}

static struct segment_writer *begin(char path[64])
{
    char directory[] = "/tmp/mayfly-postings-XXXXXX";
    struct segment_options options = {.id = 1, .transaction = 4 << 20};
    struct segment_writer *w;
    assert_non_null(mkdtemp(directory));
    snprintf(path, 64, "%s/seg-1.mdb", directory);
    assert_int_equal(segment_writer_open(path, &options, &w), 0);
    for (uint32_t n = 0; n < DOCUMENTS; n++) {
        struct segment_document d = {.stamp = n + 1, .id = STR("x")};
        segment_writer_document(w, &d);
    }
    return w;
}

static struct segment *end(struct segment_writer *w, const char *path)
{
    struct segment_result result;
    struct segment *s;
    assert_int_equal(segment_writer_finish(w, &result), 0);
    assert_int_equal(segment_open(path, &s), 0);
    return s;
}

static struct segment *build(const struct list *l, char path[64])
{
    struct segment_writer *w = begin(path);
    segment_writer_term(w, STR("sterm"));
    for (uint32_t i = 0; i < l->count; i++)
        segment_writer_posting(w, l->documents[i], l->t[i], l->positions + l->first[i], positions_of(l, i));
    segment_writer_term(w, STR("wterm"));
    for (uint32_t i = 0; i < l->count; i++)
        segment_writer_posting(w, l->documents[i], 1, NULL, 0);
    return end(w, path);
}

/* As a merge does, by runs of any length. */
static void pass_on(const struct segment *s, struct str key, struct segment_writer *w, uint32_t *gaps)
{
    struct term t;
    struct postings p;
    uint32_t n[POSTING_BLOCK], seed = 5;
    int err = 0;
    assert_true(segment_find_term(s, key, &t, &err));
    segment_writer_term(w, key);
    postings_open(&p, s, &t);
    while (p.document != POSTINGS_END) {
        struct posting_block *b = &p.block;
        uint32_t from = p.next - 1, count = 1 + next_random(&seed) % (b->count - from);
        struct posting_run run = {.documents = b->documents + from, .count = count};
        for (uint32_t i = 0; i < count; i++)
            n[i] = b->starts[from + i + 1] - b->starts[from + i];
        if (key.ptr[0] == TERM_STEM) {
            run.t = b->t + from;
            run.n = n;
            run.gaps = block_gaps(&p.list, b, from, from + count, gaps);
            assert_non_null(run.gaps);
        }
        segment_writer_postings(w, &run);
        postings_pass(&p, count);
    }
    assert_int_equal(p.err, 0);
}

static struct segment *build_by_runs(const struct segment *s, uint32_t *gaps, char path[64])
{
    struct segment_writer *w = begin(path);
    pass_on(s, STR("sterm"), w, gaps);
    pass_on(s, STR("wterm"), w, gaps);
    return end(w, path);
}

static void discard(struct segment *s, char path[64])
{
    segment_close(s);
    unlink(path);
    *strrchr(path, '/') = 0;
    rmdir(path);
}

static void expect_at(struct postings *p, const struct list *l, uint32_t i, bool with_positions, uint32_t *room)
{
    if (i == l->count) {
        assert_int_equal(p->document, POSTINGS_END);
        return;
    }
    assert_int_equal(p->document, l->documents[i]);
    assert_int_equal(p->t, with_positions ? l->t[i] : 1);
    assert_int_equal(p->count, with_positions ? positions_of(l, i) : 0);
    if (room && p->count) {
        assert_true(postings_positions(p, room));
        assert_memory_equal(room, l->positions + l->first[i], p->count * sizeof *room);
    }
}

/* Steps and seeks in turn, positions of some: all orders in which a query asks. */
static void walk(const struct segment *s, const struct list *l, struct str key, uint32_t reach, uint32_t *room)
{
    struct term t;
    struct postings p;
    int err = 0;
    uint32_t seed = reach, i = 0;
    bool with_positions = key.ptr[0] == TERM_STEM;
    assert_true(segment_find_term(s, key, &t, &err));
    assert_int_equal(t.documents, l->count);
    postings_open(&p, s, &t);
    while (p.document != POSTINGS_END) {
        expect_at(&p, l, i, with_positions, next_random(&seed) % 3 ? NULL : room);
        if (next_random(&seed) % 2) {
            postings_next(&p);
            i++;
        } else {
            uint32_t to = l->documents[i] + next_random(&seed) % reach;
            postings_seek(&p, to);
            while (i < l->count && l->documents[i] < to)
                i++;
        }
    }
    assert_int_equal(i, l->count);
    assert_int_equal(p.err, 0);
}

static void equals_plain_arrays(void **state)
{
    (void)state;
    static const struct {
        uint32_t every, most;
        bool wide;
    } kinds[] = {{1, 1, false},    {2, 5, false},    {40, 30, false}, {150, 3, true},
                 {157, 400, true}, {9000, 9, false}, {1, 90, true}};
    struct list *l = calloc(1, sizeof *l);
    uint32_t *room = calloc(500, sizeof *room);
    l->positions = calloc((size_t)DOCUMENTS * 50, sizeof *l->positions);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char path[64];
        make_list(l, (uint32_t)i + 11, kinds[i].every, kinds[i].most, kinds[i].wide);
        assert_true(l->count > 0);
        struct segment *s = build(l, path);
        for (uint32_t reach = 1; reach < 2 * DOCUMENTS; reach = reach * 3 + 1) {
            walk(s, l, STR("sterm"), reach, room);
            walk(s, l, STR("wterm"), reach, room);
        }
        discard(s, path);
    }
    free(l->positions);
    free(room);
    free(l);
}

static void is_the_same_when_it_was_passed_on_by_runs(void **state)
{
    (void)state;
    struct list *l = calloc(1, sizeof *l);
    uint32_t *gaps = calloc((size_t)POSTING_BLOCK * 400 + GAPS_SLACK, sizeof *gaps), *room = calloc(500, sizeof *room);
    l->positions = calloc((size_t)DOCUMENTS * 50, sizeof *l->positions);
    for (uint32_t every = 1; every < 2 * DOCUMENTS; every *= 9) {
        char path[64], again_path[64];
        make_list(l, every, every, every < 80 ? 50 : 400, every == 81);
        struct segment *s = build(l, path), *again = build_by_runs(s, gaps, again_path);
        walk(again, l, STR("sterm"), 7, room);
        walk(again, l, STR("wterm"), 7, room);
        discard(s, path);
        discard(again, again_path);
    }
    free(l->positions);
    free(gaps);
    free(room);
    free(l);
}

static void holds_a_document_that_repeats_one_word(void **state)
{
    (void)state;
    enum { TIMES = 3000000 };
    char path[64];
    struct list *l = calloc(1, sizeof *l);
    uint32_t *room = calloc(TIMES, sizeof *room);
    l->positions = calloc(TIMES + 2, sizeof *l->positions);
    l->count = 3; /* of which the second is above an extent by itself */
    for (uint32_t i = 0; i < TIMES + 2; i++)
        l->positions[i] = i;
    for (uint32_t i = 0; i < 3; i++) {
        l->documents[i] = i * 7;
        l->t[i] = i == 1 ? TIMES : 1;
        l->first[i + 1] = l->first[i] + l->t[i];
    }
    struct segment *s = build(l, path);
    walk(s, l, STR("sterm"), 3, room);
    walk(s, l, STR("sterm"), 30, room);
    discard(s, path);
    free(l->positions);
    free(room);
    free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_plain_arrays),
        cmocka_unit_test(is_the_same_when_it_was_passed_on_by_runs),
        cmocka_unit_test(holds_a_document_that_repeats_one_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
