#include "shaped_lists.h"

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

#include "index/segment.h"
#include "random.h"

/* ----------------------------------------------------------------------------------------------------------- shapes */

enum t_kind { T_IS_ONE, T_IS_N, T_SMALL, T_WITH_OUTLIERS, T_HUGE };
enum n_kind { N_IS_ONE, N_FEW, N_MANY, N_WITH_A_HUGE_ONE };
enum at_kind { AT_NEAR, AT_ALIKE, AT_WITH_OUTLIERS, AT_FAR };

struct shape {
    uint32_t count, step; /* documents, and how far apart at most */
    enum t_kind t;
    enum n_kind n;
    enum at_kind at;
    uint32_t from; /* of the first document */
};

static const struct shape shapes[] = {
    {1, 1, T_IS_ONE, N_IS_ONE, AT_NEAR, 0},
    {1, 1, T_HUGE, N_WITH_A_HUGE_ONE, AT_NEAR, DOCUMENTS - 1},
    {8, 3, T_IS_N, N_IS_ONE, AT_NEAR, 5},
    {8, 900, T_HUGE, N_FEW, AT_FAR, 5},
    {9, 1, T_IS_N, N_FEW, AT_NEAR, 0},
    {9, 7000, T_SMALL, N_MANY, AT_WITH_OUTLIERS, 1},
    {255, 200, T_IS_N, N_FEW, AT_NEAR, 0},
    {256, 1, T_IS_ONE, N_IS_ONE, AT_ALIKE, 0},
    {256, 250, T_HUGE, N_FEW, AT_FAR, 9},
    {257, 1, T_IS_N, N_FEW, AT_WITH_OUTLIERS, 0},
    {257, 270, T_WITH_OUTLIERS, N_WITH_A_HUGE_ONE, AT_NEAR, 100},
    {512, 130, T_SMALL, N_MANY, AT_ALIKE, 63},
    {513, 2, T_WITH_OUTLIERS, N_FEW, AT_WITH_OUTLIERS, 64},
    {10000, 1, T_IS_N, N_FEW, AT_NEAR, 0},
    {10000, 2, T_SMALL, N_FEW, AT_NEAR, 65},
    {10000, 3, T_WITH_OUTLIERS, N_MANY, AT_WITH_OUTLIERS, 1},
    {10000, 7, T_IS_ONE, N_IS_ONE, AT_FAR, 30},
    {10000, 7, T_HUGE, N_FEW, AT_ALIKE, 0},
    {32 * 256, 5, T_IS_N, N_FEW, AT_NEAR, 0},     /* a group exactly */
    {32 * 256 + 1, 8, T_SMALL, N_FEW, AT_NEAR, 0} /* and one more */
};

_Static_assert(sizeof shapes / sizeof shapes[0] == SHAPES, "as the header says");

static uint32_t t_of(enum t_kind kind, uint32_t n, uint32_t *seed)
{
    switch (kind) {
    case T_IS_ONE:
        return 1;
    case T_IS_N:
        return n;
    case T_SMALL:
        return 1 + next_random(seed) % 7;
    case T_WITH_OUTLIERS:
        return 1 + (next_random(seed) % 30 ? next_random(seed) % 4 : next_random(seed) % 100000);
    case T_HUGE:
        return next_random(seed) % 3 ? (uint32_t)INT32_MAX : 1 + next_random(seed) * 100;
    }
    return 0;
}

static uint32_t n_of(enum n_kind kind, uint32_t i, uint32_t *seed)
{
    switch (kind) {
    case N_IS_ONE:
        return 1;
    case N_FEW:
        return 1 + next_random(seed) % 4;
    case N_MANY:
        return 1 + next_random(seed) % (next_random(seed) % 5 ? 3 : 90);
    case N_WITH_A_HUGE_ONE:
        return i % 200 == 0 ? (uint32_t)HUGE_N : 1 + next_random(seed) % 3;
    }
    return 0;
}

static uint32_t gap_of(enum at_kind kind, uint32_t *seed)
{
    switch (kind) {
    case AT_NEAR:
        return next_random(seed) % 40;
    case AT_ALIKE:
        return 0;
    case AT_WITH_OUTLIERS:
        return next_random(seed) % 25 ? next_random(seed) % 8 : next_random(seed) % 100000;
    case AT_FAR:
        return next_random(seed) * 60;
    }
    return 0;
}

