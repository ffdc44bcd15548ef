/* A posting list of any bytes, and its positions: read by blocks, by every set of kernels, and by the cursor.
 *
 *   | documents u16 | flags u8 | length of the list u16 | the list | positions |
 *
 * Both are in the heap, of their size, in place of extents that were checked before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"
#include "index/postings.h"
#include "index/segment_parts.h"
#include "tests/fuzz/fuzz.h"

enum { DOCUMENTS = 28000, HEAD = 5, MOST = 8192, MOST_POSITIONS = 1 << 14, IS_STEM = 1, IS_INLINED = 2, IS_LARGE = 4 };

static struct {
    char path[40];
    struct segment *segment; /* whose extents are replaced */
    struct posting_block block;
    uint32_t positions[MOST_POSITIONS], again[MOST_POSITIONS];
} state;

/* Lists of every form: inlined, of one block and of several; gaps, runs and bitsets; T with outliers; as many positions
 * as T and other than T; positions with exceptions. */
static const struct shape {
    uint32_t documents, step;
    bool t_outliers, n_differs, position_outliers;
} shapes[] = {
    {5, 3, false, false, false},  {8, 9, true, true, true},      {40, 7, false, true, false},
    {200, 3, true, false, true},  {256, 1, false, false, false}, {300, 2, false, true, true},
    {600, 1, true, false, false}, {700, 40, true, true, true},
};

enum { SHAPES = sizeof shapes / sizeof shapes[0], WRITTEN = DOCUMENTS };

static void write_list(struct segment_writer *w, const struct shape *s, bool is_stem)
{
    for (uint32_t i = 0; i < s->documents; i++) {
        uint32_t count = s->n_differs ? 1 + i % 3 : 1, far = s->position_outliers && i % 40 == 7 ? 9999 : i % 30;
        const uint32_t positions[3] = {far, far + 3, far + 4};
        uint32_t t = s->t_outliers && i % 37 == 5 ? 5000 : s->n_differs ? 2 : count;
        segment_writer_posting(w, i * s->step + i % s->step, is_stem ? t : 1, positions, is_stem ? count : 0);
    }
}

static void write_documents(struct segment_writer *w)
{
    const struct field_range range = {0, 0};
    segment_writer_field(w, STR("a"));
    for (uint32_t n = 0; n < WRITTEN; n++) {
        char id[16];
        struct segment_document d = {.stamp = n + 1, .body = STR("{}"), .ranges = &range, .range_count = 1, .hash = n};
        d.id = (struct str){id, (size_t)snprintf(id, sizeof id, "%u", n)};
        segment_writer_document(w, &d);
    }
}

static struct str key_of(size_t shape, bool is_stem, char room[2])
{
    room[0] = is_stem ? 's' : 'w';
    room[1] = (char)('a' + shape);
    return (struct str){room, 2};
}

static void write_segment(void)
{
    struct segment_options options = {.id = 1, .transaction = 1 << 20, .analyzer = STR("fuzz")};
    struct segment_result result;
    struct segment_writer *w;
    char key[2];
    require(segment_writer_open(state.path, &options, &w) == 0);
    write_documents(w);
    for (size_t i = 0; i < 2 * SHAPES; i++) {
        segment_writer_term(w, key_of(i % SHAPES, i < SHAPES, key));
        write_list(w, &shapes[i % SHAPES], i < SHAPES);
    }
    require(segment_writer_finish(w, &result) == 0);
}

static void make_segment(void)
{
    if (state.segment)
        return;
    snprintf(state.path, sizeof state.path, "/tmp/mayfly-fuzz-%ld.mdb", (long)getpid());
    write_segment();
    require(segment_open(state.path, &state.segment) == 0);
    unlink(state.path);
    struct segment *s = state.segment;
    require(store_check(s->store, s->postings.extents, 0, s->postings.extents->size) == 0);
    require(store_check(s->store, s->positions.extents, 0, s->positions.extents->size) == 0);
}

static uint8_t *place(struct extent *e, const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + KERNEL_OVERREAD);
    require(copy);
    memset(copy + size, 0xa5, KERNEL_OVERREAD);
    if (size)
        memcpy(copy, data, size);
    e->payload = copy;
    e->size = (uint32_t)size;
    return copy;
}

static uint32_t read_positions(const struct posting_list *l, struct posting_block *b, uint32_t i, uint32_t *out)
{
    uint32_t n = b->starts[i + 1] - b->starts[i];
    require(b->starts[i + 1] >= b->starts[i]);
    if (n > MOST_POSITIONS || block_positions(l, b, i, 0, out))
        return 0;
    for (uint32_t k = 1; k < n; k++)
        require(out[k] > out[k - 1]);
    return n;
}

/* Whatever the bytes are: documents rise and are there, positions rise, and all kernels read the same. */
static uint64_t read_block(const struct posting_list *l, uint32_t number)
{
    struct posting_block *b = &state.block;
    uint64_t sum = 0;
    if (block_enter(l, number, b))
        return 1;
    require(b->count >= 1 && b->count <= POSTING_BLOCK);
    uint32_t t = block_t(b, b->count - 1);
    block_documents(l, b);
    for (uint32_t i = 0; i < b->count; i++) {
        require(b->documents[i] < DOCUMENTS && (!i || b->documents[i] > b->documents[i - 1]));
        sum = sum * 31 + b->documents[i];
    }
    if (block_frequencies(l, b))
        return sum;
    sum = sum * 31 + t; /* of a forged list it may be another than that below: exceptions that contradict the codes */
    for (uint32_t i = 0; i < b->count; i++)
        sum = sum * 31 + b->t[i];
    if (!l->with_positions || block_starts(l, b))
        return sum;
    for (uint32_t i = 0; i < b->count; i++)
        for (uint32_t k = read_positions(l, b, i, state.positions); k-- > 0;)
            sum = sum * 31 + state.positions[k];
    return sum;
}

