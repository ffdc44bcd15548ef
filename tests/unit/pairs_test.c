#include "index/pairs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/hash.h"
#include "index/merge.h"
#include "index/segment_parts.h"
#include "index/will_need.h"
#include "random.h"

/* Documents of random words, a few of them frequent; two are long: positions of the one are far apart, the other has more
 * words than a window. Lengths are such that some documents' rooms in a window end between any two words of their last run.
 * A model says where which words stand side by side. */

enum { DOCUMENTS = 4000, WORDS = 60, FREQUENT = DOCUMENTS / 200, TOKENS = 30, FAR_AWAY = 77, LONG = 3001, LONG_TOKENS = 40000 };

struct model {
    char directory[40], path[64];
    uint32_t documents;
    uint8_t *text;                  /* word + 1 of each token, TOKENS a document; those of the long one elsewhere */
    uint8_t *long_text;             /* LONG_TOKENS */
    uint32_t frequency[WORDS];
    bool (*stands)[WORDS][WORDS]; /* by ranges */
};

static uint32_t tokens_of(uint32_t document)
{
    return document == LONG ? LONG_TOKENS : TOKENS;
}

static uint8_t *text_of(const struct model *m, uint32_t document)
{
    return document == LONG ? m->long_text : m->text + (size_t)document * TOKENS;
}

/* Runs of ten words side by side, then a gap. */
static uint32_t position_of(uint32_t document, uint32_t token)
{
    return token + token / 10 * (document == FAR_AWAY ? 1000000 : 100);
}

/* The first ones are in every other document, the last ones nearly nowhere. */
static uint8_t random_word(uint32_t *random)
{
    uint32_t most = 1 + next_random(random) % WORDS;
    return (uint8_t)(next_random(random) % most % (1 + next_random(random) % WORDS));
}

static void write_text(struct model *m)
{
    uint32_t random = 5;
    m->text = malloc((size_t)DOCUMENTS * TOKENS);
    m->long_text = malloc(LONG_TOKENS);
    for (uint32_t n = 0; n < m->documents; n++) {
        for (uint32_t i = 0; i < tokens_of(n); i++)
            text_of(m, n)[i] = random_word(&random);
    }
}

static void look_at_text(struct model *m)
{
    m->stands = calloc(DOCUMENTS / 32 + 1, sizeof *m->stands);
    for (uint32_t n = 0; n < m->documents; n++) {
        const uint8_t *text = text_of(m, n);
        bool has[WORDS] = {false};
        for (uint32_t i = 0; i < tokens_of(n); i++) {
            m->frequency[text[i]] += !has[text[i]];
            has[text[i]] = true;
            if (i > 0 && position_of(n, i) == position_of(n, i - 1) + 1)
                m->stands[n / 32][text[i - 1]][text[i]] = true;
        }
    }
}

static struct str key_of(uint32_t word, char room[8])
{
    return (struct str){room, (size_t)snprintf(room, 8, "s%02u", word)};
}

static void write_word(const struct model *m, struct segment_writer *w, uint8_t word)
{
    static uint32_t positions[LONG_TOKENS];
    char room[8];
    segment_writer_term(w, key_of(word, room));
    for (uint32_t n = 0; n < m->documents; n++) {
        size_t count = 0;
        for (uint32_t i = 0; i < tokens_of(n); i++) {
            if (text_of(m, n)[i] == word)
                positions[count++] = position_of(n, i);
        }
        if (count > 0)
            segment_writer_posting(w, n, 1, positions, count);
    }
}

static void write_segment(const struct model *m, const char *path, const struct pairs_options *pairs)
{
    struct segment_options options = {.id = 1, .transaction = 1 << 20, .analyzer = STR("test 1"), .pairs = *pairs};
    struct segment_writer *w;
    struct segment_result result;
    assert_int_equal(segment_writer_open(path, &options, &w), 0);
    for (uint32_t n = 0; n < m->documents; n++) {
        char id[16];
        struct segment_document d = {.stamp = n + 1, .body = STR("{}"), .length_code = (uint8_t)(20 + n % 20)};
        d.id = (struct str){id, (size_t)snprintf(id, sizeof id, "%u", n)};
        d.hash = hash64(d.id);
        segment_writer_document(w, &d);
    }
    for (uint8_t word = 0; word < WORDS; word++)
        write_word(m, w, word);
    assert_int_equal(segment_writer_finish(w, &result), 0);
}

