#include "segment_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/hash.h"
#include "index/score.h"
#include "random.h"

size_t model_occurrences(uint32_t term, uint32_t document, uint32_t out[MAX_POSITIONS])
{
    uint32_t seed = term * 2654435761u ^ document * 40503u;
    next_random(&seed);
    if (next_random(&seed) % (1 + term % 50) != 0)
        return 0;
    size_t count = 1 + next_random(&seed) % MAX_POSITIONS;
    uint32_t at = 0;
    for (size_t i = 0; i < count; i++) {
        at += next_random(&seed) % 10 + (i > 0) + (document % 41 == 3 && i + 1 == count ? 10000 : 0);
        out[i] = at * TERMS + term; /* no other term's */
    }
    return count;
}

uint32_t model_t(uint32_t count, uint32_t document)
{
    return count + (document % 61 == 7 ? 4000 : document % 2);
}

size_t model_key(uint32_t term, char key[16])
{
    return (size_t)snprintf(key, 16, "%c%05u", term < TERMS - 50 ? 's' : 'w', term * 7);
}

struct str model_body(uint32_t document, char *room)
{
    size_t length = document % 97 == 5 ? 100000 : document % 300;
    for (size_t i = 0; i < length; i++)
        room[i] = (char)('a' + (i * 7 + document) % 23);
    return (struct str){room, length};
}

size_t model_ranges(uint32_t document, struct field_range out[4])
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
        struct segment_document d = {.stamp = 1000 + 3 * n, .body = model_body(n, body), .length_code = length_encode(n)};
        d.id = (struct str){id, (size_t)snprintf(id, sizeof id, "id-%u", n % 1000)};
        d.hash = hash64(d.id);
        d.ranges = ranges;
        d.range_count = model_ranges(n, ranges);
        segment_writer_document(w, &d);
    }
    free(body);
}

static void write_terms(struct segment_writer *w, uint32_t documents)
{
    for (uint32_t term = 0; term < TERMS; term++) {
        char key[16];
        uint32_t positions[MAX_POSITIONS];
        size_t length = model_key(term, key);
        segment_writer_term(w, (struct str){key, length});
        for (uint32_t n = 0; n < documents; n++) {
            size_t count = model_occurrences(term, n, positions);
            if (count)
                segment_writer_posting(w, n, key[0] == 's' ? model_t((uint32_t)count, n) : 1, positions,
                                       key[0] == 's' ? count : 0);
        }
    }
}

struct model model_make(uint32_t documents, size_t transaction)
{
    struct model m = {.directory = "/tmp/mayfly-segment-XXXXXX", .documents = documents};
    assert_non_null(mkdtemp(m.directory));
    snprintf(m.path, sizeof m.path, "%s/seg-7.mdb", m.directory);
    struct segment_options options = {
        .id = 7,
        .transaction = transaction,
        .analyzer = STR("test 1"),
        .pairs = {.memory = 1 << 20, .wanted = 1},
    };
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

void model_discard(struct model *m)
{
    unlink(m->path);
    rmdir(m->directory);
}
