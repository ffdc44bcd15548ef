/* The fast path and ICU give the same words, on random mixes and on real text; so does the standard's own test. */
#include "index/analyzer_icu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/hash.h"

static struct analysis *analysis;
static struct fold *fold;
static struct icu_words *icu;
static struct word_table_base base;

struct pair {
    struct analyzer *analyzer;
    struct fold_rules folding;
    struct word_table table;
};

static void open_pair(struct pair *out, const char *code)
{
    const struct language *language = language_find(str_of(code));
    assert_int_equal(analyzer_open(analysis, str_of(code), NULL, 0, &out->analyzer), 0);
    fold_rules_make(&out->folding, language);
    word_table_make(&out->table, &base, fold, &out->folding, language);
}

struct sum {
    uint64_t hash;
    uint32_t count;
    char words[400];
};

static bool add(void *context, struct str word, uint32_t position)
{
    struct sum *sum = context;
    sum->hash = sum->hash * 31 + hash64(word) + position;
    sum->count++;
    size_t used = strlen(sum->words);
    snprintf(sum->words + used, sizeof sum->words - used, "|%.*s", (int)word.len, word.ptr);
    return true;
}

static void icu_only(const struct pair *p, struct str text, struct sum *out)
{
    static struct word scratch;
    struct icu_rules rules = {.table = &p->table, .fold = fold, .folding = &p->folding};
    struct word_out words = {.sink = add, .context = out};
    const unsigned char *begin = (const unsigned char *)text.ptr;
    icu_words(icu, &rules, (struct span){begin, begin + text.len}, &scratch, &words);
}

static void expect_same(const struct pair *p, struct str text)
{
    struct sum both = {0}, only = {0};
    analyzer_words(p->analyzer, text, add, &both);
    icu_only(p, text, &only);
    if (both.hash != only.hash || both.count != only.count)
        fail_msg("'%.*s' gives %s, by ICU %s", (int)(text.len < 300 ? text.len : 300), text.ptr, both.words,
                 only.words);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static size_t put_random(char *out, uint64_t *seed)
{
    static const char *const marks[] = {" ", "'", ".",  ",",  ":", "_",  "@",    "-",
                                        "’", "s", "\n", "'s", "1", "\"", "\xFF", "\xC3"};
    uint64_t r = next_random(seed);
    if (r % 3 == 0) {
        const char *mark = marks[(r >> 8) % (sizeof marks / sizeof marks[0])];
        memcpy(out, mark, strlen(mark));
        return strlen(mark);
    }
    static const uint32_t ranges[][2] = {{'a', 26},       {'A', 26},        {'0', 10},     {0x80, 0x780},
                                         {0, 0x80},       {0x2000, 0x70},   {0x300, 0x70}, {0x800, 0x1000},
                                         {0x3000, 0x100}, {0x4E00, 0x5000}, {0x1F600, 64}};
    const uint32_t *range = ranges[(r >> 4) % 3 ? (r >> 8) % 6 : (r >> 8) % 11];
    return utf8_put(out, range[0] + (uint32_t)((r >> 16) % range[1]));
}

static void random_mixes_agree(void **state)
{
    static const char *const codes[] = {"en", "none", "fr", "tr", "de", "ru", "ro", "sv", "pt"};
    (void)state;
    uint64_t seed = 0x9E3779B97F4A7C15;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct pair p;
        open_pair(&p, codes[i]);
        for (int round = 0; round < 6000; round++) {
            char text[600];
            size_t len = 0, want = 1 + next_random(&seed) % 40;
            while (want--)
                len += put_random(text + len, &seed);
            expect_same(&p, (struct str){text, len});
        }
        analyzer_close(p.analyzer);
    }
}