/* The last first, and again by the cursor. */
static uint64_t read_list(const struct term *t, const struct kernels *kernels)
{
    struct posting_list l;
    uint64_t sum = 0;
    if (list_open(&l, state.segment, t, kernels))
        return 2;
    for (uint32_t number = l.blocks; number-- > 0;)
        sum = sum * 31 + read_block(&l, number);
    for (uint32_t n = 0, found = 0; n < DOCUMENTS && found < l.blocks; n += 997) {
        uint32_t next = list_find(&l, found, n);
        require(next >= found && next <= l.blocks);
        found = next;
    }
    return sum;
}

static void read_by_cursor(const struct term *t)
{
    static struct postings p;
    uint32_t last = 0;
    for (postings_open(&p, state.segment, t); p.document != POSTINGS_END; postings_next(&p)) {
        require(p.document < DOCUMENTS && p.document >= last);
        last = p.document;
        if (p.count && p.count <= MOST_POSITIONS)
            (void)postings_positions(&p, state.again);
    }
    postings_open(&p, state.segment, t);
    for (uint32_t n = 0; n < DOCUMENTS && p.document != POSTINGS_END; n += 499)
        postings_seek(&p, n);
}

static void read_term(uint32_t documents, unsigned flags, uint32_t list, uint32_t positions)
{
    struct segment *s = state.segment;
    struct term t = {.key = flags & IS_STEM ? STR("sa") : STR("wa"), .documents = documents};
    if (flags & IS_INLINED) {
        t.inlined = (struct str){(const char *)s->postings.extents->payload, list};
    } else {
        t.postings = (struct list_view){0, list};
        t.positions = (struct list_view){0, positions};
    }
    static const char *const names[] = {"avx2", "avx512"};
    uint64_t sum = read_list(&t, kernels_named("portable"));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        require(!kernels_named(names[i]) || read_list(&t, kernels_named(names[i])) == sum);
    read_by_cursor(&t);
}

static int postings_fuzz(const uint8_t *data, size_t size)
{
    if (size < HEAD)
        return 0;
    make_segment();
    unsigned flags = data[2];
    uint32_t documents = load_u16(data), list = load_u16(data + 3) % (uint32_t)(size - HEAD + 1);
    documents = 1 + documents % (flags & IS_INLINED ? 2 * INLINED_DOCUMENTS : flags & IS_LARGE ? DOCUMENTS : 600);
    struct extent *lists = state.segment->postings.extents, *positions = state.segment->positions.extents;
    struct extent before[2] = {*lists, *positions};
    uint8_t *copies[2] = {place(lists, data + HEAD, list), place(positions, data + HEAD + list, size - HEAD - list)};
    if (list || !(flags & IS_INLINED))
        read_term(documents, flags, list, (uint32_t)(size - HEAD - list));
    *lists = before[0];
    *positions = before[1];
    free(copies[0]);
    free(copies[1]);
    return 0;
}

/* ----------------------------------------------------------------------------------------------------- seeds */

static size_t copy_list(const struct term *t, uint8_t *to)
{
    const struct segment *s = state.segment;
    const uint8_t *list = NULL, *positions = NULL;
    if (t->inlined.len) {
        memcpy(to, t->inlined.ptr, t->inlined.len);
        return t->inlined.len;
    }
    require(segment_view(s, &s->postings, t->postings.place, t->postings.length, &list) == 0);
    memcpy(to, list, t->postings.length);
    if (!t->positions.length)
        return t->postings.length;
    require(segment_view(s, &s->positions, t->positions.place, t->positions.length, &positions) == 0);
    memcpy(to + t->postings.length, positions, t->positions.length);
    return t->postings.length + t->positions.length;
}

static void seed_list(fuzz_run *take, size_t shape, bool is_stem)
{
    uint8_t input[MOST];
    char key[2];
    struct term t;
    int err = 0;
    require(segment_find_term(state.segment, key_of(shape, is_stem, key), &t, &err));
    require(HEAD + t.postings.length + t.positions.length <= MOST);
    store_u16(input, (uint16_t)(t.documents - 1));
    input[2] = (uint8_t)((is_stem ? IS_STEM : 0) | (t.inlined.len ? IS_INLINED : IS_LARGE));
    store_u16(input + 3, (uint16_t)(t.inlined.len ? t.inlined.len : t.postings.length));
    size_t size = HEAD + copy_list(&t, input + HEAD);
    take(input, size);
}

static void seeds(fuzz_run *take)
{
    make_segment();
    for (size_t i = 0; i < 2 * SHAPES; i++)
        seed_list(take, i % SHAPES, i < SHAPES);
}

static void finish(void)
{
    segment_close(state.segment);
}

const struct fuzz_target fuzz_target = {
    .most = MOST, .rounds = 5000, .mutations = 60, .run = postings_fuzz, .seeds = seeds, .finish = finish};
