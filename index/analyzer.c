#include "index/analyzer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <libstemmer.h>

#include "common/err.h"
#include "common/hash.h"
#include "index/analyzer_fast.h"
#include "index/analyzer_fold.h"
#include "index/analyzer_icu.h"
#include "index/analyzer_table.h"
#include "index/analyzer_word.h"
#include "index/languages.h"
#include "index/stem_cache.h"

/* Raised when the same text gives other words though ICU and Snowball are the same. */
enum { ANALYZER_VERSION = 1 };

struct analysis {
    struct fold *fold;
    struct icu_words *icu;
    struct word_table_base table;
    struct word scratch;
    struct stem_cache *stems; /* NULL: none are remembered */
};

/* Open addressing; a slot's text is NULL when it is free. At most half full. */
struct stop_words {
    struct str *slots;
    size_t mask;
    size_t count;
    size_t longest;
};

struct analyzer {
    struct analysis *shared;
    const struct language *language;
    struct sb_stemmer *stemmer;
    struct sb_stemmer *by_bytes; /* the same rules, quicker: for words of ASCII; NULL: there is none */
    struct stop_words stop_words;
    struct fold_rules accents; /* what stems lose */
    bool has_accents;
    struct fold_rules folding;
    struct word_table table;
    struct word stem;
    char identity[96];
};

int analysis_load(struct analysis **out)
{
    struct analysis *made = calloc(1, sizeof *made);
    if (!made)
        return -ENOMEM;
    int rc = fold_open(&made->fold);
    if (rc == 0)
        rc = icu_words_open(&made->icu);
    if (rc) {
        free(made->fold);
        free(made);
        return rc;
    }
    word_table_load(&made->table, made->fold);
    *out = made;
    return 0;
}

int analysis_remember_stems(struct analysis *shared)
{
    return shared->stems ? 0 : stem_cache_open(&shared->stems);
}

/* Snowball has no function that says its version; what it makes of these does. */
static uint64_t fingerprint(struct sb_stemmer *stemmer)
{
    static const char *const probes[] = {"generously",      "evening",        "internationally", "skies",
                                         "organisations",   "chanteuse",      "häuser",          "abenteuerlich",
                                         "continuellement", "nacionalidades", "бежавшими"};
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof probes / sizeof probes[0]; i++) {
        const void *probe = probes[i];
        const sb_symbol *stem = sb_stemmer_stem(stemmer, probe, (int)strlen(probes[i]));
        if (stem)
            sum = sum * 31 + hash64((struct str){(const char *)stem, (size_t)sb_stemmer_length(stemmer)});
    }
    return sum;
}

static void name_identity(struct analyzer *a)
{
    char snowball[32] = "none";
    if (a->stemmer)
        snprintf(snowball, sizeof snowball, "%08x", (unsigned)(fingerprint(a->stemmer) >> 32));
    snprintf(a->identity, sizeof a->identity, "%d icu %s snowball %s %s", ANALYZER_VERSION, icu_version(), snowball,
             a->language->code);
}

static struct str *find_slot(const struct stop_words *s, struct str word)
{
    size_t i = (size_t)hash64(word) & s->mask;
    while (s->slots[i].ptr && !str_equal(s->slots[i], word))
        i = (i + 1) & s->mask;
    return &s->slots[i];
}

static int reserve_stop_words(struct stop_words *s, size_t words)
{
    size_t room = 16;
    while (room < 2 * words)
        room *= 2;
    s->slots = calloc(room, sizeof *s->slots);
    s->mask = room - 1;
    return s->slots ? 0 : -ENOMEM;
}

static bool count_word(void *context, struct str word, uint32_t position)
{
    (void)word, (void)position;
    ++*(size_t *)context;
    return true;
}

static bool add_stop_word(void *context, struct str word, uint32_t position)
{
    struct stop_words *s = context;
    struct str *slot = find_slot(s, word);
    (void)position;
    if (slot->ptr)
        return true;
    char *copy = malloc(word.len);
    if (!copy)
        return false;
    memcpy(copy, word.ptr, word.len);
    *slot = (struct str){copy, word.len};
    s->count++;
    s->longest = word.len > s->longest ? word.len : s->longest;
    return true;
}

/* Each through the analyzer itself, so that they compare with folded words. */
static int fill_stop_words(struct analyzer *a, const struct str *own, size_t own_count)
{
    struct str builtin = str_of(a->language->stop_words ? a->language->stop_words : "");
    const struct str *texts = own ? own : &builtin;
    size_t count = own ? own_count : 1, words = 0;
    for (size_t i = 0; i < count; i++)
        analyzer_words(a, texts[i], count_word, &words);
    int rc = reserve_stop_words(&a->stop_words, words);
    for (size_t i = 0; rc == 0 && i < count; i++)
        analyzer_words(a, texts[i], add_stop_word, &a->stop_words);
    return rc;
}

static int open_stemmer(struct analyzer *a)
{
    if (!a->language->snowball)
        return 0;
    a->stemmer = sb_stemmer_new(a->language->snowball, "UTF_8");
    a->by_bytes = sb_stemmer_new(a->language->snowball, "ISO_8859_1");
    return a->stemmer ? 0 : ERR_INVALID;
}

