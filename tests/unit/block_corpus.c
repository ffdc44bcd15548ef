#include "block_corpus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/hash.h"
#include "index/core.h"
#include "index/score.h"
#include "index/segment_writer.h"

enum { SEGMENTS = 3, MOST_T = 12, REGION = 1500, MOST_CHUNKS = 3 };

/* The second has several chunks of deletion marks, lists of several groups of blocks, and so many windows that some are
 * taken first for 1,000 hits, too; the last one has small lists. */
enum { LARGEST = 1, LARGEST_SIZE = 135000 };
static const uint32_t sizes[SEGMENTS] = {12000, LARGEST_SIZE, 900};

/* How T goes over the documents of a segment: bounds of blocks and of groups differ by it. */
enum shape { FLAT, RISING, FALLING, REGIONAL, SPIKE };

/* Neighbours in this table stand side by side in documents, see positions_of. */
static const struct word {
    const char *name;
    uint32_t in_10000;     /* documents */
    uint32_t first, after; /* only in these quarters */
    enum shape shape;
} words[] = {
    {"many", 5000, 0, 4, RISING},   {"most", 9000, 0, 4, FLAT},     {"some", 1200, 0, 4, REGIONAL},
    {"half", 4500, 0, 4, REGIONAL}, {"few", 200, 0, 4, REGIONAL},   {"thick", 7000, 0, 4, FALLING},
    {"rare", 40, 0, 4, RISING},     {"wide", 3000, 0, 4, REGIONAL}, {"scarce", 3, 0, 4, FLAT},
    {"early", 3000, 0, 1, FALLING}, {"late", 3000, 3, 4, RISING},   {"pale", 300, 0, 4, REGIONAL},
    {"pane", 2000, 0, 4, REGIONAL}, {"park", 50, 0, 4, FLAT},       {"path", 10, 0, 4, REGIONAL},
    {"peak", 600, 0, 4, FALLING},   {"sole", 0, 0, 4, FLAT},        {"earn", 500, 0, 1, FLAT},
    {"crane", 100, 0, 4, RISING},   {"crate", 60, 0, 4, REGIONAL},  {"spike", 5000, 0, 4, SPIKE},
};
enum { WORDS = sizeof words / sizeof *words };

static uint32_t mix(uint32_t a, uint32_t b)
{
    uint64_t x = ((uint64_t)a << 32 | b) * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return (uint32_t)(x >> 32);
}

/* ----------------------------------------------------------------------------------------------------- documents */

/* A document by segment and number: what else it is follows from these. */
struct place {
    uint32_t segment, document;
};

static uint64_t stamp_of(struct place p)
{
    uint32_t stride = LARGEST_SIZE / sizes[p.segment];
    return 1000 + (uint64_t)SEGMENTS * stride * p.document + p.segment;
}

static bool is_deleted(const struct block_corpus *c, struct place p)
{
    if (c->deleted_one_in == 2)
        return p.document % 2;
    return c->deleted_one_in > 0 && mix(p.document, 1000 + p.segment) % c->deleted_one_in == 0;
}

static uint8_t length_code(const struct block_corpus *c, struct place p)
{
    uint32_t region = mix(p.document / REGION, 2000 + p.segment) % 60;
    return length_encode(c->is_even ? 20 : 10 + region + mix(p.document, 3000) % 20);
}

static uint32_t shaped(enum shape shape, struct place p, uint32_t word)
{
    uint32_t share = p.document * (MOST_T - 1) / sizes[p.segment], noise = mix(p.document, 4000 + word) % 3;
    switch (shape) {
    case FLAT:
        return 1;
    case RISING:
        return 1 + share * noise / 2;
    case FALLING:
        return 1 + (MOST_T - 1 - share) * noise / 2;
    case REGIONAL:
        return mix(p.document / REGION, 5000 + word) % 8 == 0 ? MOST_T - noise : 1 + noise;
    case SPIKE: /* a few of the blocks behind the first group */
        return p.document / 1000 == 17 ? MOST_T : 1;
    }
    return 1;
}

/* 0: the document does not have the word. */
static uint32_t t_of(const struct block_corpus *c, struct place p, uint32_t word)
{
    const struct word *w = &words[word];
    uint32_t quarter = (uint32_t)((uint64_t)4 * p.document / sizes[p.segment]);
    if (w->in_10000 == 0)
        return p.segment == LARGEST && p.document == LARGEST_SIZE / 2;
    if (quarter < w->first || quarter >= w->after || mix(p.document, 100 * p.segment + word) % 10000 >= w->in_10000)
        return 0;
    return c->is_even ? 1 : shaped(w->shape, p, word);
}

/* Each occurrence of a word in 64 places of its own: the first 64 are the title. Words 2 i and 2 i + 1 stand side by
 * side, or, in the other half of the documents, 2 i + 1 and 2 i + 2. */
static void positions_of(struct place p, uint32_t word, uint32_t t, uint32_t out[MOST_T])
{
    uint32_t odd = word % 2 == 0 ? 0 : 1 + mix(p.document, 6000) % 2;
    for (uint32_t i = 0; i < t; i++)
        out[i] = 64 * i + word / 2 * 3 + odd;
}

/* ------------------------------------------------------------------------------------------------------ segments */

