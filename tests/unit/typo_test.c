#include "index/typo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
// cmocka wants the four above first
#include <cmocka.h>

#include "common/err.h"
#include "index/kernels.h"
#include "index/segment.h"
#include "random.h"

enum { TERMS = 4000, MAX_LETTERS = 24, WORDS = 100 };

/* Of one, two, three and four bytes, several with the same first ones. */
static const char *const letters[] = {"a", "b", "c", "d", "e", "z", "0", "é", "è", "ß", "я", "あ", "い", "日", "本", "😀", "😁"};
enum { LETTERS = sizeof letters / sizeof *letters, LATIN = 6, FOREIGN = 7 /* up to 'z'; from 'é' on */ };

/* A word as numbers of letters, which is how it is compared here, and as text with its kind in front. */
struct word {
    unsigned count;
    uint8_t letters[MAX_LETTERS + TYPO_EDITS];
    size_t length;
    char text[1 + 4 * (MAX_LETTERS + TYPO_EDITS)];
};

struct dictionary {
    struct word *terms;
    size_t count;
    char path[64];
    struct segment *segment;
};

static void write_text(struct word *w, char kind)
{
    w->length = 1;
    w->text[0] = kind;
    for (unsigned i = 0; i < w->count; i++) {
        size_t size = strlen(letters[w->letters[i]]);
        memcpy(w->text + w->length, letters[w->letters[i]], size);
        w->length += size;
    }
}

static struct str key_of(const struct word *w)
{
    return (struct str){w->text, w->length};
}

static struct str text_of(const struct word *w)
{
    return (struct str){w->text + 1, w->length - 1};
}

static int by_key(const void *a, const void *b)
{
    return str_compare(key_of(a), key_of(b));
}

static uint8_t random_letter(uint32_t *seed)
{
    return (uint8_t)(next_random(seed) % 3 ? next_random(seed) % 7 : next_random(seed) % LETTERS);
}

static void edit(struct word *w, uint32_t *seed)
{
    unsigned at = next_random(seed) % w->count;
    uint8_t letter = random_letter(seed);
    switch (next_random(seed) % 4) {
    case 0:
        w->letters[at] = letter;
        return;
    case 1:
        memmove(&w->letters[at + 1], &w->letters[at], w->count - at);
        w->letters[at] = letter;
        w->count++;
        return;
    case 2:
        if (w->count > 1) {
            memmove(&w->letters[at], &w->letters[at + 1], w->count - at - 1);
            w->count--;
        }
        return;
    default:
        if (at + 1 < w->count) {
            letter = w->letters[at];
            w->letters[at] = w->letters[at + 1];
            w->letters[at + 1] = letter;
        }
    }
}

/* The distance by its definition: optimal string alignment. */
static unsigned distance(const struct word *a, const struct word *b)
{
    unsigned d[MAX_LETTERS + TYPO_EDITS + 1][MAX_LETTERS + TYPO_EDITS + 1];
    for (unsigned i = 0; i <= a->count; i++) {
        for (unsigned k = 0; k <= b->count; k++) {
            if (i == 0 || k == 0) {
                d[i][k] = i + k;
                continue;
            }
            unsigned best = d[i - 1][k - 1] + (a->letters[i - 1] != b->letters[k - 1]);
            best = d[i - 1][k] + 1 < best ? d[i - 1][k] + 1 : best;
            best = d[i][k - 1] + 1 < best ? d[i][k - 1] + 1 : best;
            bool swapped = i > 1 && k > 1 && a->letters[i - 1] == b->letters[k - 2] &&
                           a->letters[i - 2] == b->letters[k - 1];
            d[i][k] = swapped && d[i - 2][k - 2] + 1 < best ? d[i - 2][k - 2] + 1 : best;
        }
    }
    return d[a->count][b->count];
}

static void sort_terms(struct dictionary *d)
{
    qsort(d->terms, TERMS, sizeof *d->terms, by_key);
    for (size_t i = 0; i < TERMS; i++)
        if (d->count == 0 || by_key(&d->terms[d->count - 1], &d->terms[i]))
            d->terms[d->count++] = d->terms[i];
}

/* Terms near each other, by editing one before; then sorted, each once. */
static void make_terms(struct dictionary *d, uint32_t seed)
{
    d->terms = calloc(TERMS, sizeof *d->terms);
    for (size_t i = 0; i < TERMS; i++) {
        struct word *w = &d->terms[i];
        if (i && next_random(&seed) % 4) {
            *w = d->terms[next_random(&seed) % i];
            w->count = w->count < MAX_LETTERS ? w->count : MAX_LETTERS;
            edit(w, &seed);
        } else {
            w->count = 1 + next_random(&seed) % (next_random(&seed) % 4 ? 9 : MAX_LETTERS);
            for (unsigned k = 0; k < w->count; k++)
                w->letters[k] = random_letter(&seed);
        }
        write_text(w, next_random(&seed) % 3 ? TERM_STEM : TERM_WORD);
    }
    sort_terms(d);
}

