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
    bool (*has)[WORDS];           /* by documents */
    bool (*stands)[WORDS][WORDS];
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
    m->has = calloc(DOCUMENTS, sizeof *m->has);
    m->stands = calloc(DOCUMENTS, sizeof *m->stands);
    for (uint32_t n = 0; n < m->documents; n++) {
        const uint8_t *text = text_of(m, n);
        for (uint32_t i = 0; i < tokens_of(n); i++) {
            m->frequency[text[i]] += !m->has[n][text[i]];
            m->has[n][text[i]] = true;
            if (i > 0 && position_of(n, i) == position_of(n, i - 1) + 1)
                m->stands[n][text[i - 1]][text[i]] = true;
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

static void write_documents(const struct model *m, struct segment_writer *w)
{
    for (uint32_t n = 0; n < m->documents; n++) {
        char id[16];
        struct segment_document d = {.stamp = n + 1, .body = STR("{}"), .length_code = (uint8_t)(20 + n % 20)};
        d.id = (struct str){id, (size_t)snprintf(id, sizeof id, "%u", n)};
        d.hash = hash64(d.id);
        segment_writer_document(w, &d);
    }
}

static void write_segment(const struct model *m, const char *path, const struct pairs_options *pairs)
{
    struct segment_options options = {.id = 1, .transaction = 1 << 20, .analyzer = STR("test 1"), .pairs = *pairs};
    struct segment_writer *w;
    struct segment_result result;
    assert_int_equal(segment_writer_open(path, &options, &w), 0);
    write_documents(m, w);
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
    free(m->has);
    free(m->stands);
}

static struct pair_word word_of(const struct model *m, uint32_t word, char room[8])
{
    return (struct pair_word){key_of(word, room), m->frequency[word]};
}

/* How often an entry was of either form, and how often nothing was known. */
struct seen {
    uint32_t few, split, unknown;
};

static void see(struct seen *seen, const struct pair_list *l)
{
    seen->few += l->form <= PAIR_FEW;
    seen->split += l->form > PAIR_FEW;
}

/* Just those documents are listed that have the two side by side. */
static void compare(const struct model *m, const struct segment *s, uint32_t first, uint32_t second, struct seen *seen)
{
    static uint32_t postings[DOCUMENTS + KERNEL_OVERWRITE];
    char room[2][8];
    struct pair_word a = word_of(m, first, room[0]), b = word_of(m, second, room[1]);
    struct pair_list l;
    int known = segment_pair(s, &a, &b, &l);
    assert_in_range(known, 0, 1);
    seen->unknown += !known;
    if (!known)
        return;
    assert_int_equal(l.of_first, a.documents <= b.documents);
    assert_int_equal(l.postings, l.of_first ? a.documents : b.documents);
    if (l.count > 0) {
        see(seen, &l);
        assert_int_equal(segment_pair_postings(s, &l, postings), 0);
    }
    uint32_t number = 0, at = 0, owner = l.of_first ? first : second;
    for (uint32_t n = 0; n < m->documents; n++) {
        bool is_listed = at < l.count && postings[at] == number;
        assert_int_equal(is_listed && m->has[n][owner], m->stands[n][first][second]);
        at += is_listed && m->has[n][owner];
        number += m->has[n][owner];
    }
    assert_int_equal(at, l.count);
}

/* How many documents make a word frequent, and how many pairs of such words there are. */
static uint32_t compare_all(const struct model *m, uint32_t *out_compared, struct seen *seen)
{
    struct segment *s;
    uint32_t compared = 0, least;
    assert_int_equal(segment_open(m->path, &s), 0);
    least = segment_pairs_least(s);
    for (uint32_t first = 0; first < WORDS; first++) {
        for (uint32_t second = 0; second < WORDS; second++) {
            if (m->frequency[first] < least || m->frequency[second] < least)
                continue;
            compare(m, s, first, second, seen);
            compared++;
        }
    }
    segment_close(s);
    *out_compared = compared;
    return least;
}

static void lists_where_frequent_words_stand_side_by_side(void **state)
{
    (void)state;
    struct model m = make(DOCUMENTS, &(struct pairs_options){.memory = 4 << 20, .wanted = DOCUMENTS});
    struct seen seen = {0};
    uint32_t compared;
    assert_int_equal(compare_all(&m, &compared, &seen), FREQUENT);
    assert_in_range(compared, 500, WORDS * WORDS - 100); /* not all words are frequent */
    assert_true(seen.few > 100 && seen.split > 100);
    assert_int_equal(seen.unknown, 0);
    discard(&m);
}

static void lists_those_of_fewer_words_in_little_memory(void **state)
{
    (void)state;
    struct model m = make(DOCUMENTS, &(struct pairs_options){.memory = 40 << 10, .wanted = DOCUMENTS});
    struct seen seen = {0};
    uint32_t compared;
    assert_in_range(compare_all(&m, &compared, &seen), 2 * FREQUENT, DOCUMENTS);
    assert_in_range(compared, 4, WORDS * WORDS);
    discard(&m);
}

/* Two words that stand in one place in a few documents, where one would hide the other. */
static void knows_nothing_where_words_stand_in_one_place(void **state)
{
    (void)state;
    struct model m = make(DOCUMENTS, &(struct pairs_options){0});
    struct segment_options options = {.id = 1, .transaction = 1 << 20, .analyzer = STR("test 1"),
                                      .pairs = {.memory = 4 << 20, .wanted = 1}};
    struct segment_writer *w;
    struct segment_result result;
    struct segment *s;
    char path[80];
    snprintf(path, sizeof path, "%s/other", m.directory);
    assert_int_equal(segment_writer_open(path, &options, &w), 0);
    write_documents(&m, w);
    for (uint32_t word = 0; word < 2; word++) {
        char room[8];
        segment_writer_term(w, key_of(word, room));
        for (uint32_t n = 0; n < m.documents; n++)
            segment_writer_posting(w, n, 1, &(uint32_t){n % 100 ? word : 0}, 1);
    }
    assert_int_equal(segment_writer_finish(w, &result), 0);
    assert_int_equal(segment_open(path, &s), 0);
    char rooms[2][8];
    struct pair_word words[] = {{key_of(0, rooms[0]), m.documents}, {key_of(1, rooms[1]), m.documents}};
    struct pair_list l;
    assert_int_equal(segment_pair(s, &words[0], &words[1], &l), 0);
    segment_close(s);
    unlink(path);
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
    struct pair_place row, entries;
    assert_int_equal(segment_open(m.path, &s), 0);
    struct str first = key_of(0, room[0]), second = key_of(1, room[1]);
    page_ranges_init(&r);
    will_need_pair_words(s, first, second, &r);
    assert_true(asks(&r, s->pair_words.parts.extents[0].payload, (size_t)s->pair_words.count * PAIR_WORD));
    will_need_pair_row(s, first, second, &r);
    assert_true(segment_pair_row(s, first, &row));
    assert_true(asks(&r, s->pairs.extents[row.place >> 32].payload + (uint32_t)row.place, row.size));
    will_need_pair(s, first, second, &r);
    assert_true(segment_pair_entries(s, first, second, &entries));
    assert_true(asks(&r, s->pairs.extents[entries.place >> 32].payload + (uint32_t)entries.place, entries.size));
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
    struct pairs_options little = {.memory = 240 << 10, .wanted = 1};
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_where_frequent_words_stand_side_by_side),
        cmocka_unit_test(lists_those_of_fewer_words_in_little_memory),
        cmocka_unit_test(knows_nothing_where_words_stand_in_one_place),
        cmocka_unit_test(are_asked_for_before_they_are_read),
        cmocka_unit_test(gives_the_same_bytes_in_several_parts),
        cmocka_unit_test(has_none_in_small_segments),
        cmocka_unit_test(is_made_by_merges_whatever_the_inputs_have),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