int analyzer_open(struct analysis *shared, struct str language, const struct str *stop_words, size_t stop_word_count,
                  struct analyzer **out)
{
    const struct language *found = language_find(language);
    struct analyzer *a = found ? calloc(1, sizeof *a) : NULL;
    if (!a)
        return found ? -ENOMEM : ERR_INVALID;
    a->shared = shared;
    a->language = found;
    a->has_accents = found->accents != NULL;
    fold_rules_make(&a->folding, found);
    fold_rules_make(&a->accents, &(struct language){.letters = found->accents});
    word_table_make(&a->table, &shared->table, shared->fold, &a->folding, found);
    int rc = open_stemmer(a);
    if (rc == 0)
        rc = fill_stop_words(a, stop_words, stop_word_count);
    if (rc) {
        analyzer_close(a);
        return rc;
    }
    name_identity(a);
    *out = a;
    return 0;
}

void analyzer_close(struct analyzer *a)
{
    if (!a)
        return;
    for (size_t i = 0; a->stop_words.slots && i <= a->stop_words.mask; i++)
        free((void *)(uintptr_t)a->stop_words.slots[i].ptr);
    free(a->stop_words.slots);
    sb_stemmer_delete(a->stemmer);
    sb_stemmer_delete(a->by_bytes);
    free(a);
}

const char *analyzer_identity(const struct analyzer *a)
{
    return a->identity;
}

void analyzer_words(struct analyzer *a, struct str text, analyzer_sink *sink, void *context)
{
    struct icu_rules rules = {.table = &a->table, .fold = a->shared->fold, .folding = &a->folding};
    struct word_out out = {.sink = sink, .context = context};
    const unsigned char *begin = (const unsigned char *)text.ptr;
    struct span rest = {begin, begin + text.len};
    while (rest.begin < rest.end && !out.stopped) {
        struct span easy = {rest.begin, fast_easy_end(&a->table, rest)};
        fast_words(&a->table, easy, &a->shared->scratch, &out);
        rest.begin = easy.end;
        struct span hard = {rest.begin, fast_hard_end(&a->table, rest)};
        icu_words(a->shared->icu, &rules, hard, &a->shared->scratch, &out);
        rest.begin = hard.end;
    }
}

/* A stem without the accents that only the stemmer wanted. */
static struct str drop_accents(struct analyzer *a, struct str stem)
{
    const unsigned char *p = (const unsigned char *)stem.ptr, *end = p + stem.len;
    a->stem.len = 0;
    a->stem.full = false;
    while (p < end) {
        uint32_t c;
        p = utf8_next(p, end, &c);
        const struct table_entry *plain = fold_keeps(&a->accents, c) ? word_table_at(&a->shared->table.table, c) : NULL;
        if (plain && plain->len)
            word_append(&a->stem, plain->folded, plain->len);
        else
            word_append_code_point(&a->stem, c);
    }
    return (struct str){a->stem.bytes, a->stem.len};
}

static bool is_ascii(struct str s)
{
    unsigned char all = 0;
    for (size_t i = 0; i < s.len; i++)
        all |= (unsigned char)s.ptr[i];
    return all < 0x80;
}

static struct str run_stemmer(struct sb_stemmer *stemmer, struct str word)
{
    const void *bytes = word.ptr;
    const sb_symbol *stem = sb_stemmer_stem(stemmer, bytes, (int)word.len);
    int length = stem ? sb_stemmer_length(stemmer) : 0;
    return length > 0 ? (struct str){(const char *)stem, (size_t)length}
                      : word; /* a stem of nothing would make all such words equal */
}

/* No rule makes a letter beyond ASCII out of others; where one does, its bytes are not UTF-8's. */
static struct str stem_by_snowball(struct analyzer *a, struct str word)
{
    bool quick = a->by_bytes && is_ascii(word);
    struct str stem = run_stemmer(quick ? a->by_bytes : a->stemmer, word);
    if (quick && !is_ascii(stem))
        stem = run_stemmer(a->stemmer, word);
    return a->has_accents && stem.ptr != word.ptr ? drop_accents(a, stem) : stem;
}

static bool is_kept(const struct language *l, struct str word)
{
    return l->kept && strchr(l->kept, word.ptr[word.len - 1]) && word.ptr[0] != '\'';
}

/* A fifth of what is written differently in technical texts. No stemmer of Snowball's changes any (1.2 million were
 * tried). */
static bool is_number(struct str word)
{
    for (size_t i = 0; i < word.len; i++)
        if (word.ptr[i] < '0' || word.ptr[i] > '9')
            return false;
    return true;
}

struct str analyzer_stem(struct analyzer *a, struct str word)
{
    if (!a->stemmer || word.len == 0 || word.len > ANALYZER_MAX_WORD || is_number(word) || is_kept(a->language, word))
        return word;
    if (!a->shared->stems)
        return stem_by_snowball(a, word);
    uint8_t language = (uint8_t)(a->language - languages);
    struct stem_place *place = stem_cache_place(a->shared->stems, language, word);
    struct str stem = stem_cache_get(place, language, word);
    if (!stem.ptr) {
        stem = stem_by_snowball(a, word);
        stem_cache_put(place, language, word, stem);
    }
    return stem;
}

bool analyzer_is_stop_word(const struct analyzer *a, struct str folded_word)
{
    return folded_word.len && folded_word.len <= a->stop_words.longest && find_slot(&a->stop_words, folded_word)->ptr;
}