/* Longer than several of the fast path's windows, whose edges come everywhere. */
static void plain_text_agrees_wherever_windows_end(void **state)
{
    static const char *const codes[] = {"en", "none", "fr", "tr"};
    static const char often[] = "abcdefgXYZ0123   _", seldom[] = ".,;:'-\n\"/_@ ";
    (void)state;
    uint64_t seed = 0x2545F4914F6CDD1D;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct pair p;
        open_pair(&p, codes[i]);
        for (int round = 0; round < 4000; round++) {
            char text[400];
            size_t len = 0, want = next_random(&seed) % 390, rare = 2 + next_random(&seed) % 60;
            size_t spaces = round % 4 ? 0 : 4; /* and _: words as long as windows */
            while (len < want) {
                uint64_t r = next_random(&seed);
                text[len++] = (r >> 8) % rare ? often[(r >> 16) % (sizeof often - 1 - spaces)]
                                              : seldom[(r >> 16) % (sizeof seldom - 1)];
                if (r % 197 == 0)
                    len += utf8_put(text + len, 0xE9);
            }
            expect_same(&p, (struct str){text, len});
        }
        analyzer_close(p.analyzer);
    }
}

static void every_code_point_below_the_table_agrees(void **state)
{
    static const char *const codes[] = {"en", "none", "fr", "tr", "az", "hu", "es"};
    static const char *const frames[] = {"a%sb", "1%s1", "a%sb%sc", "%s", "x%s 1%sy", "_%s_"};
    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct pair p;
        open_pair(&p, codes[i]);
        for (uint32_t c = 1; c < 0x2070; c += c == 0x7FF ? 0x1801 : 1)
            for (size_t k = 0; k < sizeof frames / sizeof frames[0]; k++) {
                char utf8[5] = "", text[64];
                size_t len = 0;
                utf8_put(utf8, c);
                for (const char *f = frames[k]; *f; f++)
                    if (*f == '%' && f++)
                        len += (size_t)snprintf(text + len, sizeof text - len, "%s", utf8);
                    else
                        text[len++] = *f;
                expect_same(&p, (struct str){text, len});
            }
        analyzer_close(p.analyzer);
    }
}

/* The lines of a command's output; 0 if there are none. */
static size_t each_line(const char *command, size_t limit, void (*use)(void *context, struct str line), void *context)
{
    FILE *lines = popen(command, "r");
    char *line = NULL;
    size_t room = 0, count = 0;
    ssize_t len;
    assert_non_null(lines);
    while (count < limit && (len = getline(&line, &room, lines)) > 0) {
        use(context, (struct str){line, (size_t)len - (line[len - 1] == '\n')});
        count++;
    }
    free(line);
    pclose(lines);
    return count;
}

static void use_same(void *context, struct str line)
{
    expect_same(context, line);
}

static const char *shared_or_skip(void)
{
    const char *shared = getenv("MAYFLY_SHARED");
    char path[512];
    snprintf(path, sizeof path, "%s/data/README.md", shared ? shared : "");
    if (!shared || access(path, R_OK)) {
        print_message("skipped: real text is not in $MAYFLY_SHARED\n");
        skip();
    }
    return shared;
}

static void real_text_agrees(void **state)
{
    static const struct {
        const char *language, *file;
    } corpora[] = {{"en", "debdocs-mini"},
                   {"en", "debian-descriptions-en"},
                   {"de", "debian-descriptions-de"},
                   {"fr", "debian-descriptions-fr"},
                   {"ja", "debian-descriptions-ja"},
                   {"ru", "debian-descriptions-ru"},
                   {"ko", "debian-descriptions-ko"},
                   {"es", "debian-descriptions-es"},
                   {"zh", "debian-descriptions-zh_CN"},
                   {"pt", "debian-descriptions-pt_BR"},
                   {"pl", "debian-descriptions-pl"}};
    const char *shared = shared_or_skip();
    (void)state;
    for (size_t i = 0; i < sizeof corpora / sizeof corpora[0]; i++) {
        struct pair p;
        char command[600];
        open_pair(&p, corpora[i].language);
        snprintf(command, sizeof command, "zcat '%s/data/text/%s.ndjson.gz' 2>/dev/null", shared, corpora[i].file);
        assert_int_not_equal(each_line(command, 400, use_same, &p), 0);
        analyzer_close(p.analyzer);
    }
}

