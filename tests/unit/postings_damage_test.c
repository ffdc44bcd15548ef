/* What damage leaves of lists of every shape. Extents are copied to the heap and changed there, behind the checksums: only
 * the decoders can notice, and the address sanitizer sees what they touch. */
#include "index/postings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants the four above first
#include <cmocka.h>

#include "common/bytes.h"
#include "common/err.h"
#include "index/segment_parts.h"
#include "shaped_lists.h"

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
    /* Nobody is made to bench_find room for more than the file can hold. */
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
    if (!segment_find_term(b->segment, bench_key(kind, shape, room), &t, &err) ||
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
        struct term t = bench_find(b, kind, s % SHAPES);
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
        struct term t = bench_find(b, 's', shape);
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
        struct posting_list l = bench_list(b, 'w', s, kernels_best());
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
        struct term t = bench_find(b, 'w', shape);
        struct swapped s = swap(&b->segment->postings.extents[t.postings.place >> 32]);
        struct posting_list l = bench_list(b, 'w', shape, kernels_best());
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

/* All pieces are checked while they are whole: what is read for the first time would be refused by its checksum. */
static int open_checked_bench(void **state)
{
    bench_open(state);
    const struct bench *b = *state;
    struct posting_block *block = malloc(sizeof *block);
    uint32_t *positions = malloc(SOME_N * sizeof *positions);
    for (size_t s = 0; s < 2 * SHAPES; s++)
        assert_true(read_list(b, s < SHAPES ? 's' : 'w', s % SHAPES, block, positions) > 0);
    free(positions);
    free(block);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage_never_leads_out_of_a_list),
        cmocka_unit_test(damage_never_leads_out_of_an_inlined_list),
        cmocka_unit_test(refuses_documents_that_are_not_there),
    };
    return cmocka_run_group_tests(tests, open_checked_bench, bench_close);
}