/* Words of other scripts, whole blocks of the dictionary, and among them one in a hundred that is near an ASCII word, so that
 * blocks have several such, one, and none. */
static void make_foreign_terms(struct dictionary *d, uint32_t seed)
{
    d->terms = calloc(TERMS, sizeof *d->terms);
    for (size_t i = 0; i < TERMS; i++) {
        struct word *w = &d->terms[i];
        bool is_near = next_random(&seed) % 100 == 0;
        w->count = is_near ? 9 + next_random(&seed) % 4 : 1 + next_random(&seed) % 6;
        for (unsigned k = 0; k < w->count; k++)
            w->letters[k] = (uint8_t)(is_near ? next_random(&seed) % LATIN : FOREIGN + next_random(&seed) % (LETTERS - FOREIGN));
        for (unsigned k = 0; is_near && k < 1 + i % 2; k++)
            w->letters[k ? next_random(&seed) % w->count : 0] = (uint8_t)(FOREIGN + next_random(&seed) % (LETTERS - FOREIGN));
        write_text(w, next_random(&seed) % 3 ? TERM_STEM : TERM_WORD);
    }
    sort_terms(d);
}

typedef void terms_maker(struct dictionary *d, uint32_t seed);

static void build(struct dictionary *d, terms_maker *make, uint32_t seed)
{
    char directory[] = "/tmp/mayfly-typo-XXXXXX";
    struct segment_options options = {.id = 1, .transaction = 1 << 20};
    struct segment_document document = {.stamp = 1, .id = STR("x")};
    struct segment_result result;
    struct segment_writer *w;
    make(d, seed);
    assert_non_null(mkdtemp(directory));
    snprintf(d->path, sizeof d->path, "%s/seg-1.mdb", directory);
    assert_int_equal(segment_writer_open(d->path, &options, &w), 0);
    segment_writer_document(w, &document);
    for (size_t i = 0; i < d->count; i++) {
        uint32_t position = 0;
        segment_writer_term(w, key_of(&d->terms[i]));
        segment_writer_posting(w, 0, 1, &position, d->terms[i].text[0] == TERM_STEM);
    }
    assert_int_equal(segment_writer_finish(w, &result), 0);
    assert_int_equal(segment_open(d->path, &d->segment), 0);
}

static void discard(struct dictionary *d)
{
    segment_close(d->segment);
    unlink(d->path);
    *strrchr(d->path, '/') = 0;
    rmdir(d->path);
    free(d->terms);
}

struct expected {
    const struct dictionary *dictionary;
    const struct word *word;
    unsigned edits;
    size_t at, found;
};

/* The next of the dictionary that is near enough, or its end. */
static size_t next_near(const struct expected *e, size_t at, unsigned *out)
{
    for (; at < e->dictionary->count; at++) {
        *out = distance(e->word, &e->dictionary->terms[at]);
        if (*out >= 1 && *out <= e->edits)
            break;
    }
    return at;
}

static int expect_term(void *context, const struct term *t, uint32_t edits)
{
    struct expected *e = context;
    unsigned near = 0;
    e->at = next_near(e, e->at, &near);
    assert_true(e->at < e->dictionary->count);
    assert_true(str_equal(t->key, key_of(&e->dictionary->terms[e->at])));
    assert_int_equal(t->documents, 1);
    assert_int_equal(edits, near);
    e->at++;
    e->found++;
    return 0;
}

static size_t expect_word(const struct dictionary *d, const struct word *word, unsigned edits)
{
    struct expected e = {.dictionary = d, .word = word, .edits = edits};
    struct typo_word pattern;
    unsigned near;
    typo_word_init(&pattern, text_of(word), edits);
    assert_int_equal(typo_scan(&pattern, d->segment, expect_term, &e), 0);
    assert_int_equal(next_near(&e, e.at, &near), d->count);
    return e.found;
}

/* Segments that are opened from now on use its kernels. */
static void choose_processor(void **state)
{
    const char *name = *state;
    if (!kernels_named(name)) {
        print_message("skipped: this processor does not run %s\n", name);
        skip();
    }
    setenv("MAYFLY_CPU", name, 1);
}

static void finds_what_the_definition_finds(void **state)
{
    choose_processor(state);
    size_t found[TYPO_EDITS + 1] = {0};
    uint32_t dictionaries = strcmp(*state, "portable") == 0 ? 2 : 1;
    for (uint32_t seed = 1; seed <= dictionaries; seed++) {
        struct dictionary d = {0};
        uint32_t random = seed * 77;
        build(&d, make_terms, seed);
        for (unsigned i = 0; i < WORDS; i++) {
            struct word w = d.terms[next_random(&random) % d.count];
            w.count = w.count < MAX_LETTERS ? w.count : MAX_LETTERS;
            for (unsigned k = next_random(&random) % 3; k > 0 && w.count <= MAX_LETTERS; k--)
                edit(&w, &random);
            write_text(&w, TERM_WORD);
            for (unsigned edits = 1; edits <= TYPO_EDITS; edits++)
                found[edits] += expect_word(&d, &w, edits);
        }
        discard(&d);
    }
    assert_true(found[1] > dictionaries * WORDS);
    assert_true(found[2] > 2 * found[1]);
}

