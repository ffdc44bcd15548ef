/* What lists of damaged arrays lead to where blocks are passed over: the damage of those is not noticed. */
#include "index/query_scored.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "index/segment_parts.h"

enum { BLOCKS = 40, STEP = 8, POSTINGS = BLOCKS * POSTING_BLOCK, DOCUMENTS = POSTINGS * STEP, WEIGHT = 1000 };

/* One word in every eighth document, often in the even blocks and once in the odd ones. */
static void write_segment(const char *path)
{
    struct segment_options options = {.id = 1, .transaction = 4 << 20};
    struct segment_result result;
    struct segment_writer *w;
    assert_int_equal(segment_writer_open(path, &options, &w), 0);
    for (uint32_t n = 0; n < DOCUMENTS; n++)
        segment_writer_document(w, &(struct segment_document){.stamp = n + 1, .id = STR("x"), .length_code = 9});
    segment_writer_term(w, STR("sword"));
    for (uint32_t i = 0; i < POSTINGS; i++) {
        uint32_t position = 0, t = i / POSTING_BLOCK % 2 ? 1 : 50;
        segment_writer_posting(w, STEP * i + STEP - 1, t, &position, 1);
    }
    assert_int_equal(segment_writer_finish(w, &result), 0);
}

/* What was read once is not checked again. */
static void read_all(const struct segment *s, const struct term *t)
{
    struct postings *p = malloc(sizeof *p);
    for (postings_open(p, s, t); p->document != POSTINGS_END; postings_next(p))
        ;
    assert_int_equal(p->err, 0);
    free(p);
}

/* Odd blocks end at document 7, so that each even one begins behind it again. */
static uint8_t *damage(struct segment *s, const struct term *t)
{
    struct extent *e = &s->postings.extents[t->postings.place >> 32];
    uint8_t *bytes = malloc(e->size + KERNEL_OVERREAD);
    memcpy(bytes, e->payload, e->size);
    memset(bytes + e->size, 0, KERNEL_OVERREAD);
    uint8_t *last = bytes + (uint32_t)t->postings.place;
    for (uint32_t block = 1; block + 1 < BLOCKS; block++)
        store_u32(last + 4 * (size_t)block, block % 2 ? STEP - 1 : STEP - 1 + POSTING_BLOCK * STEP);
    e->payload = bytes;
    return bytes;
}

static void a_window_gets_no_more_than_it_has_room_for(void **state)
{
    (void)state;
    char directory[] = "/tmp/mayfly-scored-XXXXXX", path[64];
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/seg-1.mdb", directory);
    write_segment(path);
    struct segment *s;
    struct term t;
    struct arena arena;
    int err = 0;
    assert_int_equal(segment_open(path, &s), 0);
    assert_true(segment_find_term(s, STR("sword"), &t, &err));
    read_all(s, &t);
    const uint8_t *payload = s->postings.extents[t.postings.place >> 32].payload;
    uint8_t *bytes = damage(s, &t);
    assert_int_equal(arena_init(&arena, 16 << 20, 0), 0);
    struct query query = {0};
    float norms[256];
    for (size_t i = 0; i < 256; i++)
        norms[i] = 1.0F;
    struct query_run run = {.norms = norms};
    struct scope scope = {.arena = &arena, .query = &query, .run = &run, .segment = s, .kernels = s->kernels,
                          .length_codes = segment_length_codes(s), .documents = DOCUMENTS};
    struct scored_list *l = scored_array(&arena, 1);
    uint32_t *documents = calloc(POSTINGS + KERNEL_OVERWRITE, sizeof *documents);
    int32_t *scores = calloc(POSTINGS + KERNEL_OVERWRITE, sizeof *scores);
    uint64_t seen = 0;
    assert_true(scored_open(&scope, STR("sword"), WEIGHT, l));
    size_t count = scored_keep(l, 0, WINDOW, WEIGHT * 3 / 4, documents, scores, &seen);
    assert_in_range(count, 1, WINDOW);
    for (size_t i = 1; i < count; i++)
        assert_true(documents[i] > documents[i - 1]);
    free(documents);
    free(scores);
    s->postings.extents[t.postings.place >> 32].payload = payload;
    free(bytes);
    segment_close(s);
    arena_finish(&arena);
    unlink(path);
    rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_gets_no_more_than_it_has_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