static struct shaped_list make_list(const struct shape *shape, uint32_t seed)
{
    struct shaped_list l = {.count = shape->count};
    size_t used = 0, room = 0;
    l.documents = calloc(l.count, sizeof *l.documents);
    l.t = calloc(l.count, sizeof *l.t);
    l.first = calloc(l.count + 1, sizeof *l.first);
    for (uint32_t i = 0, document = shape->from; i < l.count; i++) {
        uint32_t n = n_of(shape->n, i, &seed), at = 0;
        if (used + n > room)
            l.positions = realloc(l.positions, (room = 2 * (used + n)) * sizeof *l.positions);
        for (uint32_t k = 0; k < n; k++) {
            at += gap_of(shape->at, &seed) + (k > 0);
            l.positions[used++] = at;
        }
        l.documents[i] = document;
        l.t[i] = t_of(shape->t, n, &seed);
        l.first[i + 1] = used;
        document += 1 + next_random(&seed) % shape->step;
    }
    assert_true(l.documents[l.count - 1] < DOCUMENTS);
    return l;
}

/* -------------------------------------------------------------------------------------------------------- a segment */

uint8_t bench_length_code(uint32_t document)
{
    uint32_t seed = document * 2654435761u;
    next_random(&seed);
    return (uint8_t)(next_random(&seed) % 40 ? 20 + next_random(&seed) % 60 : next_random(&seed) % 256);
}

static void write_documents(struct segment_writer *w)
{
    for (uint32_t n = 0; n < DOCUMENTS; n++) {
        struct segment_document d = {.stamp = n + 1, .id = STR("x"), .length_code = bench_length_code(n)};
        segment_writer_document(w, &d);
    }
}

struct str bench_key(char kind, size_t shape, char room[16])
{
    return (struct str){room, (size_t)snprintf(room, 16, "%c%03zu", kind, shape)};
}

static void write_lists(struct segment_writer *w, const struct shaped_list *lists, char kind)
{
    char room[16];
    for (size_t s = 0; s < SHAPES; s++) {
        const struct shaped_list *l = &lists[s];
        segment_writer_term(w, bench_key(kind, s, room));
        for (uint32_t i = 0; i < l->count; i++)
            segment_writer_posting(w, l->documents[i], kind == 's' ? l->t[i] : 1, l->positions + l->first[i],
                                   kind == 's' ? l->first[i + 1] - l->first[i] : 0);
    }
}

int bench_open(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    struct segment_options options = {.id = 1, .transaction = 4 << 20};
    struct segment_result result;
    struct segment_writer *w;
    snprintf(b->directory, sizeof b->directory, "/tmp/mayfly-blocks-XXXXXX");
    assert_non_null(mkdtemp(b->directory));
    snprintf(b->path, sizeof b->path, "%s/seg-1.mdb", b->directory);
    assert_int_equal(segment_writer_open(b->path, &options, &w), 0);
    write_documents(w);
    for (size_t s = 0; s < SHAPES; s++)
        b->lists[s] = make_list(&shapes[s], (uint32_t)s * 7919 + 3);
    write_lists(w, b->lists, 's');
    write_lists(w, b->lists, 'w');
    assert_int_equal(segment_writer_finish(w, &result), 0);
    assert_int_equal(segment_open(b->path, &b->segment), 0);
    *state = b;
    return 0;
}

int bench_close(void **state)
{
    struct bench *b = *state;
    segment_close(b->segment);
    unlink(b->path);
    rmdir(b->directory);
    for (size_t s = 0; s < SHAPES; s++) {
        free(b->lists[s].documents);
        free(b->lists[s].t);
        free(b->lists[s].first);
        free(b->lists[s].positions);
    }
    free(b);
    return 0;
}

struct term bench_find(const struct bench *b, char kind, size_t shape)
{
    char room[16];
    struct term t;
    int err = 0;
    assert_true(segment_find_term(b->segment, bench_key(kind, shape, room), &t, &err));
    t.key = kind == TERM_STEM ? STR("s") : STR("w"); /* the room is gone */
    return t;
}

struct posting_list bench_list(const struct bench *b, char kind, size_t shape, const struct kernels *kernels)
{
    struct posting_list l;
    struct term t = bench_find(b, kind, shape);
    assert_int_equal(list_open(&l, b->segment, &t, kernels), 0);
    assert_int_equal(l.documents, b->lists[shape].count);
    assert_int_equal(l.blocks, (l.documents + POSTING_BLOCK - 1) / POSTING_BLOCK);
    return l;
}