/* An ASCII word, and at most two letters of other scripts in place of its own. */
static void finds_what_begins_with_letters_of_other_scripts(void **state)
{
    choose_processor(state);
    struct dictionary d = {0};
    size_t found = 0, words = 0;
    uint32_t random = 3;
    build(&d, make_foreign_terms, 4);
    for (size_t i = 0; i < d.count; i++) {
        struct word w = d.terms[i];
        if (w.count < 9)
            continue;
        for (unsigned k = 0; k < w.count; k++)
            w.letters[k] = w.letters[k] < LATIN ? w.letters[k] : (uint8_t)(next_random(&random) % LATIN);
        if (words++ % 2)
            edit(&w, &random);
        write_text(&w, TERM_WORD);
        for (unsigned edits = 1; edits <= TYPO_EDITS; edits++)
            found += expect_word(&d, &w, edits);
    }
    assert_true(words > 20 && found > words);
    discard(&d);
}

static int stop(void *context, const struct term *t, uint32_t edits)
{
    (void)t;
    (void)edits;
    ++*(int *)context;
    return -7;
}

static void a_result_ends_the_scan(void **state)
{
    (void)state;
    struct dictionary d = {0};
    struct typo_word w;
    int calls = 0;
    build(&d, make_terms, 9);
    typo_word_init(&w, STR("abc"), 2);
    assert_int_equal(typo_scan(&w, d.segment, stop, &calls), -7);
    assert_int_equal(calls, 1);
    discard(&d);
}

static void long_words_may_have_edits_short_ones_none(void **state)
{
    (void)state;
    char longest[TYPO_LETTERS + 2];
    memset(longest, 'x', sizeof longest);
    assert_int_equal(typo_edits(STR("")), 0);
    assert_int_equal(typo_edits(STR("word")), 0);
    assert_int_equal(typo_edits(STR("words")), 1);
    assert_int_equal(typo_edits(STR("eightlet")), 1);
    assert_int_equal(typo_edits(STR("ninelette")), 2);
    assert_int_equal(typo_edits(STR("日本日本")), 0);
    assert_int_equal(typo_edits(STR("日本日本日")), 1);
    assert_int_equal(typo_edits(STR("😀😀😀😀😀😀😀😀😀")), 2);
    assert_int_equal(typo_edits(STR("word2vec")), 0);
    assert_int_equal(typo_edits((struct str){longest, TYPO_LETTERS}), 2);
    assert_int_equal(typo_edits((struct str){longest, TYPO_LETTERS + 1}), 0);
}

static int count_edits(void *context, const struct term *t, uint32_t edits)
{
    (void)t;
    ++((int *)context)[edits];
    return 0;
}

/* It has a bit for each letter and one for none. */
static void the_longest_word_is_compared_to_its_end(void **state)
{
    (void)state;
    char directory[] = "/tmp/mayfly-typo-XXXXXX", path[64], key[1 + TYPO_LETTERS + 3];
    struct segment_options options = {.id = 1, .transaction = 1 << 20};
    struct segment_document document = {.stamp = 1, .id = STR("x")};
    struct segment_result result;
    struct segment_writer *w;
    struct segment *s;
    struct typo_word word;
    int found[TYPO_EDITS + 1] = {0};
    memset(key, 'x', sizeof key);
    key[0] = TERM_STEM;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/seg-1.mdb", directory);
    assert_int_equal(segment_writer_open(path, &options, &w), 0);
    segment_writer_document(w, &document);
    for (size_t length = TYPO_LETTERS - 3; length <= TYPO_LETTERS + 3; length++) {
        uint32_t position = 0;
        segment_writer_term(w, (struct str){key, 1 + length});
        segment_writer_posting(w, 0, 1, &position, 1);
    }
    assert_int_equal(segment_writer_finish(w, &result), 0);
    assert_int_equal(segment_open(path, &s), 0);
    typo_word_init(&word, (struct str){key + 1, TYPO_LETTERS}, 2);
    assert_int_equal(typo_scan(&word, s, count_edits, found), 0);
    assert_int_equal(found[0], 0);
    assert_int_equal(found[1], 2);
    assert_int_equal(found[2], 2);
    segment_close(s);
    unlink(path);
    *strrchr(path, '/') = 0;
    rmdir(path);
}

static char portable[] = "portable", avx2[] = "avx2", avx512[] = "avx512";

#define ON(test, cpu) {#test " on " #cpu, test, NULL, NULL, cpu}
#define ON_ALL(test) ON(test, portable), ON(test, avx2), ON(test, avx512)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(finds_what_the_definition_finds),
        ON_ALL(finds_what_begins_with_letters_of_other_scripts),
        cmocka_unit_test(a_result_ends_the_scan),
        cmocka_unit_test(long_words_may_have_edits_short_ones_none),
        cmocka_unit_test(the_longest_word_is_compared_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