static struct model make(uint32_t documents, const struct pairs_options *pairs)
{
    struct model m = {.directory = "/tmp/mayfly-pairs-XXXXXX", .documents = documents};
    assert_non_null(mkdtemp(m.directory));
    snprintf(m.path, sizeof m.path, "%s/seg-1.mdb", m.directory);
    write_text(&m);
    look_at_text(&m);
    write_segment(&m, m.path, pairs);
    return m;
}

static void discard(struct model *m)
{
    unlink(m->path);
    rmdir(m->directory);
    free(m->text);
    free(m->long_text);
    free(m->stands);
}

static struct pair_ranges ranges_of(const struct segment *s, uint32_t first, uint32_t second)
{
    char room[2][8];
    struct pair_ranges ranges;
    memset(&ranges, 0xff, sizeof ranges);
    assert_int_equal(segment_pair_ranges(s, key_of(first, room[0]), key_of(second, room[1]), &ranges), 0);
    return ranges;
}

/* Nothing is missing; how many ranges are listed in which no document has the two side by side. */
static uint32_t compare(const struct model *m, const struct segment *s, uint32_t first, uint32_t second)
{
    uint32_t too_many = 0;
    struct pair_ranges listed = ranges_of(s, first, second);
    assert_int_equal(segment_pairs_shift(s), 5);
    for (uint32_t range = 0; range < (m->documents + 31) / 32; range++) {
        uint32_t from = range * 32, end = from + 32 < m->documents ? from + 32 : m->documents;
        bool is_listed = pair_ranges_have(&listed, 5, from, end);
        assert_int_equal(pair_ranges_have_one(&listed, 5, from), is_listed);
        if (m->stands[range][first][second])
            assert_true(is_listed);
        else
            too_many += is_listed;
    }
    return too_many;
}

/* How many documents make a word frequent, and how many pairs of such words there are. */
static uint32_t compare_all(const struct model *m, uint32_t *out_compared)
{
    struct segment *s;
    uint32_t too_many = 0, compared = 0, least;
    assert_int_equal(segment_open(m->path, &s), 0);
    least = segment_pairs_least(s);
    for (uint32_t first = 0; first < WORDS; first++) {
        for (uint32_t second = 0; second < WORDS; second++) {
            if (m->frequency[first] < least || m->frequency[second] < least)
                continue;
            too_many += compare(m, s, first, second);
            compared++;
        }
    }
    assert_in_range(too_many, 0, compared * 16); /* tags that are alike, of 125 ranges each */
    segment_close(s);
    *out_compared = compared;
    return least;
}

static void lists_where_frequent_words_stand_side_by_side(void **state)
{
    (void)state;
    struct model m = make(DOCUMENTS, &(struct pairs_options){.memory = 4 << 20, .wanted = DOCUMENTS});
    uint32_t compared;
    assert_int_equal(compare_all(&m, &compared), FREQUENT);
    assert_in_range(compared, 500, WORDS * WORDS - 100); /* not all words are frequent */
    discard(&m);
}

static void lists_those_of_fewer_words_in_little_memory(void **state)
{
    (void)state;
    struct model m = make(DOCUMENTS, &(struct pairs_options){.memory = 200 << 10, .wanted = DOCUMENTS});
    uint32_t compared;
    assert_in_range(compare_all(&m, &compared), 2 * FREQUENT, DOCUMENTS);
    assert_in_range(compared, 4, WORDS * WORDS);
    discard(&m);
}

struct asked {
    const uint8_t *at;
    size_t size;
    bool for_it; /* all of it, by one range */
};

static void look(void *context, struct page_range range)
{
    struct asked *a = context;
    a->for_it |= range.from <= (uintptr_t)a->at && range.end >= (uintptr_t)a->at + a->size;
}

static bool asks(struct page_ranges *r, const uint8_t *at, size_t size)
{
    struct asked asked = {.at = at, .size = size};
    r->advise = look;
    r->context = &asked;
    page_ranges_ask(r);
    return asked.for_it;
}

static void are_asked_for_before_they_are_read(void **state)
{
    (void)state;
    struct model m = make(DOCUMENTS, &(struct pairs_options){.memory = 4 << 20, .wanted = DOCUMENTS});
    struct segment *s;
    struct page_ranges r;
    char room[2][8];
    uint64_t place;
    uint32_t size;
    const uint8_t *element;
    assert_int_equal(segment_open(m.path, &s), 0);
    struct str first = key_of(0, room[0]), second = key_of(1, room[1]);
    uint32_t bucket = segment_pair_bucket(s, first, second);
    page_ranges_init(&r);
    will_need_pair_place(s, first, second, &r);
    assert_int_equal(segment_element(s, &s->pair_places, bucket, &element), 0);
    assert_true(asks(&r, element, sizeof place));
    will_need_pair(s, first, second, &r);
    assert_int_equal(segment_pair_place(s, bucket, &place, &size), 0);
    assert_true(asks(&r, s->pairs.extents[place >> 32].payload + (uint32_t)place, size));
    segment_close(s);
    discard(&m);
}

