/* Snowball's own vocabulary through the analyzer: stems are Snowball's, and folding does not spoil what it needs. */
#include "index/analyzer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <libstemmer.h>

#include "index/languages.h"

static struct analysis *analysis;

struct one_word {
    char bytes[ANALYZER_MAX_WORD];
    size_t len;
    uint32_t count;
};

static bool keep(void *context, struct str word, uint32_t position)
{
    struct one_word *w = context;
    memcpy(w->bytes, word.ptr, word.len);
    w->len = word.len;
    w->count = position + 1;
    return true;
}

static struct one_word fold(struct analyzer *a, struct str text)
{
    struct one_word w = {.len = 0};
    analyzer_words(a, text, keep, &w);
    return w;
}

static FILE *open_list(const char *language, const char *list)
{
    const char *shared = getenv("MAYFLY_SHARED");
    char path[512], command[1200];
    snprintf(path, sizeof path, "%s/data/robust/snowball-vocab.tar.gz", shared ? shared : "");
    if (!shared || access(path, R_OK)) {
        print_message("skipped: Snowball's word lists are not in $MAYFLY_SHARED\n");
        skip();
    }
    snprintf(command, sizeof command, "tar xzOf '%s' %s/%s.txt 2>/dev/null", path, language, list);
    return popen(command, "r");
}

static bool next_line(FILE *file, char *line, size_t size, struct str *out)
{
    if (!fgets(line, (int)size, file))
        return false;
    *out = (struct str){line, strcspn(line, "\r\n")};
    return true;
}

struct tally {
    size_t words, wrong, folded, folded_wrong;
};

/* Where stems lose accents, what is expected does, too: `plain` has no language. */
static void check_word(struct analyzer *a, struct analyzer *plain, bool accents, struct str word, struct str expected,
                       struct tally *t)
{
    struct one_word want = {.len = expected.len};
    memcpy(want.bytes, expected.ptr, expected.len < sizeof want.bytes ? expected.len : 0);
    if (accents)
        want = fold(plain, expected);
    struct str wanted = {want.bytes, want.len};
    struct str stem = analyzer_stem(a, word);
    struct one_word got = {.len = stem.len};
    memcpy(got.bytes, stem.ptr, stem.len);
    if (accents)
        got = fold(plain, stem);
    t->words++;
    t->wrong += !str_equal((struct str){got.bytes, got.len}, wanted);

    struct one_word folded = fold(a, word);
    if (folded.count != 1)
        return; /* an apostrophe */
    t->folded++;
    t->folded_wrong += !str_equal(analyzer_stem(a, (struct str){folded.bytes, folded.len}), wanted);
}

static void check_language(const struct language *l, struct tally *out)
{
    struct analyzer *a, *plain;
    char word_line[1024], stem_line[1024];
    struct str word, stem;
    assert_int_equal(analyzer_open(analysis, str_of(l->code), NULL, 0, &a), 0);
    assert_int_equal(analyzer_open(analysis, STR("none"), NULL, 0, &plain), 0);
    FILE *words = open_list(l->snowball, "voc"), *stems = open_list(l->snowball, "output");
    while (next_line(words, word_line, sizeof word_line, &word) && next_line(stems, stem_line, sizeof stem_line, &stem))
        if (word.len && stem.len)
            check_word(a, plain, l->accents != NULL, word, stem, out);
    pclose(words);
    pclose(stems);
    analyzer_close(a);
    analyzer_close(plain);
}

/* The lists are of Snowball 3. What it changed since 2.2 is a few words in most languages, the rules in these. */
static bool is_of_the_same_rules(const struct language *l)
{
    return !strstr("dutch romanian turkish", l->snowball);
}

static void stems_are_those_of_the_vocabularies(void **state)
{
    size_t checked = 0;
    (void)state;
    for (size_t i = 0; i < language_count; i++) {
        struct tally t = {0};
        if (!languages[i].snowball)
            continue;
        check_language(&languages[i], &t);
        if (t.words == 0)
            continue; /* no vocabulary of this one */
        checked++;
        print_message("%s: %zu words, %zu stems differ; folded before: %zu of %zu\n", languages[i].snowball, t.words,
                      t.wrong, t.folded_wrong, t.folded);
        if (is_of_the_same_rules(&languages[i])) {
            assert_true(t.wrong * 20 <= t.words);
            assert_true(t.folded_wrong <= t.wrong + t.folded * 3 / 100);
        }
    }
    assert_true(checked >= 17);
}