static void naughty_strings_agree(void **state)
{
    struct pair p;
    char command[600];
    const char *shared = shared_or_skip();
    (void)state;
    open_pair(&p, "en");
    snprintf(command, sizeof command, "cat '%s/data/robust/blns.txt'", shared);
    assert_int_not_equal(each_line(command, SIZE_MAX, use_same, &p), 0);
    analyzer_close(p.analyzer);
}

/* One line of WordBreakTest.txt: the text, and the words that its breaks give. */
struct standard {
    struct pair pair;
    uint32_t lines, failures;
};

static bool is_word_segment(const uint16_t *units, int32_t length)
{
    for (int32_t i = 0; i < length;) {
        uint32_t c = utf16_next(units, &i);
        const struct table_entry *entry = word_table_at(&base.table, c);
        bool hebrew = c >= 0x5D0 && c <= 0x5EA;
        if (hebrew || c == 0x3031 || (entry && (entry->class == CLASS_LETTER || entry->class == CLASS_NUMERIC)))
            return true;
    }
    return false;
}

static void use_standard(void *context, struct str line)
{
    struct standard *s = context;
    struct sum expected = {0}, given = {0};
    struct word_out words = {.sink = add, .context = &expected};
    struct word word = {0};
    char text[400];
    size_t len = 0;
    uint16_t units[100];
    int32_t length = 0;
    const char *p = line.ptr, *end = memchr(line.ptr, '#', line.len);
    for (; p && end && p < end;) {
        if (strncmp(p, "÷", 2) == 0 && length) {
            if (is_word_segment(units, length))
                fold_append(fold, &s->pair.folding, units, length, &word);
            word_emit(&word, &words);
            length = 0;
        }
        if (strncmp(p, "÷", 2) == 0 || strncmp(p, "×", 2) == 0) {
            p += 2;
            continue;
        }
        char *behind;
        uint32_t c = (uint32_t)strtoul(p, &behind, 16);
        if (behind == p) {
            p++;
            continue;
        }
        if (c == ':' || c == '@')
            return; /* ours splits at both */
        length += utf16_put(units + length, c);
        len += utf8_put(text + len, c);
        p = behind;
    }
    if (len == 0)
        return;
    s->lines++;
    analyzer_words(s->pair.analyzer, (struct str){text, len}, add, &given);
    if (given.hash != expected.hash || given.count != expected.count) {
        s->failures++;
        print_message("%.*s gives %s, expected %s\n", (int)(end - line.ptr), line.ptr, given.words, expected.words);
    }
}

static void words_are_those_of_the_standard(void **state)
{
    static struct standard s;
    char command[600];
    const char *shared = shared_or_skip();
    (void)state;
    open_pair(&s.pair, "none");
    snprintf(command, sizeof command, "tar xzOf '%s/data/robust/unicode15-tests.tar.gz' WordBreakTest.txt", shared);
    each_line(command, SIZE_MAX, use_standard, &s);
    assert_true(s.lines > 1000);
    assert_int_equal(s.failures, 0);
    analyzer_close(s.pair.analyzer);
}

static int load(void **state)
{
    (void)state;
    if (analysis_load(&analysis) || fold_open(&fold) || icu_words_open(&icu))
        return -1;
    word_table_load(&base, fold);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_mixes_agree),
        cmocka_unit_test(plain_text_agrees_wherever_windows_end),
        cmocka_unit_test(every_code_point_below_the_table_agrees),
        cmocka_unit_test(real_text_agrees),
        cmocka_unit_test(naughty_strings_agree),
        cmocka_unit_test(words_are_those_of_the_standard),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
