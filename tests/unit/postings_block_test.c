/* Lists of every shape, written and read by blocks, and what damage leaves of them. Extents are copied to the heap and
 * changed there, behind the checksums: only the decoders can notice, and the address sanitizer sees what they touch. */
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

#include "common/err.h"
#include "index/segment_parts.h"
#include "random.h"

enum { DOCUMENTS = 70000, HUGE_N = 30000 };

/* ------------------------------------------------------------------------------------------------------------- shapes
 */

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

enum { SHAPES = sizeof shapes / sizeof shapes[0] };

/* What was written, as plain arrays. */
struct list {
    uint32_t count;
    uint32_t *documents, *t;
    size_t *first; /* of its positions; of the end, too */
    uint32_t *positions;
};

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

static struct list make_list(const struct shape *shape, uint32_t seed)
{
    struct list l = {.count = shape->count};
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

/* ----------------------------------------------------------------------------------------------------------- a segment
 */

struct bench {
    char directory[40], path[64];
    struct segment *segment;
    struct list lists[SHAPES];
};

static uint8_t code_of(uint32_t document)
{
    uint32_t seed = document * 2654435761u;
    next_random(&seed);
    return (uint8_t)(next_random(&seed) % 40 ? 20 + next_random(&seed) % 60 : next_random(&seed) % 256);
}

static void write_documents(struct segment_writer *w)
{
    for (uint32_t n = 0; n < DOCUMENTS; n++) {
        struct segment_document d = {.stamp = n + 1, .id = STR("x"), .length_code = code_of(n)};
        segment_writer_document(w, &d);
    }
}

static struct str key_of(char kind, size_t shape, char room[16])
{
    return (struct str){room, (size_t)snprintf(room, 16, "%c%03zu", kind, shape)};
}

static void write_lists(struct segment_writer *w, const struct list *lists, char kind)
{
    char room[16];
    for (size_t s = 0; s < SHAPES; s++) {
        const struct list *l = &lists[s];
        segment_writer_term(w, key_of(kind, s, room));
        for (uint32_t i = 0; i < l->count; i++)
            segment_writer_posting(w, l->documents[i], kind == 's' ? l->t[i] : 1, l->positions + l->first[i],
                                   kind == 's' ? l->first[i + 1] - l->first[i] : 0);
    }
}

static int open_bench(void **state)
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

static int close_bench(void **state)
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

static struct term find(const struct bench *b, char kind, size_t shape)
{
    char room[16];
    struct term t;
    int err = 0;
    assert_true(segment_find_term(b->segment, key_of(kind, shape, room), &t, &err));
    t.key = kind == TERM_STEM ? STR("s") : STR("w"); /* the room is gone */
    return t;
}

static struct posting_list open_list(const struct bench *b, char kind, size_t shape, const struct kernels *kernels)
{
    struct posting_list l;
    struct term t = find(b, kind, shape);
    assert_int_equal(list_open(&l, b->segment, &t, kernels), 0);
    assert_int_equal(l.documents, b->lists[shape].count);
    assert_int_equal(l.blocks, (l.documents + POSTING_BLOCK - 1) / POSTING_BLOCK);
    return l;
}

/* --------------------------------------------------------------------------------------------------- what is read back
 */

static void expect_documents(const struct posting_list *l, struct posting_block *b, const uint32_t *wanted)
{
    if (b->words) {
        assert_true(b->base % 64 == 0 && l->blocks > 1);
        for (uint32_t i = 0; i < b->count; i++) {
            uint32_t bit = wanted[i] - b->base;
            assert_true(b->bits[bit / 8] >> bit % 8 & 1);
        }
    }
    block_documents(l, b);
    assert_memory_equal(b->documents, wanted, b->count * sizeof *wanted);
}

/* One by one first, all after that. */
static void expect_t(const struct posting_list *l, struct posting_block *b, const uint32_t *wanted)
{
    for (uint32_t i = b->count; i-- > 0;)
        assert_int_equal(block_t(b, i), l->with_positions ? wanted[i] : 1);
    assert_int_equal(block_frequencies(l, b), 0);
    for (uint32_t i = 0; i < b->count; i++)
        assert_int_equal(b->t[i], l->with_positions ? wanted[i] : 1);
}

static void expect_positions(const struct posting_list *l, struct posting_block *b, const struct list *list,
                             uint32_t base, uint32_t i)
{
    uint32_t out[HUGE_N];
    const size_t *first = list->first + base + i;
    assert_int_equal(block_positions(l, b, i, 0, out), 0);
    assert_memory_equal(out, list->positions + first[0], (first[1] - first[0]) * sizeof *out);
}

/* Forwards, backwards, and any which way. */
static void expect_all_positions(const struct posting_list *l, struct posting_block *b, const struct list *list,
                                 uint32_t base)
{
    uint32_t seed = base + 1;
    assert_int_equal(block_starts(l, b), 0);
    for (uint32_t i = 0; i <= b->count; i++)
        assert_int_equal(b->starts[i], list->first[base + i] - list->first[base]);
    for (uint32_t i = 0; i < b->count; i++)
        expect_positions(l, b, list, base, i);
    for (uint32_t i = b->count; i > 0; i -= i < 9 ? 1 : 9)
        expect_positions(l, b, list, base, i - 1);
    for (uint32_t k = 0; k < 9; k++)
        expect_positions(l, b, list, base, next_random(&seed) % b->count);
}

static void gives_back_what_was_written(const struct bench *b, const struct kernels *kernels, char kind, size_t shape)
{
    const struct list *list = &b->lists[shape];
    struct posting_list l = open_list(b, kind, shape, kernels);
    struct posting_block *block = malloc(sizeof *block);
    for (uint32_t number = l.blocks; number-- > 0;) {
        uint32_t base = number * POSTING_BLOCK;
        assert_int_equal(block_enter(&l, number, block), 0);
        assert_int_equal(block->number, number);
        assert_int_equal(block->count, list->count - base < POSTING_BLOCK ? list->count - base : POSTING_BLOCK);
        expect_documents(&l, block, list->documents + base);
        expect_t(&l, block, list->t + base);
        if (l.blocks > 1)
            assert_int_equal(list_last(&l, number), list->documents[base + block->count - 1]);
        if (l.with_positions)
            expect_all_positions(&l, block, list, base);
    }
    free(block);
}

static void blocks_give_back_what_was_written(void **state)
{
    static const char *const names[] = {"avx512", "avx2", "portable"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        const struct kernels *kernels = kernels_named(names[k]);
        for (size_t s = 0; kernels && s < SHAPES; s++) {
            gives_back_what_was_written(*state, kernels, 's', s);
            gives_back_what_was_written(*state, kernels, 'w', s);
        }
    }
}

static void the_cursor_agrees(void **state)
{
    const struct bench *b = *state;
    uint32_t *room = malloc(HUGE_N * sizeof *room);
    struct postings *p = malloc(sizeof *p);
    for (size_t s = 0; s < SHAPES; s++) {
        const struct list *l = &b->lists[s];
        struct term t = find(b, 's', s);
        postings_open(p, b->segment, &t);
        for (uint32_t i = 0; i < l->count; i++, postings_next(p)) {
            assert_int_equal(p->document, l->documents[i]);
            assert_int_equal(p->t, l->t[i]);
            assert_int_equal(p->count, l->first[i + 1] - l->first[i]);
            assert_true(postings_positions(p, room));
            assert_memory_equal(room, l->positions + l->first[i], p->count * sizeof *room);
        }
        assert_int_equal(p->document, POSTINGS_END);
        assert_int_equal(p->err, 0);
    }
    free(p);
    free(room);
}

/* All forms that a list may have were there: else the shapes above are not what they are meant to be. */
static void shapes_cover_the_format(void **state)
{
    const struct bench *b = *state;
    bool inlined = false, one = false, bitset = false, packed = false, t_exceptions = false, n_exceptions = false;
    struct posting_block *block = malloc(sizeof *block);
    for (size_t s = 0; s < SHAPES; s++) {
        struct posting_list l = open_list(b, 's', s, kernels_best());
        inlined |= l.inlined.len > 0;
        one |= l.inlined.len == 0 && l.blocks == 1;
        for (uint32_t number = 0; l.inlined.len == 0 && number < l.blocks; number++) {
            assert_int_equal(block_enter(&l, number, block), 0);
            bitset |= block->words > 0;
            packed |= block->words == 0 && l.blocks > 1;
            t_exceptions |= block->t_values.exception_count > 0;
            n_exceptions |= !block->n_is_t && block->n_values.exception_count > 0;
        }
    }
    free(block);
    assert_true(inlined && one && bitset && packed && t_exceptions && n_exceptions);
}

static void finds_the_block_that_a_linear_search_finds(void **state)
{
    const struct bench *b = *state;
    for (size_t s = 0; s < SHAPES; s++) {
        struct posting_list l = open_list(b, 'w', s, kernels_best());
        for (uint32_t from = 0; from <= l.blocks; from += 1 + from / 3) {
            for (uint32_t document = 0; document < DOCUMENTS; document += 1 + document / 50) {
                uint32_t wanted = from;
                while (wanted < l.blocks && list_last(&l, wanted) < document)
                    wanted++;
                assert_int_equal(list_find(&l, from, document), wanted);
            }
        }
        for (uint32_t number = 0; l.blocks > 1 && number < l.blocks; number++) {
            assert_int_equal(list_find(&l, 0, list_last(&l, number)), number);
            assert_int_equal(list_find(&l, number, list_last(&l, number) + 1), number + 1);
        }
    }
}

/* ------------------------------------------------------------------------------------------------------------- maxima
 */

static uint32_t stored_t(uint32_t t)
{
    return t < UINT8_MAX ? t : UINT8_MAX;
}

static bool is_bounded(const uint8_t *pairs, uint32_t t, uint8_t code)
{
    for (size_t i = 0; i < MAXIMA; i += 2)
        if (stored_t(t) <= pairs[i] && code >= pairs[i + 1])
            return true;
    return false;
}

/* The points of `count` postings that no other one beats, by falling T. */
static size_t front_of(const struct list *l, bool words, uint32_t from, uint32_t count, uint8_t (*out)[2])
{
    size_t points = 0;
    int shortest = 256, lowest[UINT8_MAX + 1];
    for (uint32_t t = 0; t <= UINT8_MAX; t++)
        lowest[t] = 256;
    for (uint32_t i = from; i < from + count; i++) {
        uint32_t t = words ? 1 : stored_t(l->t[i]);
        int code = code_of(l->documents[i]);
        lowest[t] = code < lowest[t] ? code : lowest[t];
    }
    for (uint32_t t = UINT8_MAX; t > 0; t--) {
        if (lowest[t] >= shortest)
            continue;
        shortest = lowest[t];
        out[points][0] = (uint8_t)t;
        out[points++][1] = (uint8_t)shortest;
    }
    return points;
}

/* Every posting is below a pair. Where the front has four points or fewer, the pairs are those; else they are tight at
 * both ends, and each stands between two of them. */
static void expect_maxima(const struct list *l, bool words, uint32_t from, uint32_t count, const uint8_t *pairs)
{
    uint8_t front[256][2];
    size_t points = front_of(l, words, from, count, front);
    for (uint32_t i = from; i < from + count; i++)
        assert_true(is_bounded(pairs, words ? 1 : l->t[i], code_of(l->documents[i])));
    for (size_t i = 0; points <= 4 && i < 4; i++)
        assert_memory_equal(pairs + 2 * i, front[i < points ? i : points - 1], 2);
    assert_int_equal(pairs[0], front[0][0]);
    assert_int_equal(pairs[MAXIMA - 1], front[points - 1][1]);
    for (size_t i = 0; i < MAXIMA; i += 2) {
        bool has_t = false, has_code = false;
        for (size_t k = 0; k < points; k++) {
            has_t |= front[k][0] == pairs[i];
            has_code |= front[k][1] == pairs[i + 1];
        }
        assert_true(has_t && has_code);
    }
}

static void maxima_bound_every_posting(void **state)
{
    const struct bench *b = *state;
    for (size_t s = 0; s < 2 * SHAPES; s++) {
        bool words = s >= SHAPES;
        const struct list *list = &b->lists[s % SHAPES];
        struct posting_list l = open_list(b, words ? 'w' : 's', s % SHAPES, kernels_best());
        for (uint32_t from = 0; l.blocks > 1 && from < l.documents; from += POSTING_BLOCK) {
            uint32_t count = l.documents - from < POSTING_BLOCK ? l.documents - from : POSTING_BLOCK;
            expect_maxima(list, words, from, count, list_maxima(&l, from / POSTING_BLOCK));
        }
        const uint32_t group = POSTING_BLOCK * GROUP_BLOCKS;
        for (uint32_t from = 0; l.blocks > 1 && from < l.documents; from += group) {
            uint32_t count = l.documents - from < group ? l.documents - from : group;
            expect_maxima(list, words, from, count, list_group_maxima(&l, from / group));
        }
    }
}

/* ------------------------------------------------------------------------------------------------------------- damage
 */

/* An extent in the heap in place of the file's, with as much behind it as kernels may touch. */
struct swapped {
    struct extent *extent;
    const uint8_t *payload;
    uint8_t *bytes;
};

static struct swapped swap(struct extent *e)
{
    struct swapped s = {.extent = e, .payload = e->payload, .bytes = malloc(e->size + KERNEL_OVERREAD)};
    memcpy(s.bytes, e->payload, e->size);
    memset(s.bytes + e->size, 0xff, KERNEL_OVERREAD);
    e->payload = s.bytes;
    return s;
}

static void swap_back(struct swapped *s)
{
    s->extent->payload = s->payload;
    free(s->bytes);
}

enum { SOME_N = 100 /* positions of a document that are read again for every damage */ };

/* What must hold whatever the bytes are; true if it could be read. */
static bool read_block(const struct posting_list *l, uint32_t number, struct posting_block *b, uint32_t *positions)
{
    int err = block_enter(l, number, b);
    uint64_t t = 0;
    if (err) {
        assert_int_equal(err, ERR_CORRUPT);
        return false;
    }
    block_documents(l, b);
    for (uint32_t i = 0; i < b->count; i++) {
        assert_true(b->documents[i] < DOCUMENTS);
        assert_true(i == 0 || b->documents[i] > b->documents[i - 1]);
        t += block_t(b, i);
    }
    if (block_frequencies(l, b) || !l->with_positions || block_starts(l, b))
        return t > 0;
    /* Nobody is made to find room for more than the file can hold. */
    uint64_t bytes = l->inlined.len ? l->inlined.len : l->positions.length;
    assert_true(b->starts[b->count] <= b->count || b->starts[b->count] <= 8 * bytes);
    for (uint32_t i = 0; i < b->count; i++) {
        uint32_t last = b->count - 1 - i, n = b->starts[last + 1] - b->starts[last];
        assert_true(b->starts[last + 1] >= b->starts[last]);
        if (n > SOME_N)
            continue;
        if (block_positions(l, b, last, 0, positions))
            break;
        for (uint32_t k = 1; k < n; k++)
            assert_true(positions[k] > positions[k - 1]);
    }
    return true;
}

static uint32_t read_list(const struct bench *b, char kind, size_t shape, struct posting_block *block,
                          uint32_t *positions)
{
    struct posting_list l;
    struct term t;
    char room[16];
    uint32_t whole = 0;
    int err = 0;
    if (!segment_find_term(b->segment, key_of(kind, shape, room), &t, &err) ||
        list_open(&l, b->segment, &t, b->segment->kernels))
        return 0;
    for (uint32_t number = 0; number < l.blocks; number++)
        whole += read_block(&l, number, block, positions);
    uint32_t from = 0;
    for (uint32_t document = 0; document < DOCUMENTS && from < l.blocks; document += 997) {
        uint32_t found = list_find(&l, from, document);
        assert_true(found >= from && found <= l.blocks);
        from = found;
    }
    return whole;
}

/* Every byte is changed in several ways; in the end the list is whole again. */
static void damage_bytes(const struct bench *b, struct swapped *s, uint32_t from, uint32_t length, char kind,
                         size_t shape)
{
    static const uint8_t changes[] = {0x01, 0x80, 0xff};
    struct posting_block *block = malloc(sizeof *block);
    uint32_t *positions = malloc(SOME_N * sizeof *positions);
    for (uint32_t at = from; at < from + length; at++) {
        for (size_t i = 0; i < sizeof changes; i++) {
            s->bytes[at] ^= changes[i];
            read_list(b, kind, shape, block, positions);
            s->bytes[at] ^= changes[i];
        }
    }
    assert_true(read_list(b, kind, shape, block, positions) > 0);
    free(positions);
    free(block);
}

enum { MOST_DAMAGED = 1200 /* bytes of a list */ };

static void damage_never_leads_out_of_a_list(void **state)
{
    struct bench *b = *state;
    for (size_t s = 0; s < 2 * SHAPES; s++) {
        char kind = s < SHAPES ? 's' : 'w';
        struct term t = find(b, kind, s % SHAPES);
        if (t.inlined.len || t.documents > 1000)
            continue;
        struct swapped lists = swap(&b->segment->postings.extents[t.postings.place >> 32]);
        uint32_t length = t.postings.length < MOST_DAMAGED ? t.postings.length : (uint32_t)MOST_DAMAGED;
        damage_bytes(b, &lists, (uint32_t)t.postings.place, length, kind, s % SHAPES);
        swap_back(&lists);
        if (kind == 'w')
            continue;
        struct swapped positions = swap(&b->segment->positions.extents[t.positions.place >> 32]);
        length = t.positions.length < MOST_DAMAGED / 4 ? t.positions.length : (uint32_t)MOST_DAMAGED / 4;
        damage_bytes(b, &positions, (uint32_t)t.positions.place, length, kind, s % SHAPES);
        swap_back(&positions);
    }
}

static void damage_never_leads_out_of_an_inlined_list(void **state)
{
    struct bench *b = *state;
    struct swapped s = swap(&b->segment->dictionary.extents[0]);
    for (size_t shape = 0; shape < SHAPES; shape++) {
        struct term t = find(b, 's', shape);
        if (t.inlined.len)
            damage_bytes(b, &s, (uint32_t)((const uint8_t *)t.inlined.ptr - s.bytes), (uint32_t)t.inlined.len, 's',
                         shape);
    }
    swap_back(&s);
}

static size_t packed_shape(const struct bench *b, bool bitset)
{
    struct posting_block *block = malloc(sizeof *block);
    size_t found = SHAPES;
    for (size_t s = 0; s < SHAPES && found == SHAPES; s++) {
        struct posting_list l = open_list(b, 'w', s, kernels_best());
        if (l.blocks < 3 || block_enter(&l, 1, block) != 0)
            continue;
        if (bitset == (block->words > 0) && (bitset || block->documents[0] + 256 < block->documents[255]))
            found = s;
    }
    free(block);
    assert_true(found < SHAPES);
    return found;
}

/* Arrays and bits agree with each other, but not with how many documents there are. */
static void refuses_documents_that_are_not_there(void **state)
{
    struct bench *b = *state;
    for (int bitset = 0; bitset < 2; bitset++) {
        size_t shape = packed_shape(b, bitset);
        struct term t = find(b, 'w', shape);
        struct swapped s = swap(&b->segment->postings.extents[t.postings.place >> 32]);
        struct posting_list l = open_list(b, 'w', shape, kernels_best());
        struct posting_block *block = malloc(sizeof *block);
        uint8_t *last = s.bytes + (uint32_t)t.postings.place;
        for (uint32_t i = 0; i < 2; i++) /* the second block moves beyond the end */
            store_u32(last + 4 * i, load_u32(last + 4 * i) + 64 * 4096);
        assert_int_equal(block_enter(&l, 1, block), ERR_CORRUPT);
        for (uint32_t i = 0; i < 2; i++)
            store_u32(last + 4 * i, load_u32(last + 4 * i) - 64 * 4096);
        assert_int_equal(block_enter(&l, 1, block), 0);
        free(block);
        swap_back(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_give_back_what_was_written),
        cmocka_unit_test(the_cursor_agrees),
        cmocka_unit_test(shapes_cover_the_format),
        cmocka_unit_test(finds_the_block_that_a_linear_search_finds),
        cmocka_unit_test(maxima_bound_every_posting),
        cmocka_unit_test(damage_never_leads_out_of_a_list),
        cmocka_unit_test(damage_never_leads_out_of_an_inlined_list),
        cmocka_unit_test(refuses_documents_that_are_not_there),
    };
    return cmocka_run_group_tests(tests, open_bench, close_bench);
}