/* Words of more than there is room for, in two languages with other rules, each asked for twice. */
static void remembered_stems_are_those_of_the_stemmer(void **state)
{
    static const char *const ends[] = {"s", "ing", "ed", "ation", "eux", "ement", "issions", "'s"};
    enum { WORDS = 4000, LANGUAGES = 2 };
    const struct str codes[LANGUAGES] = {STR("en"), STR("fr")};
    static struct analysis *remembers; /* as it lives with a process */
    struct analyzer *plain[LANGUAGES], *quick[LANGUAGES];
    (void)state;
    assert_int_equal(analysis_load(&remembers), 0);
    assert_int_equal(analysis_remember_stems(remembers), 0);
    for (size_t l = 0; l < LANGUAGES; l++) {
        assert_int_equal(analyzer_open(analysis, codes[l], NULL, 0, &plain[l]), 0);
        assert_int_equal(analyzer_open(remembers, codes[l], NULL, 0, &quick[l]), 0);
    }
    for (uint32_t i = 0; i < 2 * LANGUAGES * WORDS; i++) {
        char text[64];
        uint32_t n = i / (2 * LANGUAGES), language = i % LANGUAGES;
        snprintf(text, sizeof text, "%sa%c%cil%s", n % 97 ? "" : "averylongwordthatisnotkeptatall", 'a' + n % 26,
                 'a' + n / 26 % 26, ends[n % (sizeof ends / sizeof *ends)]);
        char wanted[64] = {0}, got[64] = {0};
        struct str stem = analyzer_stem(plain[language], str_of(text));
        memcpy(wanted, stem.ptr, stem.len);
        stem = analyzer_stem(quick[language], str_of(text));
        memcpy(got, stem.ptr, stem.len);
        assert_string_equal(got, wanted);
    }
    for (size_t l = 0; l < LANGUAGES; l++) {
        analyzer_close(plain[l]);
        analyzer_close(quick[l]);
    }
}

/* Of syllables and of ends that rules look for. */
static size_t made_up(char *out, size_t size, uint64_t n)
{
    static const char *const ends[] = {"",        "s",      "ies",    "ing",  "ingly", "edly", "ed",   "ational",
                                       "iveness", "fulli",  "ously",  "ize",  "'s",    "able", "ment", "ement",
                                       "issait",  "amento", "azione", "heid", "ungen", "lig",  "eran", "anda",
                                       "ossa",    "7",      "_",      "v",    "yy",    "ought"};
    static const char consonants[] = "bcdfghjklmnpqrstvwxyzsslltt", vowels[] = "aeiouyea";
    size_t len = 0, syllables = 1 + n % 3;
    n /= 3;
    const char *end = ends[n % (sizeof ends / sizeof *ends)];
    n /= sizeof ends / sizeof *ends;
    for (size_t i = 0; i < syllables; i++, n /= 27 * 8) {
        out[len++] = consonants[n % 27];
        out[len++] = vowels[n / 27 % 8];
    }
    return len + (size_t)snprintf(out + len, size - len, "%s", end);
}

/* Whichever stemmer the analyzer asks, if any. */
static void stems_of_ascii_are_those_of_the_stemmer_of_utf8(void **state)
{
    (void)state;
    for (size_t i = 0; i < language_count; i++) {
        struct analyzer *a;
        if (!languages[i].snowball)
            continue;
        struct sb_stemmer *stemmer = sb_stemmer_new(languages[i].snowball, "UTF_8");
        assert_non_null(stemmer);
        assert_int_equal(analyzer_open(analysis, str_of(languages[i].code), NULL, 0, &a), 0);
        for (uint64_t n = 0; n < 4000; n++) {
            char text[32];
            struct str word = {text, made_up(text, sizeof text, n * 2654435761u)};
            const void *bytes = text;
            const void *stem = sb_stemmer_stem(stemmer, bytes, (int)word.len);
            struct str wanted = {stem, (size_t)sb_stemmer_length(stemmer)}, got = analyzer_stem(a, word);
            if (!str_equal(got, wanted.len ? wanted : word))
                fail_msg("%s: '%s' gives '%.*s'", languages[i].snowball, text, (int)got.len, got.ptr);
        }
        sb_stemmer_delete(stemmer);
        analyzer_close(a);
    }
}

static int load(void **state)
{
    (void)state;
    return analysis_load(&analysis);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stems_are_those_of_the_vocabularies),
        cmocka_unit_test(stems_of_ascii_are_those_of_the_stemmer_of_utf8),
        cmocka_unit_test(remembered_stems_are_those_of_the_stemmer),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