static char *read_file(const char *path, long *out_size)
{
    FILE *file = fopen(path, "rb");
    fseek(file, 0, SEEK_END);
    *out_size = ftell(file);
    char *bytes = malloc((size_t)*out_size);
    rewind(file);
    assert_int_equal(fread(bytes, (size_t)*out_size, 1, file), 1);
    fclose(file);
    return bytes;
}

/* With less memory the lists are read for each of several parts of the pairs, and by smaller windows. */
static void gives_the_same_bytes_in_several_parts(void **state)
{
    (void)state;
    struct model m = make(DOCUMENTS, &(struct pairs_options){.memory = 4 << 20, .wanted = 1});
    struct pairs_options little = {.memory = 600 << 10, .wanted = 1};
    char path[80];
    long sizes[2];
    snprintf(path, sizeof path, "%s/other", m.directory);
    write_segment(&m, path, &little);
    char *bytes[2] = {read_file(m.path, &sizes[0]), read_file(path, &sizes[1])};
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(bytes[0], bytes[1], (size_t)sizes[0]);
    free(bytes[0]);
    free(bytes[1]);
    unlink(path);
    discard(&m);
}

static void has_none_in_small_segments(void **state)
{
    (void)state;
    const struct pairs_options options[] = {{.memory = 1 << 20}, {.memory = 1 << 20, .wanted = DOCUMENTS + 1}, {.wanted = 1}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        struct model m = make(DOCUMENTS, &options[i]);
        struct segment *s;
        assert_int_equal(segment_open(m.path, &s), 0);
        assert_int_equal(segment_pairs_least(s), 0);
        segment_close(s);
        discard(&m);
    }
}

static void is_made_by_merges_whatever_the_inputs_have(void **state)
{
    (void)state;
    struct model m = make(DOCUMENTS, &(struct pairs_options){.memory = 1 << 20, .wanted = 1});
    struct pairs_options none = {0};
    char input[80], output[80];
    snprintf(input, sizeof input, "%s/input", m.directory);
    snprintf(output, sizeof output, "%s/output", m.directory);
    write_segment(&m, input, &none);
    struct segment_options options = {
        .id = 1, .transaction = 1 << 20, .analyzer = STR("test 1"), .pairs = {.memory = 1 << 20, .wanted = 1}};
    struct segment_result result;
    struct merge_input inputs = {0};
    size_t culprit;
    assert_int_equal(segment_open(input, (struct segment **)(void *)&inputs.segment), 0);
    assert_int_equal(merge_segments(output, &options, &inputs, 1, NULL, NULL, &result, &culprit), 0);
    segment_close((struct segment *)(uintptr_t)inputs.segment);
    long sizes[2];
    char *bytes[2] = {read_file(m.path, &sizes[0]), read_file(output, &sizes[1])};
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(bytes[0], bytes[1], (size_t)sizes[0]);
    free(bytes[0]);
    free(bytes[1]);
    unlink(input);
    unlink(output);
    discard(&m);
}

static void says_whether_ranges_have_documents(void **state)
{
    (void)state;
    for (unsigned shift = 0; shift < 8; shift += 7) {
        struct pair_ranges r = {.bits = {[0] = UINT64_C(1) << 63, [2] = 1, [PAIR_WORDS - 1] = UINT64_C(1) << 62}};
        const uint32_t set[] = {63, 128, 64 * PAIR_WORDS - 2};
        for (uint32_t from = 0; from < 64 * PAIR_WORDS; from += 7) {
            for (uint32_t end = from; end <= 64 * PAIR_WORDS; end += 13) {
                bool expected = false;
                for (size_t i = 0; i < 3; i++)
                    expected |= from <= set[i] && set[i] < end;
                assert_int_equal(pair_ranges_have(&r, shift, from << shift, end << shift), expected);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_where_frequent_words_stand_side_by_side),
        cmocka_unit_test(lists_those_of_fewer_words_in_little_memory),
        cmocka_unit_test(are_asked_for_before_they_are_read),
        cmocka_unit_test(gives_the_same_bytes_in_several_parts),
        cmocka_unit_test(has_none_in_small_segments),
        cmocka_unit_test(is_made_by_merges_whatever_the_inputs_have),
        cmocka_unit_test(says_whether_ranges_have_documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