static void write_documents(const struct block_corpus *c, struct segment_writer *w, uint32_t segment)
{
    static const struct field_range ranges[] = {{0, 0}, {1, 64}};
    for (struct place p = {segment, 0}; p.document < sizes[segment]; p.document++) {
        char id[32];
        snprintf(id, sizeof id, "%u-%u", p.segment, p.document);
        struct segment_document d = {
            .stamp = stamp_of(p),
            .hash = hash64(str_of(id)),
            .id = str_of(id),
            .body = STR("{}"),
            .length_code = length_code(c, p),
            .ranges = ranges,
            .range_count = 2,
        };
        segment_writer_document(w, &d);
    }
}

static int compare_words(const void *a, const void *b)
{
    return strcmp(words[*(const uint32_t *)a].name, words[*(const uint32_t *)b].name);
}

static void write_words(const struct block_corpus *c, struct segment_writer *w, uint32_t segment)
{
    uint32_t order[WORDS], positions[MOST_T];
    for (uint32_t i = 0; i < WORDS; i++)
        order[i] = i;
    qsort(order, WORDS, sizeof *order, compare_words);
    for (uint32_t i = 0; i < WORDS; i++) {
        char key[16];
        uint32_t word = order[i];
        if (words[word].in_10000 == 0 && segment != LARGEST)
            continue;
        snprintf(key, sizeof key, "s%s", words[word].name);
        segment_writer_term(w, str_of(key));
        for (struct place p = {segment, 0}; p.document < sizes[segment]; p.document++) {
            uint32_t t = t_of(c, p, word);
            positions_of(p, word, t, positions);
            if (t > 0)
                segment_writer_posting(w, p.document, t, positions, t);
        }
    }
}

static struct segment_result write_segment(const struct block_corpus *c, uint32_t segment)
{
    char path[SNAPSHOT_PATH_MAX];
    struct segment_writer *w;
    struct segment_result result;
    struct segment_options options = {
        .id = segment + 1,
        .transaction = 4 << 20,
        .analyzer = STR("plain"),
        .pairs = {.memory = 1 << 16, .wanted = 1000}, /* all pairs in one pass have no room */
    };
    snapshot_segment_path(c->directory, segment + 1, path, sizeof path);
    assert_int_equal(segment_writer_open(path, &options, &w), 0);
    assert_int_equal(segment_writer_field(w, STR("title")), 0);
    assert_int_equal(segment_writer_field(w, STR("body")), 1);
    write_documents(c, w, segment);
    write_words(c, w, segment);
    assert_int_equal(segment_writer_finish(w, &result), 0);
    return result;
}

static void mark_deleted(const struct block_corpus *c, struct core_segment *s, uint32_t segment)
{
    for (struct place p = {segment, 0}; p.document < sizes[segment]; p.document++) {
        if (!is_deleted(c, p))
            continue;
        struct deletion_chunk **chunk = &s->chunks[p.document / CHUNK_DOCUMENTS];
        *chunk = *chunk ? *chunk : core_chunk_new();
        assert_non_null(*chunk);
        (*chunk)->bits[p.document % CHUNK_DOCUMENTS / 64] |= UINT64_C(1) << p.document % 64;
        (*chunk)->count++;
        s->deleted++;
        s->live_length -= length_decoded[length_code(c, p)];
    }
}

static void commit_segment(const struct block_corpus *c, struct core *core, uint32_t segment)
{
    struct segment_result result = write_segment(c, segment);
    struct deletion_chunk *chunks[MOST_CHUNKS] = {NULL};
    struct core_segment added = {
        .id = segment + 1,
        .documents = result.documents,
        .live_length = result.total_length,
        .bytes = result.bytes,
        .first_stamp = result.first_stamp,
        .last_stamp = result.last_stamp,
        .chunk_count = core_chunks(result.documents),
        .chunks = chunks,
    };
    assert_true(added.chunk_count <= MOST_CHUNKS);
    mark_deleted(c, &added, segment);
    struct core_change change = {.epoch = 1, .applied = {segment + 1, segment + 2}, .added = &added};
    uint64_t generation;
    assert_int_equal(core_begin(core), 0);
    assert_int_equal(core_commit(core, &change, &generation), 0);
    for (size_t i = 0; i < MOST_CHUNKS; i++)
        core_chunk_release(chunks[i]);
}

void block_corpus_make(struct block_corpus *c)
{
    struct core *core;
    snprintf(c->directory, sizeof c->directory, "/tmp/mayfly-blocks-XXXXXX");
    assert_non_null(mkdtemp(c->directory));
    assert_int_equal(core_open_writer(c->directory, &core), 0);
    for (uint32_t i = 0; i < SEGMENTS; i++)
        commit_segment(c, core, i);
    core_close(core);
}

struct snapshot *block_corpus_open(const struct block_corpus *c)
{
    struct core *core;
    struct core_view *view;
    struct snapshot *snapshot;
    struct segment_fault failed;
    assert_int_equal(core_open_reader(c->directory, &core), 0);
    assert_int_equal(core_read(core, NULL, &view), 0);
    assert_int_equal(snapshot_open(c->directory, view, NULL, &snapshot, &failed), 0);
    core_close(core);
    return snapshot;
}

void block_corpus_remove(struct block_corpus *c)
{
    char path[SNAPSHOT_PATH_MAX];
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        snapshot_segment_path(c->directory, i + 1, path, sizeof path);
        assert_int_equal(unlink(path), 0);
    }
    static const char *const files[] = {"core.mdb", "core.mdb-lock"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", c->directory, files[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(c->directory), 0);
}
